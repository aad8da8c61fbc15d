/** A list that grows page by page, and may be made anew while the old one is still shown. */
import { type Signal, batch, signal } from "@preact/signals";
import { type Trouble, aborted, troubleOf } from "../api/client";

export interface Page<Item> {
  items: Item[];
  next: string | null;
  /** Window of popular movies in days; null: of all time, or not ranked by popularity. */
  days?: number | null;
}
export type Load<Item> = (cursor: string | null, signal: AbortSignal) => Promise<Page<Item>>;

/** `fresh`: the first page is on its way; `more`: a further one; `idle`: neither. */
export type State = "fresh" | "more" | "idle";

export class Paged<Item extends { id: number }> {
  readonly items: Signal<Item[] | null> = signal(null);
  readonly state: Signal<State> = signal("idle");
  readonly trouble: Signal<Trouble | null> = signal(null);
  readonly done = signal(false);
  /** `days` of the page that came last; undefined before there is one. */
  readonly days: Signal<number | null | undefined> = signal(undefined);
  #load: Load<Item> = () => Promise.resolve({ items: [], next: null });
  #next: string | null = null;
  #key: string | null = null;
  #stop = new AbortController();
  #tried: "fresh" | "more" = "fresh";

  get key(): string | null {
    return this.#key;
  }

  /** Show what `load` gives. Nothing happens where `key` is what it was. */
  show(key: string, load: Load<Item>): void {
    if (key === this.#key) return;
    this.#key = key;
    this.#load = load;
    void this.again();
  }

  /** Other pages from here on, after what is shown. */
  goOnWith(key: string, load: Load<Item>): void {
    this.#key = key;
    this.#load = load;
  }

  /** The first page anew. */
  async again(): Promise<void> {
    this.#stop.abort();
    this.#stop = new AbortController();
    await this.#fetched("fresh", null);
  }

  async more(): Promise<void> {
    if (this.state.value !== "idle" || this.done.value || !this.items.value) return;
    await this.#fetched("more", this.#next);
  }

  /** What failed last. */
  retry(): Promise<void> {
    return this.#tried === "more" ? this.more() : this.again();
  }

  async #fetched(state: "fresh" | "more", cursor: string | null): Promise<void> {
    const { signal } = this.#stop;
    this.#tried = state;
    batch(() => {
      this.state.value = state;
      this.trouble.value = null;
    });
    try {
      const page = await this.#load(cursor, signal);
      if (signal.aborted) return;
      this.#next = page.next;
      const before = state === "more" ? (this.items.value ?? []) : [];
      // At once, so that it is drawn once.
      batch(() => {
        this.done.value = page.next === null;
        this.days.value = page.days ?? null;
        this.items.value = [...before, ...page.items];
        this.state.value = "idle";
      });
    } catch (error) {
      if (aborted(error) || signal.aborted) return;
      batch(() => {
        this.trouble.value = troubleOf(error);
        this.state.value = "idle";
      });
    }
  }
}
