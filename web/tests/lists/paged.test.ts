import { beforeEach, describe, expect, test } from "vitest";
import { ApiError } from "../../src/api/client";
import { type Page, PagedList } from "../../src/lists/paged";
import { type Deferred, deferred, settle } from "../browser";

interface Item {
  id: number;
}
interface Call {
  cursor: string | null;
  signal: AbortSignal;
  page: Deferred<Page<Item>>;
}

const page = (ids: number[], next: string | null): Page<Item> => ({
  items: ids.map((id) => ({ id })),
  next,
});

let list: PagedList<Item>;
let calls: Call[];

/** Records each request; the test answers it. */
const load = (cursor: string | null, signal: AbortSignal): Promise<Page<Item>> => {
  calls.push({ cursor, signal, page: deferred() });
  return calls.at(-1)!.page.promise;
};
const answer = async (answered: Page<Item>): Promise<void> => {
  calls.at(-1)!.page.resolve(answered);
  await settle();
};
const fail = async (error: unknown): Promise<void> => {
  calls.at(-1)!.page.reject(error);
  await settle();
};
const ids = (): number[] | undefined => list.items.value?.map(({ id }) => id);

beforeEach(() => {
  list = new PagedList();
  calls = [];
});

describe("pages", () => {
  test("are appended until the last one", async () => {
    list.show("a", load);
    expect(list.state.value).toBe("loading");
    expect(list.items.value).toBe(null);
    await answer(page([1, 2], "c1"));
    expect(list.state.value).toBe("idle");

    void list.loadMore();
    expect(list.state.value).toBe("loadingMore");
    expect(ids()).toEqual([1, 2]);
    await answer(page([3], null));

    expect(calls.map(({ cursor }) => cursor)).toEqual([null, "c1"]);
    expect(ids()).toEqual([1, 2, 3]);
    expect(list.isComplete.value).toBe(true);
    await list.loadMore();
    expect(calls).toHaveLength(2);
  });

  test("are not loaded twice at the same time", async () => {
    list.show("a", load);
    void list.loadMore();
    expect(calls).toHaveLength(1);
    await answer(page([1], "c1"));
    void list.loadMore();
    void list.loadMore();
    expect(calls).toHaveLength(2);
  });

  test("pass on the window of popular movies", async () => {
    expect(list.days.value).toBe(undefined);
    list.show("a", load);
    await answer({ ...page([1], "c1"), days: 90 });
    expect(list.days.value).toBe(90);
    void list.loadMore();
    await answer(page([2], null));
    expect(list.days.value).toBe(null);
  });
});

describe("another list", () => {
  test("with the same key is not loaded", () => {
    list.show("a", load);
    list.show("a", load);
    expect(calls).toHaveLength(1);
    expect(list.key).toBe("a");
  });

  test("replaces the items when it arrives, and aborts the request before", async () => {
    list.show("a", load);
    await answer(page([1], "c1"));
    void list.loadMore();
    const more = calls[1]!;
    list.show("b", load);
    expect(more.signal.aborted).toBe(true);
    expect(ids()).toEqual([1]);

    more.page.resolve(page([2], null));
    await settle();
    expect(ids()).toEqual([1]);
    expect(list.state.value).toBe("loading");

    await answer(page([9], null));
    expect(ids()).toEqual([9]);
  });

  test("can continue after the shown items", async () => {
    list.show("a", load);
    await answer(page([1, 2], "c1"));
    list.continueWith("b", load);
    expect(calls).toHaveLength(1);
    expect(list.key).toBe("b");
    void list.loadMore();
    await answer(page([7], null));
    expect(ids()).toEqual([1, 2, 7]);
  });
});

describe("an error", () => {
  test("of the first page is shown, and retried", async () => {
    list.show("a", load);
    await fail(new ApiError(503, "no model"));
    expect(list.error.value).toMatchObject({ status: 503, message: "no model" });
    expect(list.state.value).toBe("idle");
    void list.retry();
    expect(list.error.value).toBe(null);
    await answer(page([1], null));
    expect(ids()).toEqual([1]);
  });

  test("of a later page keeps the items, and retries that page", async () => {
    list.show("a", load);
    await answer(page([1], "c1"));
    void list.loadMore();
    await fail(new ApiError(0, "away"));
    expect(ids()).toEqual([1]);
    void list.retry();
    await answer(page([2], null));
    expect(calls.map(({ cursor }) => cursor)).toEqual([null, "c1", "c1"]);
    expect(ids()).toEqual([1, 2]);
  });

  test("of the page's own code is shown with status -1", async () => {
    list.show("a", load);
    await fail(new TypeError("x is undefined"));
    expect(list.error.value).toMatchObject({ status: -1, message: "TypeError: x is undefined" });
  });

  test("of an aborted request is not shown", async () => {
    list.show("a", load);
    const first = calls[0]!;
    list.show("b", load);
    first.page.reject(new DOMException("aborted", "AbortError"));
    await settle();
    expect(list.error.value).toBe(null);
    expect(list.state.value).toBe("loading");
  });
});
