/** Ratings for a fine-tuning, from this browser's person or from pasted text. */
import type { Schemas } from "../api/client";
import { type Person, idOf } from "../person/person";

type Batch = Schemas["NewRatings"];

export function ofPerson(person: Person): Batch {
  return {
    users: person.ratings.map(() => idOf(person)),
    movies: person.ratings.map(({ film }) => film.id),
    ratings: person.ratings.map(({ stars }) => stars),
  };
}

/** Null where the text is not of that form; what the numbers must be the service knows best. */
export function ofText(text: string): Batch | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const lists = value as Record<string, unknown>;
  const [users, movies, ratings] = [lists["users"], lists["movies"], lists["ratings"]];
  return isNumbers(users) && isNumbers(movies) && isNumbers(ratings) ? { users, movies, ratings } : null;
}

const isNumbers = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((one) => typeof one === "number");
