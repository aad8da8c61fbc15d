/** For those who know who they are in the data set. */
import { useState } from "preact/hooks";
import { person, signIn } from "../person/store";
import { texts } from "../texts";

export function SignIn() {
  const [text, setText] = useState("");
  const [wrong, setWrong] = useState(false);
  const { userId } = person.value;
  const submit = (event: Event) => {
    event.preventDefault();
    const good = /^[1-9]\d{0,14}$/.test(text.trim());
    setWrong(!good);
    if (good) signIn(Number(text.trim()));
  };
  return (
    <section class="panel" aria-labelledby="sign-heading">
      <h2 id="sign-heading">{texts.you.signIn}</h2>
      {userId === null ? (
        <>
          <p class="faint">{texts.you.signInLead}</p>
          <form class="inline-form" onSubmit={submit} noValidate>
            <label class="field">
              <span>{texts.you.userId}</span>
              <input
                type="text"
                inputMode="numeric"
                value={text}
                aria-invalid={wrong}
                aria-describedby={wrong ? "sign-wrong" : undefined}
                onInput={(event) => setText(event.currentTarget.value)}
              />
            </label>
            <button type="submit" class="button">{texts.you.signInDo}</button>
          </form>
          {wrong && <p id="sign-wrong" class="warning" role="alert">{texts.you.badId}</p>}
        </>
      ) : (
        <>
          <p>{texts.you.signedIn(userId)}</p>
          <button type="button" class="button" onClick={() => signIn(null)}>{texts.you.signOut}</button>
        </>
      )}
    </section>
  );
}
