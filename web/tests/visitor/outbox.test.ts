import { beforeEach, describe, expect, test } from "vitest";
import { type FakeBrowser, deferred, json, newBrowser } from "../browser";

type Outbox = typeof import("../../src/visitor/outbox");

const KEY = "moovier.outbox";
const rate = (movie: number, stars = 4) =>
  ({ do: "rate", user: 10, movie, stars, at: 1_700_000_000, requestId: null }) as const;

let browser: FakeBrowser;
let outbox: Outbox;

const load = async (): Promise<Outbox> => import("../../src/visitor/outbox");
const sentIds = ({ body }: { body: unknown }): number[] =>
  ((body as { ratings?: { movie_id: number }[] }).ratings ?? []).map(({ movie_id }) => movie_id);
const queued = (): unknown[] => JSON.parse(browser.storage.items.get(KEY) ?? "[]") as unknown[];

beforeEach(async () => {
  browser = newBrowser();
  outbox = await load();
});

describe("a rating", () => {
  test("is sent with its time and the list it came from", async () => {
    await outbox.enqueue({ ...rate(1, 4.5), requestId: "list-1" });
    expect(browser.service.requests).toEqual([
      {
        method: "POST",
        path: "/ratings",
        query: {},
        body: {
          user_id: 10,
          ratings: [{ movie_id: 1, stars: 4.5, timestamp: 1_700_000_000 }],
          request_id: "list-1",
        },
      },
    ]);
    expect(browser.storage.items.has(KEY)).toBe(false);
  });

  test("waits in storage while the service cannot be reached, and is sent after a reload", async () => {
    browser.service.stop();
    await outbox.enqueue(rate(1));
    await outbox.enqueue(rate(2));
    expect(queued()).toEqual([rate(1), rate(2)]);

    const { storage } = browser;
    browser = newBrowser();
    for (const [key, value] of storage.items) browser.storage.items.set(key, value);
    await (await load()).flush();
    expect(browser.service.requests.map(sentIds)).toEqual([[1, 2]]);
    expect(queued()).toEqual([]);
  });

  test("replaces a queued one of the same movie, and not another user's", async () => {
    browser.service.stop();
    await outbox.enqueue(rate(1, 2));
    await outbox.enqueue(rate(2));
    await outbox.enqueue({ ...rate(1, 3), user: 11 });
    await outbox.enqueue(rate(1, 5));
    expect(queued()).toEqual([rate(2), { ...rate(1, 3), user: 11 }, rate(1, 5)]);
  });

  test("given while its predecessor is being sent is sent as well", async () => {
    const first = deferred<Response>();
    browser.service.answer = () =>
      browser.service.requests.length === 1 ? first.promise : json({});
    const sent = outbox.enqueue(rate(1, 2));
    const resent = outbox.enqueue(rate(1, 5));
    first.resolve(json({}));
    await Promise.all([sent, resent]);
    const stars = browser.service.requests.map(
      ({ body }) => (body as { ratings: { stars: number }[] }).ratings[0]!.stars,
    );
    expect(stars).toEqual([2, 5]);
    expect(queued()).toEqual([]);
  });

  test.each([0, 429, 500, 503])("stays queued after a temporary failure: %i", async (status) => {
    if (status) browser.service.answer = () => json({ detail: "no" }, status);
    else browser.service.stop();
    await outbox.enqueue(rate(1));
    expect(queued()).toEqual([rate(1)]);
  });

  test.each([404, 409, 422])("is dropped after a final failure, and the others are sent: %i", async (status) => {
    browser.service.stop();
    await outbox.enqueue(rate(1), rate(2), rate(3));
    browser.service.requests.length = 0;
    browser.service.answer = (request) =>
      sentIds(request).includes(2) ? json({ detail: "no" }, status) : json({});
    await outbox.flush();
    expect(browser.service.requests.map(sentIds)).toEqual([[1, 2, 3], [1], [2], [3]]);
    expect(queued()).toEqual([]);
  });

  test("of another list or user is sent in a request of its own, and 500 at most in one", async () => {
    browser.service.stop();
    const many = Array.from({ length: 501 }, (_, index) => rate(index + 10));
    await outbox.enqueue(rate(1), { ...rate(2), requestId: "list-1" }, { ...rate(3), user: 11 }, ...many);
    browser.service.requests.length = 0;
    browser.service.answer = () => json({});
    await outbox.flush();
    const sent = browser.service.requests.map(sentIds);
    expect(sent.slice(0, 3)).toEqual([[1], [2], [3]]);
    expect(sent.slice(3).map(({ length }) => length)).toEqual([500, 1]);
  });

  test("beyond 10,000 drops the oldest", async () => {
    browser = newBrowser();
    const stored = Array.from({ length: 10_000 }, (_, index) => rate(index + 1));
    browser.storage.items.set(KEY, JSON.stringify(stored));
    browser.service.stop();
    outbox = await load();
    await outbox.enqueue(rate(10_001));
    expect(queued()).toHaveLength(10_000);
    expect(queued()[0]).toEqual(rate(2));
    expect(queued().at(-1)).toEqual(rate(10_001));
  });
});

test.each([401, 403])("after a refusal nothing more is sent or queued: %i", async (status) => {
  browser.service.answer = () => json({ detail: "an API key is required" }, status);
  await outbox.enqueue(rate(1));
  await outbox.enqueue(rate(2));
  await outbox.flush();
  expect(browser.service.requests).toHaveLength(1);
  expect(queued()).toEqual([]);
});

test("concurrent flushes send each rating once", async () => {
  browser.service.stop();
  await outbox.enqueue(rate(1));
  browser.service.requests.length = 0;
  browser.service.answer = () => json({});
  await Promise.all([outbox.flush(), outbox.flush()]);
  expect(browser.service.requests).toHaveLength(1);
});

test("an unrated movie is deleted in the service", async () => {
  await outbox.enqueue({ do: "unrate", user: 10, movie: 5 });
  expect(browser.service.requests).toMatchObject([
    { method: "DELETE", path: "/ratings", query: { user_id: "10", movie_id: "5" } },
  ]);
});

describe("deleting a visitor's ratings", () => {
  test("drops queued ratings, and deletes all in the service", async () => {
    browser.service.stop();
    await outbox.enqueue(rate(1));
    browser.service.requests.length = 0;
    browser.service.answer = () => json({ deleted: 1 });
    const deleted = await outbox.deleteAll([
      { user: 10, movie: null },
      { user: 7, movie: 3 },
    ]);
    expect(deleted).toBe(true);
    expect(browser.service.requests.map(({ method, query }) => [method, query])).toEqual([
      ["DELETE", { user_id: "10" }],
      ["DELETE", { user_id: "7", movie_id: "3" }],
    ]);
    expect(queued()).toEqual([]);
  });

  test("waits for a rating that is being sent", async () => {
    const first = deferred<Response>();
    browser.service.answer = ({ method }) => (method === "POST" ? first.promise : json({}));
    const sent = outbox.enqueue(rate(1));
    const deleted = outbox.deleteAll([{ user: 10, movie: null }]);
    first.resolve(json({}));
    await sent;
    expect(await deleted).toBe(true);
    expect(browser.service.requests.map(({ method }) => method)).toEqual(["POST", "DELETE"]);
  });

  test("is tried although the rating being sent fails", async () => {
    const first = deferred<Response>();
    browser.service.answer = ({ method }) => (method === "POST" ? first.promise : json({}));
    const sent = outbox.enqueue(rate(1));
    const deleted = outbox.deleteAll([{ user: 10, movie: null }]);
    first.resolve(json({ detail: "busy" }, 503));
    await sent;
    expect(await deleted).toBe(true);
    expect(browser.service.requests.map(({ method }) => method)).toEqual(["POST", "DELETE"]);
  });

  test("stays queued while the service cannot be reached", async () => {
    browser.service.stop();
    expect(await outbox.deleteAll([{ user: 10, movie: null }])).toBe(false);
    expect(queued()).toEqual([{ do: "unrate", user: 10, movie: null }]);
  });

  test("needs no request when the service takes no ratings", async () => {
    browser.service.answer = () => json({ detail: "no" }, 401);
    await outbox.enqueue(rate(1));
    browser.service.requests.length = 0;
    expect(await outbox.deleteAll([{ user: 10, movie: null }])).toBe(true);
    expect(browser.service.requests).toEqual([]);
  });
});

test.each(["not JSON", "null", "5", '[null, 1, {"do": "other", "user": 1}, {"do": "rate"}]'])(
  "damaged storage is an empty queue: %s",
  async (text) => {
    browser = newBrowser();
    browser.storage.items.set(KEY, text);
    outbox = await load();
    await outbox.enqueue(rate(1));
    expect(browser.service.requests).toHaveLength(1);
  },
);
