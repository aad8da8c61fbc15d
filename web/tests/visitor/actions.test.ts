import { beforeEach, describe, expect, test, vi } from "vitest";
import { movie, newBrowser, settle } from "../browser";

let actions: typeof import("../../src/visitor/actions");
let store: typeof import("../../src/visitor/store");
let toasts: typeof import("../../src/components/toasts");

const starsOf = (id: number): number | undefined => store.starsById.value.get(id);

beforeEach(async () => {
  newBrowser();
  actions = await import("../../src/visitor/actions");
  store = await import("../../src/visitor/store");
  toasts = await import("../../src/components/toasts");
});

describe("rating a movie", () => {
  test("names the movie and its stars", () => {
    actions.rateMovie(movie(1, "Heat"), 3.5);
    expect(toasts.toast.value!.text).toBe("Heat: 3.5 stars.");
    expect(starsOf(1)).toBe(3.5);
  });

  test("undone removes the first rating", async () => {
    actions.rateMovie(movie(1), 3.5);
    toasts.toast.value!.undo!();
    await settle();
    expect(starsOf(1)).toBe(undefined);
  });

  test("undone restores the rating before it", async () => {
    actions.rateMovie(movie(1), 2);
    actions.rateMovie(movie(1), 5);
    toasts.toast.value!.undo!();
    await settle();
    expect(starsOf(1)).toBe(2);
  });
});

describe("removing a rating", () => {
  test("can be undone", async () => {
    actions.rateMovie(movie(1), 2);
    actions.unrateMovie(movie(1));
    await settle();
    expect(starsOf(1)).toBe(undefined);
    toasts.toast.value!.undo!();
    expect(starsOf(1)).toBe(2);
  });

  test("undone at once keeps the rating", async () => {
    actions.rateMovie(movie(1), 2);
    actions.unrateMovie(movie(1));
    toasts.toast.value!.undo!();
    await settle();
    expect(starsOf(1)).toBe(2);
  });

  test("of a movie without one says nothing", () => {
    actions.unrateMovie(movie(1));
    expect(toasts.toast.value).toBe(null);
  });
});

test.each(["seen", "notForMe"] as const)("hiding a movie can be undone: %s", (list) => {
  actions.hideMovie(movie(1), list);
  expect(store.visitor.value[list].map(({ id }) => id)).toEqual([1]);
  toasts.toast.value!.undo!();
  expect(store.visitor.value[list]).toEqual([]);
});

describe("a message", () => {
  beforeEach(() => {
    vi.useFakeTimers();
    return () => vi.useRealTimers();
  });

  test("disappears after 8 seconds", () => {
    toasts.showToast("first");
    vi.advanceTimersByTime(7_999);
    expect(toasts.toast.value).toEqual({ text: "first" });
    vi.advanceTimersByTime(1);
    expect(toasts.toast.value).toBe(null);
  });

  test("has 8 seconds of its own after an earlier one", () => {
    toasts.showToast("first");
    vi.advanceTimersByTime(5_000);
    toasts.showToast("second");
    vi.advanceTimersByTime(5_000);
    expect(toasts.toast.value).toEqual({ text: "second" });
  });

  test("that somebody is about to press stays", () => {
    toasts.showToast("first");
    toasts.keepToast();
    vi.advanceTimersByTime(60_000);
    expect(toasts.toast.value).toEqual({ text: "first" });
  });
});
