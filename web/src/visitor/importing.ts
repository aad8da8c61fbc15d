/** Movies in a file of another service, as the service matched them and the visitor corrected them. */
import type { MatchedFile } from "../api/types";
import type { Id } from "../movie";
import type { MovieSummary, Rating } from "./visitor";

export interface Entry {
  line: number;
  /** As the file spells it. */
  title: string;
  year: number | null;
  /** Null: seen, not rated. */
  stars: number | null;
  /** Unix seconds; null: the file has no date. */
  at: number | null;
  /** Movies that it may be, best first. */
  movies: MovieSummary[];
  isSure: boolean;
}

/** Line to the id of the chosen movie; null: leave the entry out. */
export type Choices = ReadonlyMap<number, Id | null>;

export function toEntries(answer: MatchedFile): Entry[] {
  return answer.entries.map(({ line, title, year, stars, timestamp, movie, others, is_sure }) => ({
    line,
    title,
    year,
    stars,
    at: timestamp,
    movies: [...(movie ? [movie] : []), ...others].map(({ movie_id, ...facts }) => ({
      id: movie_id,
      title: facts.title,
      year: facts.year,
      genres: facts.genres,
      poster: null,
    })),
    isSure: is_sure,
  }));
}

/** Return the movie that an entry stands for: the visitor's choice, else a sure match. */
export function movieOf(entry: Entry, choices: Choices): MovieSummary | null {
  const chosen = choices.get(entry.line);
  if (chosen === null) return null;
  if (chosen !== undefined) return entry.movies.find(({ id }) => id === chosen) ?? null;
  return entry.isSure ? (entry.movies[0] ?? null) : null;
}

/** Return one rating per movie, the newest, and the seen movies without a rating.
 *
 * `now`: the time of entries without a date.
 */
export function toTakeOver(
  entries: Entry[],
  choices: Choices,
  now: number,
): { ratings: Omit<Rating, "user">[]; seen: MovieSummary[] } {
  const ratings = new Map<Id, Omit<Rating, "user">>();
  const seen = new Map<Id, MovieSummary>();
  for (const entry of entries) {
    const movie = movieOf(entry, choices);
    if (!movie) continue;
    const at = Math.min(entry.at ?? now, now);
    if (entry.stars === null) seen.set(movie.id, movie);
    else if (at >= (ratings.get(movie.id)?.at ?? 0)) ratings.set(movie.id, { movie, stars: entry.stars, at });
  }
  return {
    ratings: [...ratings.values()],
    seen: [...seen.values()].filter(({ id }) => !ratings.has(id)),
  };
}
