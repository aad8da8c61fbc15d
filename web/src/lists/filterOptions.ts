/** The genres and years to filter by: MovieLens's until the service has sent its own. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { client, unwrap } from "../api/client";
import { texts } from "../texts";
import type { Filters } from "./filterQuery";

type Options = Omit<Filters, "order">;

const options = signal<Options>({
  genres: Object.keys(texts.genres),
  yearFrom: 1902,
  yearTo: 2018,
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
    const { genres, year_from, year_to } = await unwrap(client.GET("/filters"));
    options.value = { genres, yearFrom: year_from ?? null, yearTo: year_to ?? null };
  } catch {
    isRequested = false; // The next view with filters tries again.
  }
}
