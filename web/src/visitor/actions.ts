/** What a visitor does with a movie, with a message that offers to undo it. */
import { showToast } from "../components/toasts";
import type { Movie } from "../movie";
import { texts } from "../texts";
import { hide, rate, unhide, unrate, visitor } from "./store";
import { type HiddenList, starsOf } from "./visitor";

/** `requestId`: of the list that showed the movie. */
export function rateMovie(movie: Movie, stars: number, requestId: string | null = null): void {
  const before = starsOf(visitor.value, movie.id);
  rate(movie, stars, requestId);
  const undo = () => (before === null ? void unrate(movie.id) : rate(movie, before));
  showToast(texts.toasts.rated(movie.title, stars), undo);
}

export function unrateMovie(movie: Movie): void {
  const before = starsOf(visitor.value, movie.id);
  if (before === null) return;
  void unrate(movie.id);
  showToast(texts.toasts.unrated(movie.title), () => rate(movie, before));
}

export function hideMovie(movie: Movie, list: HiddenList): void {
  hide(movie, list);
  showToast(texts.toasts[list](movie.title), () => unhide(movie.id));
}
