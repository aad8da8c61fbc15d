/** Lists of the service: what is popular, what is for this person, what is like a film. */
import { api, told } from "../api/client";
import { type Recommended, recommended } from "../film";
import { excluded, idOf } from "../person/person";
import { person, personal } from "../person/store";
import type { Schemas } from "../api/client";
import type { Page } from "./paged";

export interface Narrowed {
  genres: string[];
  yearFrom: number | null;
  yearTo: number | null;
}

export const EVERYTHING: Narrowed = { genres: [], yearFrom: null, yearTo: null };
export const PAGE_SIZE = 24;

/** Recommendations for a person with a taste, else what is popular. */
export function forMe(
  narrowed: Narrowed,
  cursor: string | null,
  signal: AbortSignal,
): Promise<Page<Recommended>> {
  const exclude = excluded(person.value);
  // What is popular can be asked for in one address, but leaves nothing out.
  if (!personal.value && !exclude.length) return popular(narrowed, cursor, signal);
  return recommendations(narrowed, exclude, cursor, signal);
}

async function recommendations(
  narrowed: Narrowed,
  exclude: number[],
  cursor: string | null,
  signal: AbortSignal,
): Promise<Page<Recommended>> {
  const ratings = person.value.ratings.map(({ film, stars, at }) => ({
    movie_id: film.id,
    stars,
    // 0 where nobody knows when it was given; an imported file may hold any number.
    ...(at > 0 && at < 2 ** 32 ? { timestamp: at } : {}),
  }));
  const body: Schemas["Asked"] = {
    ...(personal.value ? { user_id: idOf(person.value) } : {}),
    ratings,
    top_k: PAGE_SIZE,
    genres: narrowed.genres,
    year_from: narrowed.yearFrom,
    year_to: narrowed.yearTo,
    exclude,
    cursor,
  };
  return shown(await told(api.POST("/recommend", { body, signal })));
}

async function popular(
  narrowed: Narrowed,
  cursor: string | null,
  signal: AbortSignal,
): Promise<Page<Recommended>> {
  const query = { ...inQuery(narrowed), top_k: PAGE_SIZE, ...(cursor ? { cursor } : {}) };
  return shown(await told(api.GET("/popular", { params: { query }, signal })));
}

export async function similar(
  movie_id: number,
  cursor: string | null,
  signal: AbortSignal,
): Promise<Page<Recommended>> {
  const query = { top_k: 12, ...(cursor ? { cursor } : {}) };
  const params = { path: { movie_id }, query };
  return shown(await told(api.GET("/movies/{movie_id}/similar", { params, signal })));
}

function shown(answer: Schemas["Recommendations"]): Page<Recommended> {
  const items = answer.items.map((item) => recommended(item, answer.request_id));
  return { items, next: answer.next, days: answer.days };
}

const inQuery = ({ genres, yearFrom, yearTo }: Narrowed) => ({
  ...(genres.length ? { genres } : {}),
  ...(yearFrom === null ? {} : { year_from: yearFrom }),
  ...(yearTo === null ? {} : { year_to: yearTo }),
});
