/** What somebody does with a film, said and ready to be undone. */
import { say } from "../components/toasts";
import type { Film } from "../film";
import { texts } from "../texts";
import { starsOf } from "./person";
import { leaveOut, letIn, person, rate, unrate } from "./store";

export function rateFilm(film: Film, stars: number, requestId: string | null = null): void {
  const before = starsOf(person.value, film.id);
  rate(film, stars, requestId);
  const undo = () => (before === null ? void unrate(film.id) : rate(film, before));
  say(texts.said.rated(film.title, stars), undo);
}

export function unrateFilm(film: Film): void {
  const before = starsOf(person.value, film.id);
  if (before === null) return;
  void unrate(film.id);
  say(texts.said.unrated(film.title), () => rate(film, before));
}

export function leaveOutFilm(film: Film, list: "seen" | "notForMe"): void {
  leaveOut(film, list);
  say(texts.said[list](film.title), () => letIn(film.id));
}
