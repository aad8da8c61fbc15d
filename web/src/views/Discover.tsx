/** The first view: search, the rated movies, and the list of what to watch. */
import { lazy, useLocation } from "preact-iso";
import { useEffect, useRef, useState } from "preact/hooks";
import { GenreFilter, MoreFiltersButton, OrderFilter, YearFilter } from "../components/Filters";
import { MovieGrid } from "../components/MovieGrid";
import { RatedBar } from "../components/RatedBar";
import { Search } from "../components/Search";
import { useView } from "../components/useView";
import { isOutdated, list, refreshList, updateList } from "../lists/discover";
import {
  type Filters,
  NO_FILTERS,
  NO_TMDB_FILTERS,
  countTmdbFilters,
  filtersToUrl,
  hasFilters,
  parseFilters,
} from "../lists/filterQuery";
import { texts } from "../texts";
import { isPersonalised, tasteKey } from "../visitor/store";

/** How far the list's top must be above the window for the visitor to be deep in it. */
const DEEP_PX = 500;
const PERSONAL_ORDERS = ["default", "varied", "lesserKnown"] as const;
const COMMON_ORDERS = ["default", "trending"] as const;

/** Loaded when it is opened: most visitors do without it. */
const MoreFilters = lazy(() => import("../components/MoreFilters").then((module) => module.MoreFilters));

export function Discover() {
  const { query, route } = useLocation();
  const filters = parseFilters(query);
  const section = useRef<HTMLElement>(null);
  const { yearFrom, yearTo, order } = filters;
  // Shown when the visitor opens it, or when a link has such filters.
  const [hasMore, setHasMore] = useState(countTmdbFilters(filters) > 0);
  const isReversed = yearFrom !== null && yearTo !== null && yearFrom > yearTo;
  useView(texts.titles.discover);
  useEffect(() => {
    if (isReversed) return;
    // Measured only when a list is shown, because it costs a layout.
    const isShown = list.items.peek() !== null;
    const isDeep = isShown && (section.current?.getBoundingClientRect().top ?? 0) < -DEEP_PX;
    updateList(filters, isDeep);
  }, [tasteKey.value, filtersToUrl(filters)]);

  const isForMe = isPersonalised.value;
  const isTrending = !isForMe && order === "trending";
  const commonHeading = isTrending ? texts.list.trending : texts.list.popular;
  const heading = isForMe ? texts.list.forYou : commonHeading;
  const commonLead = isTrending ? texts.list.trendingLead : texts.list.popularLead;
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
          <h2 id="list-heading">{heading}</h2>
          <p class="faint">{isForMe ? texts.list.forYouLead : commonLead(list.days.value)}</p>
          <YearFilter filters={filters} onChange={change} />
        </div>
        <div class="filter-row">
          <OrderFilter
            filters={filters}
            // Movies on the rise cannot be filtered by what only TMDB knows.
            onChange={(to) => change(to.order === "trending" ? { ...to, ...NO_TMDB_FILTERS } : to)}
            orders={isForMe ? PERSONAL_ORDERS : COMMON_ORDERS}
          />
          {!isTrending && (
            <MoreFiltersButton isOpen={hasMore} filters={filters} onToggle={() => setHasMore(!hasMore)} />
          )}
        </div>
        {hasMore && !isTrending && <MoreFilters filters={filters} onChange={change} />}
        <GenreFilter filters={filters} onChange={change} />
        {isReversed && <p class="warning" role="alert">{texts.filters.reversedYears}</p>}
        <MovieGrid
          list={list}
          label={heading}
          endless
          reasons={isForMe}
          onClear={hasFilters(filters) ? () => change({ ...NO_FILTERS, order }) : undefined}
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
