/** The visitor of this browser: one signal, stored in the browser, shared by its windows. */
import { computed, effect, signal } from "@preact/signals";
import type { Id, Movie } from "../movie";
import * as outbox from "./outbox";
import { readItem, writeItem } from "./storage";
import {
  type HiddenList,
  type MovieSummary,
  type Rating,
  type Visitor,
  hiddenMovieIds,
  newVisitor,
  parseVisitor,
  toStored,
  userIdOf,
  withMovieHidden,
  withMovieShown,
  withRating,
  withoutMovie,
} from "./visitor";

const KEY = "moovier.person";
/** The service's name of each list of hidden movies. */
const EVENTS: Record<HiddenList, outbox.HidingEvent> = { seen: "seen", notForMe: "not_for_me" };
const HIDDEN_LISTS = ["seen", "notForMe"] as const;

export const visitor = signal<Visitor>(parseVisitor(readItem(KEY) ?? "") ?? newVisitor());
/** False when the browser stores nothing. */
export const isStored = signal(true);

/** Changes with everything that recommendations depend on, and with nothing else. */
export const tasteKey = computed(() =>
  JSON.stringify([
    visitor.value.userId,
    visitor.value.ratings.map(({ movie, stars }) => [movie.id, stars]),
  ]),
);
/** Whether lists are computed for this visitor; otherwise they show popular movies. */
export const isPersonalised = computed(
  () => visitor.value.ratings.length > 0 || visitor.value.userId !== null,
);
export const hiddenIds = computed(() => new Set(hiddenMovieIds(visitor.value)));
export const starsById = computed(
  () => new Map(visitor.value.ratings.map(({ movie, stars }) => [movie.id, stars])),
);

/** Movies whose ratings are being removed. */
const removing = new Set<Id>();

effect(() => {
  isStored.value = writeItem(KEY, JSON.stringify(toStored(visitor.value)));
});

// Another window of this browser has changed the visitor.
addEventListener("storage", (event) => {
  const changed = event.key === KEY && event.newValue ? parseVisitor(event.newValue) : null;
  if (changed) visitor.value = changed;
});
addEventListener("online", () => void outbox.flush());
void outbox.flush();

/** `requestId`: of the list that showed the movie. */
export function rate(movie: Movie, stars: number, requestId: string | null = null): void {
  const at = Math.floor(Date.now() / 1000);
  removing.delete(movie.id);
  unhide(movie.id);
  visitor.value = withRating(visitor.value, movie, stars, at);
  const user = userIdOf(visitor.value);
  void outbox.enqueue({ do: "rate", user, movie: movie.id, stars, at, requestId });
}

/** Take over ratings and seen movies of another service, given at the times `at` (Unix seconds). */
export function takeOver(ratings: Omit<Rating, "user">[], seen: MovieSummary[]): void {
  const rated = new Set(ratings.map(({ movie }) => movie.id));
  const oldestFirst = [...ratings].sort((one, other) => one.at - other.at);
  let next = visitor.value;
  for (const { movie, stars, at } of oldestFirst) next = withRating(next, movie, stars, at);
  for (const movie of seen) if (!rated.has(movie.id)) next = withMovieHidden(next, movie, "seen");
  for (const id of rated) removing.delete(id);
  visitor.value = next;
  const user = userIdOf(next);
  const writes = oldestFirst.map(({ movie, stars, at }) => ({
    do: "rate" as const,
    user,
    movie: movie.id,
    stars,
    at,
    requestId: null,
  }));
  const now = Math.floor(Date.now() / 1000);
  const hides = seen
    .filter(({ id }) => !rated.has(id))
    .map(({ id }) => ({ do: "hide" as const, user, movie: id, event: EVENTS.seen, at: now }));
  if (writes.length || hides.length) void outbox.enqueue(...writes, ...hides);
}

/** Remove a rating here after the service, if it can be reached, has deleted it. */
export async function unrate(movieId: Id): Promise<void> {
  removing.add(movieId);
  const rating = visitor.value.ratings.find(({ movie }) => movie.id === movieId);
  if (rating) {
    const user = rating.user || userIdOf(visitor.value);
    await outbox.enqueue({ do: "unrate", user, movie: movieId });
  }
  // A rating that was given in the meantime stays.
  if (removing.delete(movieId)) visitor.value = withoutMovie(visitor.value, movieId);
}

export function hide(movie: Movie, list: HiddenList): void {
  unhide(movie.id);
  visitor.value = withMovieHidden(visitor.value, movie, list);
  const user = userIdOf(visitor.value);
  const at = Math.floor(Date.now() / 1000);
  void outbox.enqueue({ do: "hide", user, movie: movie.id, event: EVENTS[list], at });
}

export function unhide(movieId: Id): void {
  const user = userIdOf(visitor.value);
  const lists = HIDDEN_LISTS.filter((list) => visitor.value[list].some(({ id }) => id === movieId));
  if (!lists.length) return;
  visitor.value = withMovieShown(visitor.value, movieId);
  void outbox.enqueue(
    ...lists.map((list) => ({ do: "unhide" as const, user, movie: movieId, event: EVENTS[list] })),
  );
}

/** Sign in as a user of the data set; null: become anonymous again. */
export function signIn(userId: Id | null): void {
  visitor.value = { ...visitor.value, userId };
}

/** Replace the visitor by an exported one. Returns false when the text is not an export file. */
export function importFile(text: string): boolean {
  const imported = parseVisitor(text);
  if (imported) visitor.value = imported;
  return imported !== null;
}

/** Delete the visitor's ratings and hidden movies here and in the service.
 *
 * Of a MovieLens user, only those given in this browser are deleted. Resolves to false when
 * the service cannot be reached; the ratings are then deleted there later.
 */
export function forget(): Promise<boolean> {
  const { anonymousId, userId, ratings } = visitor.value;
  const hidden = HIDDEN_LISTS.flatMap((list) =>
    visitor.value[list].map(({ id }) => ({ movie: id, event: EVENTS[list] })),
  );
  const ofUsers = ratings.filter(({ user }) => user && user !== anonymousId);
  visitor.value = newVisitor();
  // The first deletion takes the hidden movies of the anonymous visitor with it.
  return outbox.deleteAll(
    [
      { user: anonymousId, movie: null },
      ...ofUsers.map(({ user, movie }) => ({ user, movie: movie.id })),
    ],
    userId === null ? [] : hidden.map((movie) => ({ user: userId, ...movie })),
  );
}
