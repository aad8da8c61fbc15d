/** The filters of a list, and their form in the page's URL, where a link and a reload keep them. */

/** How a list is ordered. `trending` is for visitors without ratings; `varied` and `lesserKnown`
 * are for personal lists. */
export const ORDERS = ["default", "trending", "varied", "lesserKnown"] as const;
export type Order = (typeof ORDERS)[number];

export interface Filters {
  genres: string[];
  yearFrom: number | null;
  yearTo: number | null;
  order: Order;
}

export const NO_FILTERS: Filters = { genres: [], yearFrom: null, yearTo: null, order: "default" };
/** The years that the service accepts. */
const FIRST_YEAR = 1800;
const LAST_YEAR = 2200;

/** Read the filters from a URL's query; invalid values count as missing. */
export function parseFilters(query: Record<string, string>): Filters {
  return {
    genres: (query["genres"] ?? "").split(",").filter(Boolean),
    yearFrom: parseYear(query["from"]),
    yearTo: parseYear(query["to"]),
    order: ORDERS.find((order) => order === query["order"]) ?? "default",
  };
}

/** Return the first view's URL with these filters. */
export function filtersToUrl({ genres, yearFrom, yearTo, order }: Filters): string {
  const parameters = new URLSearchParams();
  if (genres.length) parameters.set("genres", genres.join(","));
  if (yearFrom !== null) parameters.set("from", String(yearFrom));
  if (yearTo !== null) parameters.set("to", String(yearTo));
  if (order !== "default") parameters.set("order", order);
  const query = parameters.toString();
  return query ? `/?${query}` : "/";
}

/** Whether the filters leave movies out; the order does not. */
export const hasFilters = ({ genres, yearFrom, yearTo }: Filters): boolean =>
  genres.length > 0 || yearFrom !== null || yearTo !== null;

/** Return the year; null unless the text is a year from 1800 to 2200. */
export function parseYear(text: string | undefined): number | null {
  const year = /^\d{4}$/.test(text ?? "") ? Number(text) : 0;
  return year >= FIRST_YEAR && year <= LAST_YEAR ? year : null;
}
