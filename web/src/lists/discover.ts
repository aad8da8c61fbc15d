/** The first view's list. It outlives the view, so going back finds it unchanged. */
import { signal } from "@preact/signals";
import type { RecommendedMovie } from "../movie";
import { tasteKey } from "../visitor/store";
import { fetchDiscoverPage } from "./api";
import type { Filters } from "./filterQuery";
import { PagedList } from "./paged";

export const list = new PagedList<RecommendedMovie>();
/** Whether the shown movies were computed before the newest rating. */
export const isOutdated = signal(false);

let shownFilters: string | null = null;

/** Load the list again when the visitor's ratings or the filters have changed.
 *
 * `keepShown`: keep the movies that are shown, and load only the pages after them anew. For a
 * visitor far down the list, who would lose their place.
 */
export function updateList(filters: Filters, keepShown: boolean): void {
  const filterKey = JSON.stringify(filters);
  const key = `${tasteKey.value} ${filterKey}`;
  if (key === list.key) return;
  const load = (cursor: string | null, signal: AbortSignal) =>
    fetchDiscoverPage(filters, cursor, signal);
  if (keepShown && shownFilters === filterKey && list.items.value) {
    list.continueWith(key, load);
    isOutdated.value = true;
  } else {
    shownFilters = filterKey;
    isOutdated.value = false;
    list.show(key, load);
  }
}

/** Replace an outdated list by the new one. */
export function refreshList(): void {
  isOutdated.value = false;
  void list.reload();
}
