/** The movies that the page shows, converted from the service's answers. */
import type { ListItem, MovieAnswer } from "./api/types";

/** An id of a movie or a user: a number, or a text where the data set has text ids. */
export type Id = number | string;

export interface Movie {
  id: Id;
  title: string;
  year: number | null;
  genres: string[];
  /** Path on TMDB's image server. */
  poster: string | null;
}

export interface RecommendedMovie extends Movie {
  /** The predicted stars of this visitor, 0.5 to 5. */
  stars: number | null;
  /** In a list for several people: the predicted stars of each, the visitor first; else empty. */
  starsByPerson: (number | null)[];
  because: { id: Id; title: string }[];
  requestId: string;
}

export interface MovieDetails extends Movie {
  ratings: number;
  meanStars: number | null;
  overview: string | null;
  tagline: string | null;
  runtimeMinutes: number | null;
  originalTitle: string | null;
  imdbId: string | null;
  tmdbId: number | null;
}

const IMAGE_SERVER = "https://image.tmdb.org/t/p";

export const posterUrl = (path: string, width: 185 | 342 | 500): string =>
  `${IMAGE_SERVER}/w${width}${path}`;

/** Convert TMDB's or the catalogue's details; fields of a wrong type count as missing. */
export function toMovie(id: Id, fields: ListItem["movie"]): Movie {
  const genres = Array.isArray(fields["genres"]) ? fields["genres"] : [];
  return {
    id,
    title: textOf(fields["title"]) ?? `#${id}`,
    year: Number.parseInt(textOf(fields["release_date"]) ?? "", 10) || null,
    genres: genres.flatMap((genre: { name?: unknown }) => textOf(genre.name) ?? []),
    poster: imagePath(fields["poster_path"]),
  };
}

export function toRecommendedMovie(item: ListItem, requestId: string): RecommendedMovie {
  return {
    ...toMovie(item.movie_id, item.movie),
    stars: item.stars,
    starsByPerson: item.stars_by_person ?? [],
    because: item.because.map(({ movie_id, title }) => ({ id: movie_id, title })),
    requestId,
  };
}

export function toMovieDetails(answer: MovieAnswer): MovieDetails {
  const fields = answer.movie;
  const movie = toMovie(answer.movie_id, fields);
  const { runtime, id: tmdbId } = fields;
  const originalTitle = textOf(fields["original_title"]);
  return {
    ...movie,
    ratings: answer.ratings,
    meanStars: answer.mean_stars,
    overview: textOf(fields["overview"]),
    tagline: textOf(fields["tagline"]),
    runtimeMinutes: typeof runtime === "number" && runtime > 0 ? runtime : null,
    originalTitle: originalTitle === movie.title ? null : originalTitle,
    imdbId: textOf(fields["imdb_id"]),
    tmdbId: typeof tmdbId === "number" ? tmdbId : null,
  };
}

/** Return the address of a movie's page. */
export const moviePath = (id: Id): string => `/movie/${encodeURIComponent(id)}`;

/** Return an id as an address has it: a number where it looks like one. */
export const parseId = (text: string): Id => (/^[1-9]\d{0,14}$/.test(text) ? Number(text) : text);

/** Return the title with its year: "Toy Story (1995)". */
export const titleWithYear = ({ title, year }: { title: string; year: number | null }): string =>
  year === null ? title : `${title} (${year})`;

const textOf = (value: unknown): string | null =>
  typeof value === "string" && value.trim() ? value : null;

/** Accept only a plain file path, because it becomes part of a URL. */
function imagePath(value: unknown): string | null {
  const path = textOf(value);
  return path && /^\/[\w.-]+\.(jpg|png|webp|svg)$/i.test(path) ? path : null;
}
