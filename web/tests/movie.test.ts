import { describe, expect, test } from "vitest";
import { moviePath, parseId, posterUrl, titleWithYear, toMovie, toMovieDetails } from "../src/movie";

const FIELDS = {
  title: "Heat",
  release_date: "1995-12-15",
  genres: [{ id: 80, name: "Crime" }, { id: 18, name: "Drama" }],
  poster_path: "/heat.jpg",
};

describe("a movie", () => {
  test("is read from TMDB's fields", () => {
    expect(toMovie(6, FIELDS)).toEqual({
      id: 6,
      title: "Heat",
      year: 1995,
      genres: ["Crime", "Drama"],
      poster: "/heat.jpg",
    });
  });

  test.each([
    [{}],
    [{ title: " ", release_date: "", genres: "Crime", poster_path: 5 }],
    [{ title: null, release_date: null, genres: [{ name: null }, {}], poster_path: null }],
  ])("has defaults for missing and invalid fields: %j", (fields) => {
    expect(toMovie(6, fields)).toEqual({ id: 6, title: "#6", year: null, genres: [], poster: null });
  });

  test.each(["//evil.test/a.jpg", "/a.exe", "/a b.jpg", "a.jpg", "/a.jpg?x=1", "/../../a/b.jpg"])(
    "has no poster for the path %s",
    (path) => {
      expect(toMovie(6, { poster_path: path }).poster).toBe(null);
    },
  );

  test("is named with its year if it has one", () => {
    expect(titleWithYear({ title: "Heat", year: 1995 })).toBe("Heat (1995)");
    expect(titleWithYear({ title: "Heat", year: null })).toBe("Heat");
  });

  test("has its poster on TMDB's image server", () => {
    expect(posterUrl("/heat.jpg", 342)).toBe("https://image.tmdb.org/t/p/w342/heat.jpg");
  });
});

describe("a movie's details", () => {
  const answer = {
    movie_id: 6,
    movie: { ...FIELDS, id: 949, imdb_id: "tt0113277", runtime: 170, original_title: "Heat" },
    title: "Heat",
    year: 1995,
    genres: ["Crime"],
    ratings: 102,
    mean_stars: 3.9,
  };

  test("are read from the service's answer", () => {
    expect(toMovieDetails(answer)).toMatchObject({
      id: 6,
      ratings: 102,
      meanStars: 3.9,
      overview: null,
      runtimeMinutes: 170,
      imdbId: "tt0113277",
      tmdbId: 949,
    });
  });

  test("have an original title only if it differs", () => {
    expect(toMovieDetails(answer).originalTitle).toBe(null);
    const translated = { ...answer, movie: { ...answer.movie, original_title: "Hitze" } };
    expect(toMovieDetails(translated).originalTitle).toBe("Hitze");
  });

  test("have no running time of 0 minutes", () => {
    const unknown = { ...answer, movie: { ...answer.movie, runtime: 0 } };
    expect(toMovieDetails(unknown).runtimeMinutes).toBe(null);
  });
});

test("the address of a movie escapes its id, and reads it again", () => {
  expect(moviePath(7)).toBe("/movie/7");
  expect(moviePath("what, now?/2")).toBe("/movie/what%2C%20now%3F%2F2");
  expect(parseId("7")).toBe(7);
  expect(parseId("007")).toBe("007");
  expect(parseId("heat-1995")).toBe("heat-1995");
});
