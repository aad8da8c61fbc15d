/** The first page's list; it outlives the view, so that coming back finds it as it was. */
import { signal } from "@preact/signals";
import type { Recommended } from "../film";
import { taste } from "../person/store";
import { type Narrowed, forMe } from "./asking";
import { Paged } from "./paged";

export const list = new Paged<Recommended>();
/** Whether what is shown was made for the taste of before the last rating. */
export const outdated = signal(false);

let shownFor: string | null = null;

/** `keep`: somebody is deep in the list, which must not be taken away under their hands; then only
 * what comes after it is new. */
export function follow(narrowed: Narrowed, keep: boolean): void {
  const filters = JSON.stringify(narrowed);
  const key = `${taste.value} ${filters}`;
  if (key === list.key) return;
  const load = (cursor: string | null, stop: AbortSignal) => forMe(narrowed, cursor, stop);
  if (keep && shownFor === filters && list.items.value) {
    list.goOnWith(key, load);
    outdated.value = true;
  } else {
    shownFor = filters;
    outdated.value = false;
    list.show(key, load);
  }
}

export function renew(): void {
  outdated.value = false;
  void list.again();
}
