/** A list for an evening with friends, whose tastes come in the link's fragment. */
import { useEffect, useRef, useState } from "preact/hooks";
import { MovieGrid } from "../components/MovieGrid";
import { RatedBar } from "../components/RatedBar";
import { Search } from "../components/Search";
import { showToast } from "../components/toasts";
import { useView } from "../components/useView";
import { list, updateList } from "../lists/together";
import { texts } from "../texts";
import { isPersonalised, tasteKey, visitor } from "../visitor/store";
import { type Taste, friendsOf, parseFragment, toFragment, toTaste } from "../visitor/together";

export function Together() {
  useView(texts.titles.of(texts.together.name));
  const own = toTaste(visitor.value.ratings);
  const fragment = useFragment();
  const friends = friendsOf(own, parseFragment(fragment));
  const isReady = friends.length > 0 && isPersonalised.value;
  useEffect(() => {
    if (isReady) updateList(friends);
  }, [isReady, tasteKey.value, fragment]);
  return (
    <>
      <section class="view-head">
        <h1 tabIndex={-1}>{texts.together.heading}</h1>
        <p class="lead">{friends.length ? texts.together.leadFriend(friends.length) : texts.together.lead}</p>
        <Search />
      </section>
      <RatedBar />
      {own.size > 0 && <Invitation tastes={[own, ...friends]} />}
      {isReady && (
        <section class="discover" aria-labelledby="list-heading">
          <div class="section-head">
            <h2 id="list-heading">{texts.together.list(friends.length)}</h2>
            <p class="faint">{texts.together.listLead}</p>
          </div>
          <MovieGrid list={list} label={texts.together.list(friends.length)} endless reasons />
        </section>
      )}
    </>
  );
}

/** A panel with the link to send. */
function Invitation({ tastes }: { tastes: Taste[] }) {
  const input = useRef<HTMLInputElement>(null);
  const link = `${location.origin}/together${toFragment(tastes)}`;
  const copy = async () => {
    input.current?.select();
    try {
      await navigator.clipboard.writeText(link);
      showToast(texts.together.copied);
    } catch {
      // Browsers allow it on safe origins only; the link is selected, to copy it by hand.
      showToast(texts.together.notCopied);
    }
  };
  return (
    <section class="panel" aria-labelledby="invite-heading">
      <h2 id="invite-heading">{texts.together.invite}</h2>
      <p class="faint">{texts.together.inviteLead}</p>
      <div class="inline-form">
        <label class="field">
          <span>{texts.together.link}</span>
          <input ref={input} type="text" readOnly value={link} onFocus={() => input.current?.select()} />
        </label>
        <button type="button" class="button" onClick={() => void copy()}>{texts.together.copy}</button>
      </div>
    </section>
  );
}

/** Return the address's fragment, which changes when another link is opened here. */
function useFragment(): string {
  const [fragment, setFragment] = useState(location.hash);
  useEffect(() => {
    const read = () => setFragment(location.hash);
    addEventListener("hashchange", read);
    return () => removeEventListener("hashchange", read);
  }, []);
  return fragment;
}
