/** The first view: search, the rated movies, and the list of what to watch. */
import { useLocation } from "preact-iso";
import { useEffect, useRef } from "preact/hooks";
import { GenreFilter, YearFilter } from "../components/Filters";
import { MovieGrid } from "../components/MovieGrid";
import { RatedBar } from "../components/RatedBar";
import { Search } from "../components/Search";
import { useView } from "../components/useView";
import { isOutdated, list, refreshList, updateList } from "../lists/discover";
import {
  type Filters,
  NO_FILTERS,
  filtersToUrl,
  hasFilters,
  parseFilters,
} from "../lists/filterQuery";
import { texts } from "../texts";
import { isPersonalised, tasteKey } from "../visitor/store";

/** How far the list's top must be above the window for the visitor to be deep in it. */
const DEEP_PX = 500;

export function Discover() {
  const { query, route } = useLocation();
  const filters = parseFilters(query);
  const section = useRef<HTMLElement>(null);
  const { genres, yearFrom, yearTo } = filters;
  const isReversed = yearFrom !== null && yearTo !== null && yearFrom > yearTo;
  useView(texts.titles.discover);
  useEffect(() => {
    if (isReversed) return;
    // Measured only when a list is shown, because it costs a layout.
    const isShown = list.items.peek() !== null;
    const isDeep = isShown && (section.current?.getBoundingClientRect().top ?? 0) < -DEEP_PX;
    updateList(filters, isDeep);
  }, [tasteKey.value, genres.join(), yearFrom, yearTo]);

  const isForMe = isPersonalised.value;
  const change = (to: Filters) => route(filtersToUrl(to), true);
  return (
    <>
      <section class="hero" data-known={isForMe || undefined}>
        <h1 tabIndex={-1}>{texts.discover.heading}</h1>
        <p class="lead">{isForMe ? texts.discover.leadKnown : texts.discover.lead}</p>
        <Search />
      </section>
      <RatedBar />
      <section class="discover" aria-labelledby="list-heading" ref={section}>
        <div class="section-head">
          <h2 id="list-heading">{isForMe ? texts.list.forYou : texts.list.popular}</h2>
          <p class="faint">{isForMe ? texts.list.forYouLead : texts.list.popularLead(list.days.value)}</p>
          <YearFilter filters={filters} onChange={change} />
        </div>
        <GenreFilter filters={filters} onChange={change} />
        {isReversed && <p class="warning" role="alert">{texts.filters.reversedYears}</p>}
        <MovieGrid
          list={list}
          label={isForMe ? texts.list.forYou : texts.list.popular}
          endless
          reasons={isForMe}
          onClear={hasFilters(filters) ? () => change(NO_FILTERS) : undefined}
        />
      </section>
      {isOutdated.value && (
        <p class="outdated" role="status">
          {texts.list.changed}
          <button
            type="button"
            onClick={() => {
              refreshList();
              section.current?.scrollIntoView({ block: "start" });
            }}
          >
            {texts.list.changedShow}
          </button>
        </p>
      )}
    </>
  );
}
