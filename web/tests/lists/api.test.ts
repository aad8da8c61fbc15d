import { beforeEach, describe, expect, test } from "vitest";
import { NO_FILTERS } from "../../src/lists/filterQuery";
import { type FakeBrowser, json, movie, newBrowser, settle } from "../browser";

let browser: FakeBrowser;
let api: typeof import("../../src/lists/api");
let store: typeof import("../../src/visitor/store");

const signal = () => new AbortController().signal;
const answer = {
  request_id: "list-1",
  model: "moovier_ease_1_trained_0",
  model_version: 1,
  items: [
    {
      movie_id: 6,
      movie: { title: "Heat", release_date: "1995-12-15", genres: [{ id: 1, name: "Crime" }], poster_path: "/heat.jpg" },
      score: 0.5,
      stars: 4.1,
      source: "model",
      because: [{ movie_id: 1, title: "Toy Story" }],
    },
  ],
  next: "c1",
  days: 90,
};

beforeEach(async () => {
  browser = newBrowser();
  browser.service.answer = () => json(answer);
  store = await import("../../src/visitor/store");
  api = await import("../../src/lists/api");
});

/** Rate and hide movies, and forget the requests of that. */
async function prepare(change: () => void): Promise<void> {
  change();
  await settle();
  browser.service.requests.length = 0;
}

test("the first view shows popular movies to a visitor without ratings", async () => {
  const page = await api.fetchDiscoverPage(NO_FILTERS, null, signal());
  expect(browser.service.requests).toEqual([
    { method: "GET", path: "/popular", query: { top_k: "24" }, body: null },
  ]);
  expect(page).toEqual({
    items: [
      {
        id: 6,
        title: "Heat",
        year: 1995,
        genres: ["Crime"],
        poster: "/heat.jpg",
        stars: 4.1,
        starsByPerson: [],
        because: [{ id: 1, title: "Toy Story" }],
        requestId: "list-1",
      },
    ],
    next: "c1",
    days: 90,
  });
});

test("popular movies are filtered, and continue at a cursor", async () => {
  const filters = { ...NO_FILTERS, genres: ["War"], yearFrom: 1950, yearTo: 1999 };
  await api.fetchDiscoverPage(filters, "c1", signal());
  expect(browser.service.requests[0]!.query).toEqual({
    top_k: "24",
    genres: "War",
    year_from: "1950",
    year_to: "1999",
    cursor: "c1",
  });
});

test("trending movies come from their own route", async () => {
  await api.fetchDiscoverPage({ ...NO_FILTERS, order: "trending" }, null, signal());
  expect(browser.service.requests[0]).toMatchObject({ method: "GET", path: "/trending" });
});

test("filters by what only TMDB knows are sent with the visitor's country", async () => {
  await api.fetchDiscoverPage({ ...NO_FILTERS, providers: [8], runtimeTo: 120 }, null, signal());
  await api.fetchDiscoverPage({ ...NO_FILTERS, providers: [8], country: "FR", language: "fr" }, null, signal());
  const [own, french] = browser.service.requests;
  expect(own).toMatchObject({ method: "POST", path: "/recommend" });
  expect(own!.body).toMatchObject({ ratings: [], providers: [8], region: "GB", runtime_to: 120 });
  expect(own!.body).not.toHaveProperty("language");
  expect(french!.body).toMatchObject({ providers: [8], region: "FR", language: "fr" });
});

test("the order of a personal list asks for variety", async () => {
  await prepare(() => store.rate(movie(1), 4.5));
  await api.fetchDiscoverPage({ ...NO_FILTERS, order: "varied" }, null, signal());
  await api.fetchDiscoverPage({ ...NO_FILTERS, order: "trending" }, null, signal());
  const [varied, other] = browser.service.requests.map(({ body }) => body);
  expect(varied).toMatchObject({ diversity: 0.4, max_per_series: 1 });
  expect(other).not.toHaveProperty("diversity");
});

test("friends come with the visitor, who is the first person", async () => {
  await prepare(() => {
    store.rate(movie(1), 4.5);
    store.hide(movie(2), "seen");
  });
  await api.fetchForGroup([new Map([[7, 3.5]])], null, signal());
  expect(browser.service.requests[0]!.body).toMatchObject({
    people: [
      { user_id: store.visitor.value.anonymousId, ratings: [{ movie_id: 1, stars: 4.5 }] },
      { ratings: { 7: 3.5 } },
    ],
    exclude: [2],
  });
});

test("a visitor with ratings gets recommendations for them", async () => {
  await prepare(() => {
    store.rate(movie(1), 4.5);
    store.hide(movie(2), "seen");
  });
  await api.fetchDiscoverPage({ ...NO_FILTERS, genres: ["War"] }, "c1", signal());
  const { anonymousId, ratings } = store.visitor.value;
  expect(browser.service.requests).toEqual([
    {
      method: "POST",
      path: "/recommend",
      query: {},
      body: {
        user_id: anonymousId,
        ratings: [{ movie_id: 1, stars: 4.5, timestamp: ratings[0]!.at }],
        top_k: 24,
        genres: ["War"],
        year_from: null,
        year_to: null,
        exclude: [2],
        cursor: "c1",
      },
    },
  ]);
});

test("hidden movies alone are excluded without a user id", async () => {
  await prepare(() => store.hide(movie(2), "notForMe"));
  await api.fetchDiscoverPage(NO_FILTERS, null, signal());
  const { path, body } = browser.service.requests[0]!;
  expect(path).toBe("/recommend");
  expect(body).toMatchObject({ ratings: [], exclude: [2] });
  expect(body).not.toHaveProperty("user_id");
});

test.each([0, 2 ** 32])("a rating with the invalid time %i is sent without it", async (at) => {
  await prepare(() => {
    store.importFile(JSON.stringify({ ratings: [{ film: movie(1), stars: 4, at }] }));
  });
  await api.fetchDiscoverPage(NO_FILTERS, null, signal());
  expect(browser.service.requests[0]!.body).toMatchObject({ ratings: [{ movie_id: 1, stars: 4 }] });
  expect(JSON.stringify(browser.service.requests[0]!.body)).not.toContain("timestamp");
});

test("similar movies are requested by movie and cursor", async () => {
  await api.fetchSimilar(6, "c1", signal());
  expect(browser.service.requests).toEqual([
    { method: "GET", path: "/movies/6/similar", query: { top_k: "12", cursor: "c1" }, body: null },
  ]);
});

describe("the first view's list", () => {
  let discover: typeof import("../../src/lists/discover");

  beforeEach(async () => {
    discover = await import("../../src/lists/discover");
    discover.updateList(NO_FILTERS, false);
    await settle();
    browser.service.requests.length = 0;
  });

  test("is not loaded again without a change", async () => {
    discover.updateList(NO_FILTERS, false);
    await settle();
    expect(browser.service.requests).toEqual([]);
  });

  test("is replaced after a rating", async () => {
    await prepare(() => store.rate(movie(1), 4));
    discover.updateList(NO_FILTERS, false);
    await settle();
    expect(browser.service.requests.map(({ path }) => path)).toEqual(["/recommend"]);
    expect(discover.isOutdated.value).toBe(false);
  });

  test("stays for a visitor far down, until they ask for the new one", async () => {
    await prepare(() => store.rate(movie(1), 4));
    discover.updateList(NO_FILTERS, true);
    await settle();
    expect(browser.service.requests).toEqual([]);
    expect(discover.isOutdated.value).toBe(true);
    discover.refreshList();
    await settle();
    expect(browser.service.requests.map(({ path }) => path)).toEqual(["/recommend"]);
    expect(discover.isOutdated.value).toBe(false);
  });

  test("is replaced by other filters, also for a visitor far down", async () => {
    discover.updateList({ ...NO_FILTERS, genres: ["War"] }, true);
    await settle();
    expect(browser.service.requests).toMatchObject([{ query: { genres: "War" } }]);
    expect(discover.isOutdated.value).toBe(false);
  });
});
