/** Filters as they stand in the page's address, so that a link and a reload keep them. */
import type { Narrowed } from "./asking";

export function fromQuery(query: Record<string, string>): Narrowed {
  return {
    genres: (query["genres"] ?? "").split(",").filter(Boolean),
    yearFrom: year(query["from"]),
    yearTo: year(query["to"]),
  };
}

export function toAddress({ genres, yearFrom, yearTo }: Narrowed): string {
  const query = new URLSearchParams();
  if (genres.length) query.set("genres", genres.join(","));
  if (yearFrom !== null) query.set("from", String(yearFrom));
  if (yearTo !== null) query.set("to", String(yearTo));
  const text = query.toString();
  return text ? `/?${text}` : "/";
}

export const isNarrow = ({ genres, yearFrom, yearTo }: Narrowed): boolean =>
  genres.length > 0 || yearFrom !== null || yearTo !== null;

/** A year that the service would take; null for everything else. */
export function year(text: string | undefined): number | null {
  const found = /^\d{4}$/.test(text ?? "") ? Number(text) : 0;
  return found >= 1800 && found <= 2200 ? found : null;
}
