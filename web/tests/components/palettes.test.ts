import { expect, test } from "vitest";
import { lookOf, randomNumbers } from "../../src/components/palettes";
import { texts } from "../../src/texts";
import { movie } from "../browser";

const GENRES = [...Object.keys(texts.genres), ...Object.keys(texts.tmdbGenres)];

/** The relative luminance of a colour, by the WCAG's formula. */
function luminance(colour: string): number {
  const channels = [1, 3, 5].map((start) => Number.parseInt(colour.slice(start, start + 2), 16) / 255);
  const [red, green, blue] = channels.map((value) =>
    value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4,
  ) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(first: string, second: string): number {
  const [dark, light] = [luminance(first), luminance(second)].sort((a, b) => a - b) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

test.each([...GENRES, "Unknown"])("the texts of %s posters are readable", (genre) => {
  for (let id = 1; id <= 40; id++) {
    const [background, , , text] = lookOf({ ...movie(id), genres: [genre] }).palette;
    expect(contrast(background, text), `${background} ${text}`).toBeGreaterThanOrEqual(4.5);
  }
});

test("a movie's poster is always the same, and movies of a genre differ", () => {
  const looks = Array.from({ length: 20 }, (_, id) => JSON.stringify(lookOf(movie(id))));
  expect(looks[3]).toBe(JSON.stringify(lookOf(movie(3))));
  expect(new Set(looks).size).toBeGreaterThan(3);
});

test("the most telling genre decides, not the first", () => {
  expect(lookOf({ ...movie(1), genres: ["Drama", "Western"] }).genre).toBe("Western");
  expect(lookOf({ ...movie(1), genres: ["Unknown"] }).genre).toBe("Unknown");
  expect(lookOf({ ...movie(1), genres: [] }).genre).toBe(null);
});

test("random numbers are repeatable, from 0 to below 1", () => {
  const numbers = (seed: number) => Array.from({ length: 100 }, randomNumbers(seed));
  expect(numbers(5)).toEqual(numbers(5));
  expect(numbers(5)).not.toEqual(numbers(6));
  expect(numbers(5).every((value) => value >= 0 && value < 1)).toBe(true);
});
