/** A visitor's ratings and hidden movies, as pure functions without storage or network. */
import { type Id, type Movie, toMovie } from "../movie";

/** What the browser keeps of a movie. */
export type MovieSummary = Pick<Movie, "id" | "title" | "year" | "genres" | "poster">;

/** The lists of hidden movies. */
export type HiddenList = "seen" | "notForMe";

export interface Rating {
  movie: MovieSummary;
  stars: number;
  /** Unix seconds; 0: unknown. */
  at: number;
  /** The user id that the rating was sent under: the anonymous one, or a MovieLens user's. */
  user: Id;
}

export interface Visitor {
  /** Drawn at random in this browser, far above MovieLens's user ids. */
  anonymousId: number;
  /** The MovieLens user that the visitor signed in as. */
  userId: Id | null;
  /** Oldest first. */
  ratings: Rating[];
  /** Movies that are left out of every list, without counting as ratings. */
  seen: MovieSummary[];
  notForMe: MovieSummary[];
}

export const MIN_ANONYMOUS_ID = 1_000_000_000;
const MAX_ANONYMOUS_ID = Number.MAX_SAFE_INTEGER;
export const MIN_STARS = 0.5;
export const MAX_STARS = 5;
const MAX_TITLE_LENGTH = 300;
const MAX_GENRES = 20;
const MAX_ID_LENGTH = 200;

export function newVisitor(): Visitor {
  return { anonymousId: drawId(), userId: null, ratings: [], seen: [], notForMe: [] };
}

/** Return the user id that requests are sent under. */
export const userIdOf = (visitor: Visitor): Id => visitor.userId ?? visitor.anonymousId;

export const starsOf = (visitor: Visitor, movieId: Id): number | null =>
  visitor.ratings.find(({ movie }) => movie.id === movieId)?.stars ?? null;

export const hiddenMovieIds = (visitor: Visitor): Id[] =>
  [...visitor.seen, ...visitor.notForMe].map(({ id }) => id);

/** Rate a movie, as the newest rating. A hidden movie is shown again. */
export function withRating(visitor: Visitor, movie: Movie, stars: number, at: number): Visitor {
  const others = withoutMovie(visitor, movie.id);
  const rating = { movie: summarize(movie), stars, at, user: userIdOf(visitor) };
  return { ...others, ratings: [...others.ratings, rating] };
}

/** Remove a movie's rating, and show the movie again. */
export function withoutMovie(visitor: Visitor, movieId: Id): Visitor {
  const ratings = visitor.ratings.filter(({ movie }) => movie.id !== movieId);
  return { ...withMovieShown(visitor, movieId), ratings };
}

/** Hide a movie. A rating of it stays. */
export function withMovieHidden(visitor: Visitor, movie: Movie, list: HiddenList): Visitor {
  const others = withMovieShown(visitor, movie.id);
  return { ...others, [list]: [...others[list], summarize(movie)] };
}

/** Take a movie out of the lists of hidden movies. */
export function withMovieShown(visitor: Visitor, movieId: Id): Visitor {
  const others = (movies: MovieSummary[]) => movies.filter(({ id }) => id !== movieId);
  return { ...visitor, seen: others(visitor.seen), notForMe: others(visitor.notForMe) };
}

/** Return the form that the browser stores. A rating's movie is called `film` there. */
export function toStored(visitor: Visitor): Record<string, unknown> {
  const ratings = visitor.ratings.map(({ movie, stars, at, user }) => ({
    film: movie,
    stars,
    at,
    user,
  }));
  return { ...visitor, ratings };
}

/** Return the text of an export file. */
export const exportFile = (visitor: Visitor): string =>
  JSON.stringify(
    { what: "Moovier: a person's ratings", version: 1, ...toStored(visitor) },
    null,
    2,
  );

/** Read a stored or exported visitor; null when the text is not valid. Unknown keys are dropped. */
export function parseVisitor(text: string): Visitor | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(value) || !Array.isArray(value["ratings"])) return null;
  const ratings = value["ratings"].map(parseRating);
  const seen = parseMovies(value["seen"]);
  const notForMe = parseMovies(value["notForMe"]);
  if (!seen || !notForMe || ratings.some((rating) => rating === null)) return null;
  const anonymousId = parseWholeNumber(value["anonymousId"]);
  return {
    anonymousId: anonymousId && anonymousId >= MIN_ANONYMOUS_ID ? anonymousId : drawId(),
    userId: parseStoredId(value["userId"]),
    ratings: ratings as Rating[],
    seen,
    notForMe,
  };
}

const summarize = ({ id, title, year, genres, poster }: Movie): MovieSummary => ({
  id,
  title,
  year,
  genres,
  poster,
});

function drawId(): number {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  // 53 random bits: the whole numbers that JavaScript represents without gaps.
  const bits = (high! % 2 ** 21) * 2 ** 32 + low!;
  return MIN_ANONYMOUS_ID + (bits % (MAX_ANONYMOUS_ID - MIN_ANONYMOUS_ID));
}

function parseRating(value: unknown): Rating | null {
  if (!isObject(value)) return null;
  const movie = parseMovie(value["film"]);
  const { stars } = value;
  if (!movie || typeof stars !== "number" || !isStars(stars)) return null;
  return {
    movie,
    stars,
    at: parseWholeNumber(value["at"]) ?? 0,
    user: parseStoredId(value["user"]) ?? 0,
  };
}

const isStars = (value: number): boolean =>
  value >= MIN_STARS && value <= MAX_STARS && Number.isInteger(value * 2);

function parseMovies(value: unknown): MovieSummary[] | null {
  if (value === undefined) return [];
  if (!Array.isArray(value)) return null;
  const movies = value.map(parseMovie);
  return movies.some((movie) => movie === null) ? null : (movies as MovieSummary[]);
}

function parseMovie(value: unknown): MovieSummary | null {
  if (!isObject(value)) return null;
  const id = parseStoredId(value["id"]);
  if (!id || typeof value["title"] !== "string") return null;
  const genres = Array.isArray(value["genres"]) ? value["genres"] : [];
  // Checked like a poster path of the service: it becomes part of a URL.
  const { poster } = toMovie(id, { poster_path: value["poster"] });
  return {
    id,
    title: value["title"].slice(0, MAX_TITLE_LENGTH),
    year: parseWholeNumber(value["year"]),
    genres: genres.filter((genre) => typeof genre === "string").slice(0, MAX_GENRES),
    poster,
  };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null;

/** Return a whole number of 0 or more, or a text that can be an id; null for anything else. */
const parseStoredId = (value: unknown): Id | null =>
  typeof value === "string" && value && value.length <= MAX_ID_LENGTH
    ? value
    : parseWholeNumber(value);

/** Return a whole number of 0 or more; null for anything else. */
const parseWholeNumber = (value: unknown): number | null =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : null;
