/** Requests for lists of movies: recommended, popular and similar ones. */
import { client, unwrap } from "../api/client";
import type { ListAnswer, RecommendRequest } from "../api/types";
import { type Id, type RecommendedMovie, toRecommendedMovie } from "../movie";
import { ownCountry } from "../visitor/country";
import { isPersonalised, visitor } from "../visitor/store";
import { hiddenMovieIds, userIdOf } from "../visitor/visitor";
import { type Filters, type Order, countTmdbFilters } from "./filterQuery";
import type { Page } from "./paged";

const PAGE_SIZE = 24;
const SIMILAR_PAGE_SIZE = 12;
/** The variety of each order; docs/decisions/variety.md has what the values cost. */
const VARIETY: Record<Order, Partial<RecommendRequest>> = {
  default: {},
  trending: {},
  varied: { diversity: 0.4, max_per_series: 1 },
  lesserKnown: { novelty: 0.3 },
};

/** Fetch recommendations for the visitor; popular movies when they have rated nothing. */
export function fetchDiscoverPage(
  filters: Filters,
  cursor: string | null,
  signal: AbortSignal,
): Promise<Page<RecommendedMovie>> {
  const exclude = hiddenMovieIds(visitor.value);
  // /trending and /popular can be cached, but cannot exclude movies or ask TMDB.
  if (!isPersonalised.value && filters.order === "trending") {
    return fetchTrending(filters, cursor, signal);
  }
  const isCommon = !isPersonalised.value && !exclude.length && !countTmdbFilters(filters);
  if (isCommon) return fetchPopular(filters, cursor, signal);
  return fetchRecommended(filters, exclude, cursor, signal);
}

async function fetchRecommended(
  filters: Filters,
  exclude: Id[],
  cursor: string | null,
  signal: AbortSignal,
): Promise<Page<RecommendedMovie>> {
  const body: RecommendRequest = {
    ...self(),
    top_k: PAGE_SIZE,
    genres: filters.genres,
    year_from: filters.yearFrom,
    year_to: filters.yearTo,
    exclude,
    cursor,
    ...tmdbParameters(filters),
    ...(isPersonalised.value ? VARIETY[filters.order] : {}),
  };
  return toPage(await unwrap(client.POST("/recommend", { body, signal })));
}

/** Fetch movies for the visitor and friends who watch together. */
export async function fetchForGroup(
  friends: ReadonlyMap<Id, number>[],
  cursor: string | null,
  signal: AbortSignal,
): Promise<Page<RecommendedMovie>> {
  const people = [self(), ...friends.map((taste) => ({ ratings: Object.fromEntries(taste) }))];
  const exclude = hiddenMovieIds(visitor.value);
  const body: RecommendRequest = { people, top_k: PAGE_SIZE, exclude, cursor };
  return toPage(await unwrap(client.POST("/recommend", { body, signal })));
}

/** Return the visitor as a request names a person. */
function self() {
  const ratings = visitor.value.ratings.map(({ movie, stars, at }) => ({
    movie_id: movie.id,
    stars,
    // 0 means unknown, and an imported file may hold any number.
    ...(at > 0 && at < 2 ** 32 ? { timestamp: at } : {}),
  }));
  return { ...(isPersonalised.value ? { user_id: userIdOf(visitor.value) } : {}), ratings };
}

async function fetchTrending(
  filters: Filters,
  cursor: string | null,
  signal: AbortSignal,
): Promise<Page<RecommendedMovie>> {
  const query = { ...filterParameters(filters), top_k: PAGE_SIZE, ...(cursor ? { cursor } : {}) };
  return toPage(await unwrap(client.GET("/trending", { params: { query }, signal })));
}

async function fetchPopular(
  filters: Filters,
  cursor: string | null,
  signal: AbortSignal,
): Promise<Page<RecommendedMovie>> {
  const query = { ...filterParameters(filters), top_k: PAGE_SIZE, ...(cursor ? { cursor } : {}) };
  return toPage(await unwrap(client.GET("/popular", { params: { query }, signal })));
}

/** Fetch movies that are similar to one movie. */
export async function fetchSimilar(
  movieId: Id,
  cursor: string | null,
  signal: AbortSignal,
): Promise<Page<RecommendedMovie>> {
  const query = { top_k: SIMILAR_PAGE_SIZE, ...(cursor ? { cursor } : {}) };
  const params = { path: { movie_id: movieId }, query };
  return toPage(await unwrap(client.GET("/movies/{movie_id}/similar", { params, signal })));
}

function toPage(answer: ListAnswer): Page<RecommendedMovie> {
  const items = answer.items.map((item) => toRecommendedMovie(item, answer.request_id));
  return { items, next: answer.next, days: answer.days };
}

const filterParameters = ({ genres, yearFrom, yearTo }: Filters) => ({
  ...(genres.length ? { genres } : {}),
  ...(yearFrom === null ? {} : { year_from: yearFrom }),
  ...(yearTo === null ? {} : { year_to: yearTo }),
});

/** Return the filters by what only TMDB knows; a service without a TMDB key refuses them. */
const tmdbParameters = (filters: Filters): Partial<RecommendRequest> => ({
  ...(filters.providers.length
    ? { providers: filters.providers, region: filters.country ?? ownCountry.value }
    : {}),
  ...(filters.runtimeFrom === null ? {} : { runtime_from: filters.runtimeFrom }),
  ...(filters.runtimeTo === null ? {} : { runtime_to: filters.runtimeTo }),
  ...(filters.language === null ? {} : { language: filters.language }),
});
