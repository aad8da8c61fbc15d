import { expect, test } from "vitest";
import { batchOfVisitor, parseBatch } from "../../src/ops/trainingBatch";
import { newVisitor, withRating } from "../../src/visitor/visitor";
import { movie } from "../browser";

test("a visitor's ratings are three parallel lists", () => {
  const visitor = withRating(withRating(newVisitor(), movie(3), 4, 1), movie(5), 0.5, 2);
  const id = visitor.anonymousId;
  expect(batchOfVisitor(visitor)).toEqual({ users: [id, id], movies: [3, 5], ratings: [4, 0.5] });
  expect(batchOfVisitor({ ...visitor, userId: 7 }).users).toEqual([7, 7]);
});

test("pasted JSON is read without its other keys", () => {
  const text = '{"users": [1], "movies": [2], "ratings": [3.5], "more": 1}';
  expect(parseBatch(text)).toEqual({ users: [1], movies: [2], ratings: [3.5] });
  const texts = '{"users": ["anna"], "movies": ["heat-1995"], "ratings": [3]}';
  expect(parseBatch(texts)).toEqual({ users: ["anna"], movies: ["heat-1995"], ratings: [3] });
});

test.each(["", "null", "[]", "{}", '{"users": [1], "movies": [2]}', '{"users": [null], "movies": [2], "ratings": [3]}'])(
  "other text is refused: %s",
  (text) => {
    expect(parseBatch(text)).toBe(null);
  },
);
