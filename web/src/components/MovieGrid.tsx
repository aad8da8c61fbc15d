/** A grid of movies that grows page by page. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { PagedList } from "../lists/paged";
import type { RecommendedMovie } from "../movie";
import { texts } from "../texts";
import { hiddenIds } from "../visitor/store";
import { Card } from "./Card";
import { ErrorNotice } from "./ErrorNotice";

interface Props {
  list: PagedList<RecommendedMovie>;
  label: string;
  /** Whether the grid ends the page, so that it may load pages by scrolling. */
  endless?: boolean;
  /** Whether the cards leave room for the reasons of a recommendation. */
  reasons?: boolean;
  /** Clears the filters; undefined when there are none. */
  onClear?: (() => void) | undefined;
}

/** Pages loaded by scrolling before the button is needed, so that the footer can be reached. */
const AUTOMATIC_PAGES = 4;
const SKELETONS = 12;
/** Cards rendered in one go, so that a slow phone stays responsive in between. */
const BATCH_SIZE = 2;
/** Cards whose images are loaded at once. */
const EAGER_CARDS = 6;

export function MovieGrid({ list, label, endless = false, reasons = false, onClear }: Props) {
  const movies = list.items.value;
  const state = list.state.value;
  const error = list.error.value;
  const grid = useFocusKeeper(movies);
  const visible = movies?.filter((movie) => !hiddenIds.value.has(movie.id)) ?? null;
  const total = visible?.length ?? 0;
  const rendered = Math.min(total, useGradualCount(total));
  const isRendered = rendered === total;
  // Skeletons stand for the first cards until these are rendered, so that nothing moves.
  const places = visible ? Math.min(total, SKELETONS) : error ? 0 : SKELETONS;
  return (
    <div class="movie-grid" aria-busy={state !== "idle" || !isRendered}>
      <ul
        class="grid"
        ref={grid}
        aria-label={label}
        data-loading={state === "loading" || undefined}
        data-plain={!reasons || undefined}
      >
        {visible?.slice(0, rendered).map((movie, index) => (
          <li key={movie.id}>
            <Card movie={movie} eager={index < EAGER_CARDS} />
          </li>
        ))}
        {range(rendered, places).map((place) => <Skeleton key={`place-${place}`} />)}
      </ul>
      {error && <ErrorNotice error={error} onRetry={() => void list.retry()} />}
      {visible && !error && (
        <GridEnd list={list} total={total} endless={endless && isRendered} onClear={onClear} />
      )}
    </div>
  );
}

interface EndProps {
  list: PagedList<RecommendedMovie>;
  total: number;
  endless: boolean;
  onClear: (() => void) | undefined;
}

/** The number of movies with the button for more; a notice when the list is empty. */
function GridEnd({ list, total, endless, onClear }: EndProps) {
  const element = useRef<HTMLDivElement>(null);
  const pagesLeft = useRef(AUTOMATIC_PAGES);
  const isComplete = list.isComplete.value;
  const state = list.state.value;
  useEffect(() => {
    if (!endless || !element.current) return;
    const observer = new IntersectionObserver(
      (entries) => {
        if (!entries.some((entry) => entry.isIntersecting) || pagesLeft.current <= 0) return;
        pagesLeft.current -= 1;
        void list.loadMore();
      },
      { rootMargin: "600px" },
    );
    observer.observe(element.current);
    return () => observer.disconnect();
    // Observe again after each page: an element that stays in view is reported only once.
  }, [endless, list, total, isComplete]);

  if (isComplete && !total) {
    return (
      <div class="notice">
        <p class="notice-heading">{texts.list.empty}</p>
        {onClear && (
          <>
            <p>{texts.list.emptyHint}</p>
            <button type="button" class="button" onClick={onClear}>{texts.filters.clear}</button>
          </>
        )}
      </div>
    );
  }
  return (
    <div class="grid-end" ref={element}>
      <p role="status">{isComplete ? texts.list.complete(total) : texts.list.shown(total)}</p>
      {!isComplete && (
        <button
          type="button"
          class="button"
          disabled={state === "loading"}
          aria-disabled={state === "loadingMore"}
          onClick={() => {
            pagesLeft.current = AUTOMATIC_PAGES;
            void list.loadMore();
          }}
        >
          {state === "loadingMore" ? texts.list.loading : texts.list.more}
        </button>
      )}
    </div>
  );
}

function Skeleton() {
  return (
    <li aria-hidden="true">
      <div class="card skeleton">
        <div class="card-poster" />
        <p class="card-title" />
        <p class="card-facts" />
        <p class="card-because" />
        <p class="stars" />
      </div>
    </li>
  );
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(to - from, 0) }, (_, index) => from + index);

/** Return how many of `total` cards to render now; the number grows whenever the browser is idle. */
function useGradualCount(total: number): number {
  const [count, setCount] = useState(BATCH_SIZE);
  useEffect(() => {
    if (count >= total) return;
    const timer = setTimeout(() => setCount(count + BATCH_SIZE));
    return () => clearTimeout(timer);
  }, [count, total]);
  return count;
}

/** When the focused card disappears, move the focus to the card that takes its place. */
function useFocusKeeper(movies: unknown) {
  const grid = useRef<HTMLUListElement>(null);
  const focusedIndex = useRef(-1);
  useEffect(() => {
    const element = grid.current!;
    const remember = () => {
      const item = document.activeElement?.closest("li");
      focusedIndex.current = item ? [...element.children].indexOf(item) : -1;
    };
    element.addEventListener("focusin", remember);
    return () => element.removeEventListener("focusin", remember);
  }, []);
  const index = focusedIndex.current;
  useEffect(() => {
    const isLost = document.activeElement === document.body || document.activeElement === null;
    if (!isLost || index < 0 || !grid.current) return;
    const items = grid.current.children;
    const next = items[Math.min(index, items.length - 1)];
    next?.querySelector<HTMLElement>("h3 a")?.focus({ preventScroll: true });
  }, [movies, hiddenIds.value]);
  return grid;
}
