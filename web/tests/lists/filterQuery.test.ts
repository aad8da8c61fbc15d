import { describe, expect, test } from "vitest";
import {
  NO_FILTERS,
  filtersToUrl,
  hasFilters,
  parseFilters,
  parseYear,
} from "../../src/lists/filterQuery";

/** What the router reads from a URL. */
const queryOf = (url: string): Record<string, string> =>
  Object.fromEntries(new URL(url, "http://moovier.test").searchParams);

describe("the URL", () => {
  test.each([
    [NO_FILTERS, "/"],
    [{ ...NO_FILTERS, genres: ["Sci-Fi", "War"] }, "/?genres=Sci-Fi%2CWar"],
    [{ ...NO_FILTERS, yearFrom: 1990 }, "/?from=1990"],
    [
      { ...NO_FILTERS, genres: ["Drama"], yearFrom: 1990, yearTo: 1999 },
      "/?genres=Drama&from=1990&to=1999",
    ],
    [{ ...NO_FILTERS, order: "varied" as const }, "/?order=varied"],
    [{ ...NO_FILTERS, providers: [8, 337], country: "FR" }, "/?on=8%2C337&in=FR"],
    [{ ...NO_FILTERS, runtimeFrom: 90, runtimeTo: 120 }, "/?min=90&max=120"],
    [{ ...NO_FILTERS, language: "fr" }, "/?language=fr"],
  ])("keeps the filters %j", (filters, url) => {
    expect(filtersToUrl(filters)).toBe(url);
    expect(parseFilters(queryOf(url))).toEqual(filters);
  });

  test("with invalid values has no filters", () => {
    expect(parseFilters({ genres: ",,", from: "199", to: "later", order: "best" })).toEqual(NO_FILTERS);
    const invalid = { on: "0,x,-1", in: "FR", min: "0", max: "1.5", language: "FR" };
    expect(parseFilters(invalid)).toEqual(NO_FILTERS);
  });

  test("of movies on the rise has no filters by what only TMDB knows", () => {
    const query = { order: "trending", on: "8", in: "FR", max: "90", language: "fr" };
    expect(parseFilters(query)).toEqual({ ...NO_FILTERS, order: "trending" });
  });
});

test.each([
  ["1995", 1995],
  ["1800", 1800],
  ["2200", 2200],
  ["1799", null],
  ["2201", null],
  ["199", null],
  ["19950", null],
  ["19a5", null],
  ["", null],
  [undefined, null],
])("the year of %j is %j", (text, year) => {
  expect(parseYear(text)).toBe(year);
});

test("any filter counts", () => {
  expect(hasFilters(NO_FILTERS)).toBe(false);
  expect(hasFilters({ ...NO_FILTERS, order: "trending" })).toBe(false);
  expect(hasFilters({ ...NO_FILTERS, genres: ["War"] })).toBe(true);
  expect(hasFilters({ ...NO_FILTERS, yearFrom: 1990 })).toBe(true);
  expect(hasFilters({ ...NO_FILTERS, yearTo: 1990 })).toBe(true);
  expect(hasFilters({ ...NO_FILTERS, providers: [8] })).toBe(true);
  expect(hasFilters({ ...NO_FILTERS, runtimeTo: 90 })).toBe(true);
  expect(hasFilters({ ...NO_FILTERS, language: "fr" })).toBe(true);
  // A country alone filters nothing.
  expect(hasFilters({ ...NO_FILTERS, country: "FR" })).toBe(false);
});
