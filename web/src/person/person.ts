/** Somebody's taste, as this browser keeps it. Nothing here touches storage or network. */
import { type Film, film as shown } from "../film";

export type Kept = Pick<Film, "id" | "title" | "year" | "genres" | "poster">;

export interface Rating {
  film: Kept;
  stars: number;
  /** Unix seconds. */
  at: number;
  /** Under which id it was given: the anonymous one, or a MovieLens user's. */
  user: number;
}

export interface Person {
  /** Drawn at random in this browser; far above MovieLens's ids. */
  anonymousId: number;
  /** MovieLens user id of somebody who signed in with one. */
  userId: number | null;
  /** Oldest first. */
  ratings: Rating[];
  /** Left out of every list; neither counts as a rating. */
  seen: Kept[];
  notForMe: Kept[];
}

export const LEAST_ANONYMOUS = 1_000_000_000;
/** Beyond MovieLens's ids, and within the whole numbers that JavaScript counts without gaps. */
const MOST_ANONYMOUS = 2 ** 53 - 1;
export const LEAST_STARS = 0.5;
export const MOST_STARS = 5;

export function newPerson(): Person {
  return { anonymousId: drawnId(), userId: null, ratings: [], seen: [], notForMe: [] };
}

export const idOf = (person: Person): number => person.userId ?? person.anonymousId;

export const starsOf = (person: Person, id: number): number | null =>
  person.ratings.find((rating) => rating.film.id === id)?.stars ?? null;

export const kept = ({ id, title, year, genres, poster }: Film): Kept => ({
  id,
  title,
  year,
  genres,
  poster,
});

export function rated(person: Person, film: Film, stars: number, at: number): Person {
  const others = person.ratings.filter((rating) => rating.film.id !== film.id);
  const own = { film: kept(film), stars, at, user: idOf(person) };
  return { ...without(person, film.id), ratings: [...others, own] };
}

/** Neither rated nor left out. */
export function without(person: Person, id: number): Person {
  const others = (films: Kept[]): Kept[] => films.filter((film) => film.id !== id);
  return {
    ...person,
    ratings: person.ratings.filter((rating) => rating.film.id !== id),
    seen: others(person.seen),
    notForMe: others(person.notForMe),
  };
}

export function leftOut(person: Person, film: Film, list: "seen" | "notForMe"): Person {
  const cleared = { ...without(person, film.id), ratings: person.ratings };
  return { ...cleared, [list]: [...cleared[list], kept(film)] };
}

export const excluded = (person: Person): number[] =>
  [...person.seen, ...person.notForMe].map((film) => film.id);

/** A person from text of anywhere; null where it is none. What it has too much is dropped. */
export function read(text: string): Person | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(value) || !Array.isArray(value["ratings"])) return null;
  const ratings = value["ratings"].map(readRating);
  const seen = readFilms(value["seen"]);
  const notForMe = readFilms(value["notForMe"]);
  if (!seen || !notForMe || ratings.some((rating) => rating === null)) return null;
  const anonymousId = wholeNumber(value["anonymousId"]);
  return {
    anonymousId: anonymousId && anonymousId >= LEAST_ANONYMOUS ? anonymousId : drawnId(),
    userId: wholeNumber(value["userId"]),
    ratings: ratings as Rating[],
    seen,
    notForMe,
  };
}

/** The file that somebody takes along. */
export const written = (person: Person): string =>
  JSON.stringify({ what: "Moovier: a person's ratings", version: 1, ...person }, null, 2);

function drawnId(): number {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  const drawn = (high! % 2 ** 21) * 2 ** 32 + low!;
  return LEAST_ANONYMOUS + (drawn % (MOST_ANONYMOUS - LEAST_ANONYMOUS));
}

function readRating(value: unknown): Rating | null {
  if (!isObject(value)) return null;
  const film = readFilm(value["film"]);
  const { stars, at } = value;
  const good = typeof stars === "number" && stars >= LEAST_STARS && stars <= MOST_STARS;
  if (!film || !good || !Number.isInteger(stars * 2)) return null;
  return { film, stars, at: wholeNumber(at) ?? 0, user: wholeNumber(value["user"]) ?? 0 };
}

function readFilms(value: unknown): Kept[] | null {
  if (value === undefined) return [];
  if (!Array.isArray(value)) return null;
  const films = value.map(readFilm);
  return films.some((film) => film === null) ? null : (films as Kept[]);
}

function readFilm(value: unknown): Kept | null {
  if (!isObject(value)) return null;
  const id = wholeNumber(value["id"]);
  if (id === null || id < 1 || typeof value["title"] !== "string") return null;
  const genres = Array.isArray(value["genres"]) ? value["genres"] : [];
  // Through the same door as the service's answers: the poster becomes part of an address.
  const { poster } = shown(id, { poster_path: value["poster"] });
  return {
    id,
    title: value["title"].slice(0, 300),
    year: wholeNumber(value["year"]),
    genres: genres.filter((genre) => typeof genre === "string").slice(0, 20),
    poster,
  };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null;

const wholeNumber = (value: unknown): number | null =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : null;
