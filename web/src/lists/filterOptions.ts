/** What lists can be filtered by: MovieLens's genres and years, until the service has sent its own. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { client, unwrap } from "../api/client";
import { texts } from "../texts";
import type { Filters } from "./filterQuery";

/** `tmdb`: whether the service can filter by what only TMDB knows. */
type Options = Pick<Filters, "genres" | "yearFrom" | "yearTo"> & { tmdb: boolean };

const options = signal<Options>({
  genres: Object.keys(texts.genres),
  yearFrom: 1902,
  yearTo: 2018,
  tmdb: false,
});
let isRequested = false;

/** Return the options, and request them when that has not been done yet. */
export function useFilterOptions(): Options {
  useEffect(() => {
    if (!isRequested) void request();
  }, []);
  return options.value;
}

async function request(): Promise<void> {
  isRequested = true;
  try {
    const { genres, year_from, year_to, tmdb } = await unwrap(client.GET("/filters"));
    options.value = { genres, yearFrom: year_from ?? null, yearTo: year_to ?? null, tmdb };
  } catch {
    isRequested = false; // The next view with filters tries again.
  }
}
