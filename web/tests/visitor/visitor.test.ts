import { describe, expect, test } from "vitest";
import * as visitors from "../../src/visitor/visitor";
import type { Id } from "../../src/movie";
import { movie } from "../browser";

const rated = (...ids: number[]): visitors.Visitor =>
  ids.reduce((visitor, id) => visitors.withRating(visitor, movie(id), 4, id), visitors.newVisitor());
const ids = (visitor: visitors.Visitor): Id[] => visitor.ratings.map(({ movie }) => movie.id);

describe("a visitor", () => {
  test("has a random id above MovieLens's user ids", () => {
    const drawn = Array.from({ length: 50 }, () => visitors.newVisitor().anonymousId);
    expect(new Set(drawn).size).toBe(50);
    expect(drawn.every((id) => id >= 1e9 && Number.isSafeInteger(id))).toBe(true);
  });

  test("sends requests under the MovieLens user id when signed in", () => {
    const visitor = visitors.newVisitor();
    expect(visitors.userIdOf(visitor)).toBe(visitor.anonymousId);
    expect(visitors.userIdOf({ ...visitor, userId: 7 })).toBe(7);
  });
});

test("text ids are stored and read again", () => {
  const slug = { ...movie(1), id: "heat-1995" };
  const visitor = { ...visitors.withRating(visitors.newVisitor(), slug, 4, 1), userId: "6f96-19ff" };
  const read = visitors.parseVisitor(visitors.exportFile(visitor))!;
  expect(visitors.userIdOf(read)).toBe("6f96-19ff");
  expect(visitors.starsOf(read, "heat-1995")).toBe(4);
  const empty = { film: { ...slug, id: "" }, stars: 4, at: 1, user: 1 };
  expect(visitors.parseVisitor(JSON.stringify({ ratings: [empty] }))).toBe(null);
});

describe("ratings", () => {
  test("a new rating of a movie replaces the old one and becomes the newest", () => {
    const visitor = visitors.withRating(rated(1, 2), movie(1), 2.5, 99);
    expect(ids(visitor)).toEqual([2, 1]);
    expect(visitors.starsOf(visitor, 1)).toBe(2.5);
    expect(visitor.ratings[1]).toMatchObject({ at: 99, user: visitor.anonymousId });
  });

  test("rating a hidden movie shows it again", () => {
    const hidden = visitors.withMovieHidden(rated(), movie(1), "seen");
    expect(visitors.hiddenMovieIds(visitors.withRating(hidden, movie(1), 3, 1))).toEqual([]);
  });

  test("a movie without a rating has no stars", () => {
    expect(visitors.starsOf(rated(1), 2)).toBe(null);
  });

  test("removing a movie removes its rating and no other", () => {
    expect(ids(visitors.withoutMovie(rated(1, 2, 3), 2))).toEqual([1, 3]);
  });

  test("only the fields of a summary are kept of a movie", () => {
    const recommended = { ...movie(1), stars: 4.2, because: [], requestId: "list-1" };
    const visitor = visitors.withRating(visitors.newVisitor(), recommended, 3, 1);
    expect(visitor.ratings[0]!.movie).toEqual(movie(1));
  });
});

describe("hidden movies", () => {
  test("a movie is in one list only, and keeps its rating", () => {
    const seen = visitors.withMovieHidden(rated(1), movie(1), "seen");
    const visitor = visitors.withMovieHidden(seen, movie(1), "notForMe");
    expect(visitor.seen).toEqual([]);
    expect(visitor.notForMe).toEqual([movie(1)]);
    expect(ids(visitor)).toEqual([1]);
  });

  test("showing a movie again keeps the others hidden", () => {
    let visitor = visitors.withMovieHidden(rated(), movie(1), "seen");
    visitor = visitors.withMovieHidden(visitor, movie(2), "seen");
    visitor = visitors.withMovieHidden(visitor, movie(3), "notForMe");
    expect(visitors.hiddenMovieIds(visitors.withMovieShown(visitor, 1))).toEqual([2, 3]);
  });
});

describe("the stored form", () => {
  const visitor: visitors.Visitor = {
    anonymousId: 1_234_567_890,
    userId: 7,
    ratings: [{ movie: movie(1), stars: 4.5, at: 1_700_000_000, user: 7 }],
    seen: [movie(2)],
    notForMe: [movie(3)],
  };

  test("keeps the keys that earlier versions of the page wrote", () => {
    expect(JSON.parse(visitors.exportFile(visitor))).toEqual({
      what: "Moovier: a person's ratings",
      version: 1,
      anonymousId: 1_234_567_890,
      userId: 7,
      ratings: [{ film: movie(1), stars: 4.5, at: 1_700_000_000, user: 7 }],
      seen: [movie(2)],
      notForMe: [movie(3)],
    });
  });

  test("is read back unchanged, also from an export file", () => {
    expect(visitors.parseVisitor(JSON.stringify(visitors.toStored(visitor)))).toEqual(visitor);
    expect(visitors.parseVisitor(visitors.exportFile(visitor))).toEqual(visitor);
  });

  test.each([
    "not JSON",
    "null",
    "[]",
    "{}",
    '{"ratings": 5}',
    '{"ratings": [null]}',
    '{"ratings": [{"film": {"id": 0, "title": "x"}, "stars": 4}]}',
    '{"ratings": [{"film": {"id": 1}, "stars": 4}]}',
    '{"ratings": [{"film": {"id": 1, "title": "x"}}]}',
    '{"ratings": [{"film": {"id": 1, "title": "x"}, "stars": 0}]}',
    '{"ratings": [{"film": {"id": 1, "title": "x"}, "stars": 5.5}]}',
    '{"ratings": [{"film": {"id": 1, "title": "x"}, "stars": 3.3}]}',
    '{"ratings": [], "seen": 1}',
    '{"ratings": [], "notForMe": [{}]}',
  ])("is refused when invalid: %s", (text) => {
    expect(visitors.parseVisitor(text)).toBe(null);
  });

  test("may lack everything but the ratings", () => {
    const parsed = visitors.parseVisitor('{"ratings": [{"film": {"id": 1, "title": "x"}, "stars": 1}]}');
    expect(parsed).toMatchObject({
      userId: null,
      ratings: [{ movie: { id: 1, title: "x", year: null, genres: [], poster: null }, at: 0, user: 0 }],
      seen: [],
      notForMe: [],
    });
    expect(parsed!.anonymousId).toBeGreaterThanOrEqual(1e9);
  });

  test("gets a new anonymous id in place of one that may be a MovieLens user's", () => {
    const parsed = visitors.parseVisitor('{"ratings": [], "anonymousId": 42}');
    expect(parsed!.anonymousId).toBeGreaterThanOrEqual(1e9);
  });

  test("drops poster paths that would change the URL of the image", () => {
    for (const poster of ["//evil.test/a.jpg", "/../a.jpg?x", "a.jpg", 5]) {
      const text = JSON.stringify({ ratings: [], seen: [{ ...movie(1), poster }] });
      expect(visitors.parseVisitor(text)!.seen[0]!.poster).toBe(null);
    }
  });
});
