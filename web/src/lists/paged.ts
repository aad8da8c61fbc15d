/** A list that is loaded page by page, and can be reloaded while the old items are shown. */
import { type Signal, batch, signal } from "@preact/signals";
import type { Id } from "../movie";
import { type ApiError, isAbort, toApiError } from "../api/client";

export interface Page<Item> {
  items: Item[];
  /** Cursor of the next page; null on the last page. */
  next: string | null;
  /** Window of popular movies in days; null: of all time, or not ranked by popularity. */
  days?: number | null;
}
export type LoadPage<Item> = (cursor: string | null, signal: AbortSignal) => Promise<Page<Item>>;

/** `loading`: the first page is loading; `loadingMore`: a later page is loading. */
export type State = "idle" | "loading" | "loadingMore";

export class PagedList<Item extends { id: Id }> {
  /** Null before the first page. */
  readonly items: Signal<Item[] | null> = signal(null);
  readonly state: Signal<State> = signal("idle");
  readonly error: Signal<ApiError | null> = signal(null);
  /** Whether the last page is loaded. */
  readonly isComplete = signal(false);
  /** `days` of the newest page; undefined before the first. */
  readonly days: Signal<number | null | undefined> = signal(undefined);
  #loadPage: LoadPage<Item> = () => Promise.resolve({ items: [], next: null });
  #cursor: string | null = null;
  #key: string | null = null;
  #abort = new AbortController();
  #lastAttempt: "loading" | "loadingMore" = "loading";

  /** Identifies what the list shows. */
  get key(): string | null {
    return this.#key;
  }

  /** Load the first page with `loadPage`; does nothing when `key` is unchanged. */
  show(key: string, loadPage: LoadPage<Item>): void {
    if (key === this.#key) return;
    this.continueWith(key, loadPage);
    void this.reload();
  }

  /** Keep the shown items, and load the pages after them with `loadPage`. */
  continueWith(key: string, loadPage: LoadPage<Item>): void {
    this.#key = key;
    this.#loadPage = loadPage;
  }

  /** Load the first page again. A request under way is aborted. */
  async reload(): Promise<void> {
    this.#abort.abort();
    this.#abort = new AbortController();
    await this.#load("loading", null);
  }

  /** Load the next page; does nothing while a page is loading, or after the last one. */
  async loadMore(): Promise<void> {
    if (this.state.value !== "idle" || this.isComplete.value || !this.items.value) return;
    await this.#load("loadingMore", this.#cursor);
  }

  /** Repeat the request that failed. */
  retry(): Promise<void> {
    return this.#lastAttempt === "loadingMore" ? this.loadMore() : this.reload();
  }

  async #load(state: "loading" | "loadingMore", cursor: string | null): Promise<void> {
    const { signal } = this.#abort;
    this.#lastAttempt = state;
    batch(() => {
      this.state.value = state;
      this.error.value = null;
    });
    try {
      const page = await this.#loadPage(cursor, signal);
      if (signal.aborted) return;
      this.#cursor = page.next;
      const earlier = state === "loadingMore" ? (this.items.value ?? []) : [];
      // In one batch, so that the page renders once.
      batch(() => {
        this.isComplete.value = page.next === null;
        this.days.value = page.days ?? null;
        this.items.value = [...earlier, ...page.items];
        this.state.value = "idle";
      });
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      batch(() => {
        this.error.value = toApiError(error);
        this.state.value = "idle";
      });
    }
  }
}
