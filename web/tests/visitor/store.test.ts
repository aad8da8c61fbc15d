import { beforeEach, describe, expect, test } from "vitest";
import type { Id } from "../../src/movie";
import { toStored, newVisitor, withRating } from "../../src/visitor/visitor";
import { type FakeBrowser, deferred, json, movie, newBrowser, settle } from "../browser";

type Store = typeof import("../../src/visitor/store");

const KEY = "moovier.person";

let browser: FakeBrowser;
let store: Store;

const load = async (): Promise<Store> => import("../../src/visitor/store");
const stored = (): Record<string, unknown> =>
  JSON.parse(browser.storage.items.get(KEY)!) as Record<string, unknown>;
const ratedIds = (): Id[] => store.visitor.value.ratings.map(({ movie }) => movie.id);
const storageEvent = (key: string, newValue: string | null): Event =>
  Object.assign(new Event("storage"), { key, newValue });

beforeEach(async () => {
  browser = newBrowser();
  store = await load();
});

describe("storage", () => {
  test("a new visitor is stored at once, and the same after a reload", async () => {
    const { anonymousId } = store.visitor.value;
    expect(stored()).toEqual({ anonymousId, userId: null, ratings: [], seen: [], notForMe: [] });
    store.rate(movie(1), 4);
    await settle();
    const { items } = browser.storage;
    browser = newBrowser();
    browser.storage.items.set(KEY, items.get(KEY)!);
    store = await load();
    expect(store.visitor.value.anonymousId).toBe(anonymousId);
    expect(ratedIds()).toEqual([1]);
  });

  test("damaged data starts a new visitor", async () => {
    browser = newBrowser();
    browser.storage.items.set(KEY, '{"ratings": [null]}');
    store = await load();
    expect(ratedIds()).toEqual([]);
    expect(stored()["ratings"]).toEqual([]);
  });

  test("disabled storage is reported", () => {
    expect(store.isStored.value).toBe(true);
    browser.storage.isDisabled = true;
    store.rate(movie(1), 4);
    expect(store.isStored.value).toBe(false);
    expect(ratedIds()).toEqual([1]);
  });

  test("a change in another window appears in this one", () => {
    const other = withRating(newVisitor(), movie(8), 2, 1);
    browser.dispatch(storageEvent(KEY, JSON.stringify(toStored(other))));
    expect(store.visitor.value).toEqual(other);
  });

  test.each([
    ["another.key", '{"ratings": [], "userId": 9}'],
    [KEY, "not JSON"],
    [KEY, null],
  ])("an unrelated change in another window is ignored: %s %s", (key, value) => {
    const before = store.visitor.value;
    browser.dispatch(storageEvent(key, value));
    expect(store.visitor.value).toBe(before);
  });
});

describe("a hidden movie", () => {
  const sent = () =>
    browser.service.requests.map(({ method, path, query, body }) => [method, path, body ?? query]);

  test("is sent as an event, and deleted when it is shown again", async () => {
    store.hide(movie(1), "seen");
    await settle();
    store.hide(movie(1), "notForMe");
    await settle();
    store.unhide(1);
    await settle();
    const user = store.visitor.value.anonymousId;
    const query = (event: string) => ({ user_id: String(user), movie_id: "1", event });
    const event = (name: string) => ({ user_id: user, events: [{ movie_id: 1, event: name }] });
    expect(sent()).toMatchObject([
      ["POST", "/events", event("seen")],
      ["DELETE", "/events", query("seen")],
      ["POST", "/events", event("not_for_me")],
      ["DELETE", "/events", query("not_for_me")],
    ]);
  });

  test("is no longer hidden in the service once it is rated", async () => {
    store.hide(movie(1), "seen");
    store.rate(movie(1), 4);
    await settle();
    expect(sent().map(([method, path]) => [method, path])).toEqual([
      ["POST", "/events"],
      ["DELETE", "/events"],
      ["POST", "/ratings"],
    ]);
  });

  test("of a file is sent with the others in one request", async () => {
    store.takeOver([], [movie(1), movie(2)]);
    await settle();
    expect(sent()).toMatchObject([
      ["POST", "/events", { events: [{ movie_id: 1 }, { movie_id: 2, event: "seen" }] }],
    ]);
  });

  test("of a MovieLens user is deleted there when the visitor is forgotten", async () => {
    store.signIn(7);
    store.hide(movie(1), "seen");
    await settle();
    expect(await store.forget()).toBe(true);
    const query = { user_id: "7", movie_id: "1", event: "seen" };
    expect(sent().slice(-1)).toEqual([["DELETE", "/events", query]]);
  });
});

describe("a rating", () => {
  test("is shown at once and sent under the visitor's id", async () => {
    store.rate(movie(1), 4.5, "list-1");
    expect(store.starsById.value.get(1)).toBe(4.5);
    await settle();
    expect(browser.service.requests).toMatchObject([
      { path: "/ratings", body: { user_id: store.visitor.value.anonymousId, request_id: "list-1" } },
    ]);
  });

  test("given offline is sent when the browser is online again", async () => {
    browser.service.stop();
    store.rate(movie(1), 4);
    await settle();
    browser.service.requests.length = 0;
    browser.service.answer = () => json({});
    browser.dispatch(new Event("online"));
    await settle();
    expect(browser.service.requests).toHaveLength(1);
  });

  test("of a signed-in visitor is sent under the MovieLens user id", async () => {
    store.signIn(7);
    store.rate(movie(1), 4);
    await settle();
    expect(browser.service.requests).toMatchObject([{ body: { user_id: 7 } }]);
    expect(store.visitor.value.ratings[0]!.user).toBe(7);
  });

  test("is removed in the service under the id it was sent under", async () => {
    store.signIn(7);
    store.rate(movie(1), 4);
    store.signIn(null);
    await store.unrate(1);
    expect(browser.service.requests.at(-1)).toMatchObject({
      method: "DELETE",
      query: { user_id: "7", movie_id: "1" },
    });
    expect(ratedIds()).toEqual([]);
  });

  test("is removed in the browser only after the service has deleted it", async () => {
    store.rate(movie(1), 4);
    await settle();
    const answer = deferred<Response>();
    browser.service.answer = () => answer.promise;
    const removed = store.unrate(1);
    await settle();
    expect(ratedIds()).toEqual([1]);
    answer.resolve(json({ deleted: 1 }));
    await removed;
    expect(ratedIds()).toEqual([]);
  });

  test("is removed in the browser also when the service cannot be reached", async () => {
    store.rate(movie(1), 4);
    browser.service.stop();
    await store.unrate(1);
    expect(ratedIds()).toEqual([]);
  });

  test("given again while it is being removed stays", async () => {
    store.rate(movie(1), 4);
    await settle();
    const answer = deferred<Response>();
    browser.service.answer = ({ method }) => (method === "DELETE" ? answer.promise : json({}));
    const removed = store.unrate(1);
    await settle();
    store.rate(movie(1), 4);
    answer.resolve(json({ deleted: 1 }));
    await removed;
    expect(ratedIds()).toEqual([1]);
    expect(browser.service.requests.at(-1)!.method).toBe("POST");
  });
});

describe("derived values", () => {
  test("lists are personal with a rating, or signed in as a user", () => {
    expect(store.isPersonalised.value).toBe(false);
    store.signIn(3);
    expect(store.isPersonalised.value).toBe(true);
    store.signIn(null);
    store.rate(movie(1), 1);
    expect(store.isPersonalised.value).toBe(true);
  });

  test("the taste key changes with ratings and the user, not with hidden movies", () => {
    const keys = [store.tasteKey.value];
    const remember = () => keys.push(store.tasteKey.value);
    store.rate(movie(1), 3);
    remember();
    store.rate(movie(1), 4);
    remember();
    store.signIn(5);
    remember();
    expect(new Set(keys).size).toBe(4);
    store.hide(movie(2), "seen");
    expect(store.tasteKey.value).toBe(keys.at(-1));
  });

  test("hidden movies can be shown again", () => {
    store.hide(movie(1), "seen");
    store.hide(movie(2), "notForMe");
    expect(store.hiddenIds.value).toEqual(new Set([1, 2]));
    store.unhide(1);
    expect(store.hiddenIds.value).toEqual(new Set([2]));
  });
});

describe("import", () => {
  test("replaces the visitor", () => {
    const other = withRating(newVisitor(), movie(8), 2, 1);
    expect(store.importFile(JSON.stringify(toStored(other)))).toBe(true);
    expect(store.visitor.value).toEqual(other);
  });

  test("of another file changes nothing", () => {
    store.rate(movie(1), 4);
    expect(store.importFile('{"name": "other"}')).toBe(false);
    expect(ratedIds()).toEqual([1]);
  });
});

describe("forgetting", () => {
  test("starts a new visitor, and deletes only ratings given in this browser", async () => {
    const { anonymousId } = store.visitor.value;
    store.rate(movie(1), 4);
    store.signIn(7);
    store.rate(movie(2), 5);
    await settle();
    browser.service.requests.length = 0;
    expect(await store.forget()).toBe(true);
    expect(browser.service.requests.map(({ method, query }) => [method, query])).toEqual([
      ["DELETE", { user_id: String(anonymousId) }],
      ["DELETE", { user_id: "7", movie_id: "2" }],
    ]);
    expect(store.visitor.value).toMatchObject({ userId: null, ratings: [] });
    expect(store.visitor.value.anonymousId).not.toBe(anonymousId);
    expect(stored()["anonymousId"]).toBe(store.visitor.value.anonymousId);
  });

  test("without the service deletes here at once, and there later", async () => {
    const { anonymousId } = store.visitor.value;
    store.rate(movie(1), 4);
    browser.service.stop();
    expect(await store.forget()).toBe(false);
    expect(ratedIds()).toEqual([]);
    browser.service.requests.length = 0;
    browser.service.answer = () => json({ deleted: 1 });
    browser.dispatch(new Event("online"));
    await settle();
    expect(browser.service.requests).toMatchObject([
      { method: "DELETE", query: { user_id: String(anonymousId) } },
    ]);
  });
});

test("ratings of another service are stored in the order of their times and sent at once", async () => {
  store.rate(movie(1), 1);
  await settle();
  store.takeOver(
    [
      { movie: movie(2), stars: 4, at: 20 },
      { movie: movie(3), stars: 5, at: 10 },
    ],
    [movie(4), movie(2)],
  );
  await settle();
  expect(ratedIds()).toEqual([1, 3, 2]);
  expect(store.visitor.value.seen.map(({ id }) => id)).toEqual([4]);
  const sent = browser.service.requests.at(-2)!.body as { ratings: { movie_id: number }[] };
  expect(sent.ratings.map(({ movie_id }) => movie_id)).toEqual([3, 2]);
});
