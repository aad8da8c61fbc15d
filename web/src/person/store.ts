/** Who uses this browser: one signal, kept in its storage, the same in all its windows. */
import { computed, effect, signal } from "@preact/signals";
import type { Film } from "../film";
import * as outbox from "./outbox";
import {
  type Person,
  excluded,
  idOf,
  leftOut,
  newPerson,
  rated,
  read,
  without,
} from "./person";
import { store, stored } from "./storage";

const KEY = "moovier.person";

export const person = signal<Person>(read(stored(KEY) ?? "") ?? newPerson());
/** False when the browser refuses to keep anything. */
export const remembered = signal(true);

/** What decides over a list, oldest rating first; changes only when that does. */
export const taste = computed(() =>
  JSON.stringify([
    person.value.userId,
    person.value.ratings.map(({ film, stars }) => [film.id, stars]),
  ]),
);
/** Whether lists are about this person rather than about what is popular. */
export const personal = computed(
  () => person.value.ratings.length > 0 || person.value.userId !== null,
);
export const leftOutIds = computed(() => new Set(excluded(person.value)));
export const starsById = computed(
  () => new Map(person.value.ratings.map(({ film, stars }) => [film.id, stars])),
);

effect(() => {
  remembered.value = store(KEY, JSON.stringify(person.value));
});

addEventListener("storage", (event) => {
  const other = event.key === KEY && event.newValue ? read(event.newValue) : null;
  if (other) person.value = other;
});
addEventListener("online", () => void outbox.flush());
void outbox.flush();

/** `requestId`: of the list that the film stood in. */
export function rate(film: Film, stars: number, requestId: string | null = null): void {
  const at = Math.floor(Date.now() / 1000);
  person.value = rated(person.value, film, stars, at);
  void outbox.send({ do: "rate", user: idOf(person.value), movie: film.id, stars, at, requestId });
}

/** Resolves when the service no longer counts it either, as far as it can be reached. */
export async function unrate(id: number): Promise<void> {
  const rating = person.value.ratings.find(({ film }) => film.id === id);
  if (rating) await outbox.send({ do: "unrate", user: rating.user || idOf(person.value), movie: id });
  person.value = without(person.value, id);
}

export function leaveOut(film: Film, list: "seen" | "notForMe"): void {
  person.value = leftOut(person.value, film, list);
}

export function letIn(id: number): void {
  const cleared = without(person.value, id);
  person.value = { ...cleared, ratings: person.value.ratings };
}

/** Sign in as a MovieLens user; null: be anonymous again. */
export function signIn(userId: number | null): void {
  person.value = { ...person.value, userId };
}

/** Takes over a file; false where it is none of ours. */
export function importFrom(text: string): boolean {
  const found = read(text);
  if (found) person.value = found;
  return found !== null;
}

/** Here and in the service; false where the service could not be told yet. Of a MovieLens user only
 * what was given in this browser goes, not what the data set has. */
export function forget(): Promise<boolean> {
  const { anonymousId, ratings } = person.value;
  const asOthers = ratings.filter(({ user }) => user && user !== anonymousId);
  person.value = newPerson();
  return outbox.takeBack([
    { user: anonymousId, movie: null },
    ...asOthers.map(({ user, film }) => ({ user, movie: film.id })),
  ]);
}
