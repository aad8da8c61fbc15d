import { expect, test } from "vitest";
import { type Entry, movieOf, toEntries, toTakeOver } from "../../src/visitor/importing";
import { movie } from "../browser";

const NOW = 1_700_000_000;
const entry = (line: number, changes: Partial<Entry> = {}): Entry => ({
  line,
  title: `Movie ${line}`,
  year: 1995,
  stars: 4,
  at: 1_600_000_000,
  movies: [movie(line), movie(line + 100)],
  isSure: true,
  ...changes,
});

test("the answer's match comes before the other movies", () => {
  const named = (id: number) => ({ movie_id: id, title: `Movie ${id}`, year: 1995, genres: ["Drama"] });
  const [first, second] = toEntries({
    source: "Letterboxd",
    skipped: 0,
    seen: [],
    entries: [
      {
        line: 2,
        title: "Heat",
        year: 1995,
        stars: 4.5,
        timestamp: 7,
        movie: named(6),
        confidence: 0.99,
        how: "title",
        is_sure: true,
        others: [named(8)],
      },
      {
        line: 3,
        title: "Nothing",
        year: null,
        stars: null,
        timestamp: null,
        movie: null,
        confidence: 0,
        how: "none",
        is_sure: false,
        others: [],
      },
    ],
  });
  expect(first!.movies.map(({ id }) => id)).toEqual([6, 8]);
  expect([first!.at, first!.isSure]).toEqual([7, true]);
  expect(second!.movies).toEqual([]);
});

test("an unsure match is left out until it is chosen, and a sure one can be left out", () => {
  const unsure = entry(1, { isSure: false });
  expect(movieOf(unsure, new Map())).toBe(null);
  expect(movieOf(unsure, new Map([[1, 101]]))!.id).toBe(101);
  expect(movieOf(entry(1), new Map())!.id).toBe(1);
  expect(movieOf(entry(1), new Map([[1, null]]))).toBe(null);
});

test("the newest rating of a movie counts, and a rating more than being seen", () => {
  const entries = [
    entry(1, { stars: 2, at: 20 }),
    entry(2, { movies: [movie(1)], stars: 5, at: 10 }),
    entry(3, { movies: [movie(1)], stars: null }),
    entry(4, { stars: null }),
  ];
  const { ratings, seen } = toTakeOver(entries, new Map(), NOW);
  expect(ratings).toEqual([{ movie: movie(1), stars: 2, at: 20 }]);
  expect(seen.map(({ id }) => id)).toEqual([4]);
});

test("an entry without a date, or with one in the future, counts as of now", () => {
  const { ratings } = toTakeOver([entry(1, { at: null }), entry(2, { at: NOW + 9 })], new Map(), NOW);
  expect(ratings.map(({ at }) => at)).toEqual([NOW, NOW]);
});
