/** Films in a grid that grows as one goes down. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Recommended } from "../film";
import type { Paged } from "../lists/paged";
import { leftOutIds } from "../person/store";
import { texts } from "../texts";
import { Card } from "./Card";
import { Failure } from "./Failure";

interface Props {
  list: Paged<Recommended>;
  label: string;
  /** Whether it reaches the lower end of the page, and so may grow by itself. */
  endless?: boolean;
  /** Whether its films come with reasons, which need room. */
  reasons?: boolean;
  onClear?: (() => void) | undefined;
}

/** After so many pages that came by themselves a press of the button asks for more: what stands
 * below can be reached. */
const BY_ITSELF = 4;
const SKELETONS = 12;
/** Cards drawn in one go at first: a slow phone stays responsive in between. */
const AT_ONCE = 2;

export function Wall({ list, label, endless = false, reasons = false, onClear }: Props) {
  const films = list.items.value;
  const state = list.state.value;
  const trouble = list.trouble.value;
  const grid = useKeptFocus(films);
  const visible = films?.filter((film) => !leftOutIds.value.has(film.id)) ?? null;
  const known = visible?.length ?? 0;
  const drawn = useGradually(known);
  const there = Math.min(known, drawn);
  // The places of those who wait stay for the first films, so that nothing moves.
  const places = visible ? Math.min(known, SKELETONS) : trouble ? 0 : SKELETONS;
  return (
    <div class="wall" aria-busy={state !== "idle" || there < known}>
      <ul class="grid" ref={grid} aria-label={label} data-fresh={state === "fresh" || undefined} data-plain={!reasons || undefined}>
        {visible?.slice(0, drawn).map((film, index) => (
          <li key={film.id}>
            <Card film={film} eager={index < 6} />
          </li>
        ))}
        {range(there, places).map((place) => <Skeleton key={`place-${place}`} />)}
      </ul>
      {trouble && <Failure trouble={trouble} onRetry={() => void list.retry()} />}
      {visible && !trouble && (
        <WallEnd list={list} shown={known} endless={endless && there === known} onClear={onClear} />
      )}
    </div>
  );
}

function WallEnd({ list, shown, endless, onClear }: Omit<Props, "label" | "reasons"> & { shown: number }) {
  const place = useRef<HTMLDivElement>(null);
  const left = useRef(BY_ITSELF);
  const done = list.done.value;
  useEffect(() => {
    if (!endless || !place.current) return;
    const near = new IntersectionObserver(
      (entries) => {
        if (!entries.some((entry) => entry.isIntersecting) || left.current <= 0) return;
        left.current -= 1;
        void list.more();
      },
      { rootMargin: "600px" },
    );
    near.observe(place.current);
    return () => near.disconnect();
    // Watched anew with each page, since what stays in sight is told but once.
  }, [endless, list, shown, done]);

  if (done && !shown) {
    return (
      <div class="notice">
        <p class="notice-heading">{texts.wall.empty}</p>
        {onClear && (
          <>
            <p>{texts.wall.emptyHint}</p>
            <button type="button" class="button" onClick={onClear}>{texts.filters.clear}</button>
          </>
        )}
      </div>
    );
  }
  return (
    <div class="wall-end" ref={place}>
      <p role="status">{done ? texts.wall.end(shown) : texts.wall.shown(shown)}</p>
      {!done && (
        <button
          type="button"
          class="button"
          disabled={list.state.value === "fresh"}
          aria-disabled={list.state.value === "more"}
          onClick={() => {
            left.current = BY_ITSELF;
            void list.more();
          }}
        >
          {list.state.value === "more" ? texts.wall.loading : texts.wall.more}
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

/** How many of `total` to draw now: a few more each time the browser has seen to everything else. */
function useGradually(total: number): number {
  const [drawn, setDrawn] = useState(AT_ONCE);
  useEffect(() => {
    if (drawn >= total) return;
    const timer = setTimeout(() => setDrawn(drawn + AT_ONCE));
    return () => clearTimeout(timer);
  }, [drawn, total]);
  return drawn;
}

/** When the card that has the focus goes, the one in its place takes it. */
function useKeptFocus(films: unknown) {
  const grid = useRef<HTMLUListElement>(null);
  const at = useRef(-1);
  useEffect(() => {
    const element = grid.current!;
    const note = () => {
      const card = document.activeElement?.closest("li");
      at.current = card ? [...element.children].indexOf(card) : -1;
    };
    element.addEventListener("focusin", note);
    return () => element.removeEventListener("focusin", note);
  }, []);
  const before = at.current;
  useEffect(() => {
    const lost = document.activeElement === document.body || document.activeElement === null;
    if (!lost || before < 0 || !grid.current) return;
    const cards = grid.current.children;
    const next = cards[Math.min(before, cards.length - 1)];
    next?.querySelector<HTMLElement>("h3 a")?.focus({ preventScroll: true });
  }, [films, leftOutIds.value]);
  return grid;
}
