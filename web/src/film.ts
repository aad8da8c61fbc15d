/** A film as the page shows it, whatever answer it came in. */
import type { Schemas } from "./api/client";

export interface Film {
  id: number;
  title: string;
  year: number | null;
  genres: string[];
  /** Path at TMDB's image server. */
  poster: string | null;
}

export interface Recommended extends Film {
  /** What the person would give it, 0.5 to 5. */
  stars: number | null;
  because: { id: number; title: string }[];
  requestId: string;
}

export interface Details extends Film {
  ratings: number;
  meanStars: number | null;
  overview: string | null;
  tagline: string | null;
  runtimeMinutes: number | null;
  originalTitle: string | null;
  imdb: string | null;
  tmdb: number | null;
}

const IMAGES = "https://image.tmdb.org/t/p";

export const posterUrl = (path: string, width: 185 | 342 | 500): string =>
  `${IMAGES}/w${width}${path}`;

export function film(id: number, movie: Schemas["Recommended"]["movie"]): Film {
  const genres = Array.isArray(movie["genres"]) ? movie["genres"] : [];
  return {
    id,
    title: text(movie["title"]) ?? `#${id}`,
    year: Number.parseInt(text(movie["release_date"]) ?? "", 10) || null,
    genres: genres.flatMap((genre: { name?: unknown }) => text(genre.name) ?? []),
    poster: path(movie["poster_path"]),
  };
}

export function recommended(item: Schemas["Recommended"], requestId: string): Recommended {
  return {
    ...film(item.movie_id, item.movie),
    stars: item.stars,
    because: item.because.map((one) => ({ id: one.movie_id, title: one.title })),
    requestId,
  };
}

export function details({ movie_id, movie, ...shown }: Schemas["MovieShown"]): Details {
  const own = film(movie_id, movie);
  const original = text(movie["original_title"]);
  return {
    ...own,
    ratings: shown.ratings,
    meanStars: shown.mean_stars,
    overview: text(movie["overview"]),
    tagline: text(movie["tagline"]),
    runtimeMinutes: typeof movie["runtime"] === "number" && movie["runtime"] > 0 ? movie["runtime"] : null,
    originalTitle: original === own.title ? null : original,
    imdb: text(movie["imdb_id"]),
    tmdb: typeof movie["id"] === "number" ? movie["id"] : null,
  };
}

/** "Toy Story (1995)". */
export const named = (one: { title: string; year: number | null }): string =>
  one.year === null ? one.title : `${one.title} (${one.year})`;

const text = (value: unknown): string | null =>
  typeof value === "string" && value.trim() ? value : null;

/** Only what can be a path there: it becomes part of an address. */
function path(value: unknown): string | null {
  const found = text(value);
  return found && /^\/[\w.-]+\.(jpg|png|webp|svg)$/i.test(found) ? found : null;
}
