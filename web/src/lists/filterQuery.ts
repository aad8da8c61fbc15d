/** The filters of a list, and their form in the page's URL, where a link and a reload keep them. */

/** How a list is ordered. `trending` is for visitors without ratings; `varied` and `lesserKnown`
 * are for personal lists. */
export const ORDERS = ["default", "trending", "varied", "lesserKnown"] as const;
export type Order = (typeof ORDERS)[number];

/** Filters by what only TMDB knows; the service has them with a TMDB key. */
export interface TmdbFilters {
  /** TMDB's ids of providers, any of which shows the movie in `country`. */
  providers: number[];
  /** ISO 3166-1; null: the visitor's own. */
  country: string | null;
  /** Minutes. */
  runtimeFrom: number | null;
  runtimeTo: number | null;
  /** Original language, ISO 639-1. */
  language: string | null;
}

export interface Filters extends TmdbFilters {
  genres: string[];
  yearFrom: number | null;
  yearTo: number | null;
  order: Order;
}

export const NO_TMDB_FILTERS: TmdbFilters = {
  providers: [],
  country: null,
  runtimeFrom: null,
  runtimeTo: null,
  language: null,
};
export const NO_FILTERS: Filters = {
  genres: [],
  yearFrom: null,
  yearTo: null,
  order: "default",
  ...NO_TMDB_FILTERS,
};
/** The years that the service accepts. */
const FIRST_YEAR = 1800;
const LAST_YEAR = 2200;
/** What the service accepts: providers, and minutes. */
const MOST_PROVIDERS = 50;
const LAST_MINUTE = 10_000;

/** Read the filters from a URL's query; invalid values count as missing. */
export function parseFilters(query: Record<string, string>): Filters {
  const order = ORDERS.find((order) => order === query["order"]) ?? "default";
  return {
    genres: (query["genres"] ?? "").split(",").filter(Boolean),
    yearFrom: parseYear(query["from"]),
    yearTo: parseYear(query["to"]),
    order,
    // Movies on the rise cannot be filtered by them.
    ...(order === "trending" ? NO_TMDB_FILTERS : parseTmdbFilters(query)),
  };
}

function parseTmdbFilters(query: Record<string, string>): TmdbFilters {
  const ids = (query["on"] ?? "").split(",").map((id) => parseNumber(id, Number.MAX_SAFE_INTEGER));
  const providers = ids.filter((id) => id !== null).slice(0, MOST_PROVIDERS);
  const country = /^[A-Z]{2}$/.test(query["in"] ?? "") ? (query["in"] ?? null) : null;
  return {
    providers,
    country: providers.length ? country : null,
    runtimeFrom: parseNumber(query["min"], LAST_MINUTE),
    runtimeTo: parseNumber(query["max"], LAST_MINUTE),
    language: /^[a-z]{2}$/.test(query["language"] ?? "") ? (query["language"] ?? null) : null,
  };
}

/** Return the first view's URL with these filters. */
export function filtersToUrl(filters: Filters): string {
  const { genres, yearFrom, yearTo, order, providers, country } = filters;
  const parameters = new URLSearchParams();
  const set = (name: string, value: string | number | null) => {
    if (value !== null && value !== "") parameters.set(name, String(value));
  };
  set("genres", genres.join(","));
  set("from", yearFrom);
  set("to", yearTo);
  set("order", order === "default" ? null : order);
  set("on", providers.join(","));
  set("in", providers.length ? country : null);
  set("min", filters.runtimeFrom);
  set("max", filters.runtimeTo);
  set("language", filters.language);
  const query = parameters.toString();
  return query ? `/?${query}` : "/";
}

/** How many filters by what only TMDB knows are set. */
export const countTmdbFilters = (filters: TmdbFilters): number =>
  Number(filters.providers.length > 0) +
  Number(filters.runtimeFrom !== null || filters.runtimeTo !== null) +
  Number(filters.language !== null);

/** Whether the filters leave movies out; the order does not. */
export const hasFilters = (filters: Filters): boolean =>
  filters.genres.length > 0 ||
  filters.yearFrom !== null ||
  filters.yearTo !== null ||
  countTmdbFilters(filters) > 0;

/** Return a whole number from 1 to `most`; null for anything else. */
function parseNumber(text: string | undefined, most: number): number | null {
  const value = /^\d+$/.test(text ?? "") ? Number(text) : 0;
  return value >= 1 && value <= most ? value : null;
}

/** Return the year; null unless the text is a year from 1800 to 2200. */
export function parseYear(text: string | undefined): number | null {
  const year = /^\d{4}$/.test(text ?? "") ? Number(text) : 0;
  return year >= FIRST_YEAR && year <= LAST_YEAR ? year : null;
}
