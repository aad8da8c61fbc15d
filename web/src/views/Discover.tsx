/** The first page: search, rate, and a wall of what to watch. */
import { useLocation } from "preact-iso";
import { useEffect, useRef } from "preact/hooks";
import { GenreFilter, YearFilter } from "../components/Filters";
import { Search } from "../components/Search";
import { TasteBar } from "../components/TasteBar";
import { Wall } from "../components/Wall";
import { useView } from "../components/useView";
import { EVERYTHING, type Narrowed } from "../lists/asking";
import { follow, list, outdated, renew } from "../lists/discover";
import { fromQuery, isNarrow, toAddress } from "../lists/narrowed";
import { personal, taste } from "../person/store";
import { texts } from "../texts";

export function Discover() {
  const { query, route } = useLocation();
  const narrowed = fromQuery(query);
  const wall = useRef<HTMLElement>(null);
  const { genres, yearFrom, yearTo } = narrowed;
  const wrongWay = yearFrom !== null && yearTo !== null && yearFrom > yearTo;
  useView(texts.titles.discover);
  useEffect(() => {
    // Far down: the first row has gone from sight. Not asked at first, since it costs a layout.
    const drawn = list.items.peek() !== null;
    const far = drawn && (wall.current?.getBoundingClientRect().top ?? 0) < -500;
    if (!wrongWay) follow(narrowed, far);
  }, [taste.value, genres.join(), yearFrom, yearTo]);

  const mine = personal.value;
  const change = (to: Narrowed) => route(toAddress(to), true);
  return (
    <>
      <section class="hero" data-known={mine || undefined}>
        <h1 tabIndex={-1}>{texts.arrive.heading}</h1>
        <p class="lead">{mine ? texts.arrive.leadKnown : texts.arrive.lead}</p>
        <Search />
      </section>
      <TasteBar />
      <section class="discover" aria-labelledby="wall-heading" ref={wall}>
        <div class="section-head">
          <h2 id="wall-heading">{mine ? texts.wall.forYou : texts.wall.popular}</h2>
          <p class="faint">{mine ? texts.wall.forYouLead : texts.wall.popularLead(list.days.value)}</p>
          <YearFilter narrowed={narrowed} onChange={change} />
        </div>
        <GenreFilter narrowed={narrowed} onChange={change} />
        {wrongWay && <p class="warning" role="alert">{texts.filters.wrongWay}</p>}
        <Wall
          list={list}
          label={mine ? texts.wall.forYou : texts.wall.popular}
          endless
          reasons={mine}
          onClear={isNarrow(narrowed) ? () => change(EVERYTHING) : undefined}
        />
      </section>
      {outdated.value && (
        <p class="outdated" role="status">
          {texts.wall.changed}
          <button
            type="button"
            onClick={() => {
              renew();
              wall.current?.scrollIntoView({ block: "start" });
            }}
          >
            {texts.wall.changedShow}
          </button>
        </p>
      )}
    </>
  );
}
