/** What lists may be narrowed down by: MovieLens's genres, until the service says which there are. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, told } from "../api/client";
import { texts } from "../texts";

interface Choices {
  genres: string[];
  yearFrom: number | null;
  yearTo: number | null;
}

const choices = signal<Choices>({ genres: Object.keys(texts.genres), yearFrom: 1902, yearTo: 2018 });
let asked = false;

export function useChoices(): Choices {
  useEffect(() => {
    if (!asked) void ask();
  }, []);
  return choices.value;
}

async function ask(): Promise<void> {
  asked = true;
  try {
    const { genres, year_from, year_to } = await told(api.GET("/filters"));
    choices.value = { genres, yearFrom: year_from ?? null, yearTo: year_to ?? null };
  } catch {
    asked = false; // the next view that has filters asks again
  }
}
