/** The ratings of a fine-tuning request, from the visitor or from pasted JSON. */
import type { TrainingBatch } from "../api/types";
import type { Id } from "../movie";
import { type Visitor, userIdOf } from "../visitor/visitor";

export function batchOfVisitor(visitor: Visitor): TrainingBatch {
  return {
    users: visitor.ratings.map(() => userIdOf(visitor)),
    movies: visitor.ratings.map(({ movie }) => movie.id),
    ratings: visitor.ratings.map(({ stars }) => stars),
  };
}

/** Read lists of ids and of stars from JSON; null for any other form. The service checks the values. */
export function parseBatch(text: string): TrainingBatch | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const { users, movies, ratings } = value as Record<string, unknown>;
  if (!isIds(users) || !isIds(movies) || !isNumbers(ratings)) return null;
  return { users, movies, ratings };
}

const isIds = (value: unknown): value is Id[] =>
  Array.isArray(value) && value.every((item) => typeof item === "number" || typeof item === "string");

const isNumbers = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((item) => typeof item === "number");
