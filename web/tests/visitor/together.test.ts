import { describe, expect, test } from "vitest";
import { friendsOf, parseFragment, toFragment, toTaste } from "../../src/visitor/together";
import { movie } from "../browser";

const rated = (...pairs: [number, number][]) =>
  pairs.map(([id, stars]) => ({ movie: movie(id), stars }));

describe("the fragment of a link", () => {
  test("holds the tastes of several people", () => {
    const tastes = [toTaste(rated([1, 5], [193609, 0.5])), toTaste(rated([260, 4.5]))];
    expect(toFragment(tastes)).toBe("#with=1-a.45e1-1~78-9");
    expect(parseFragment(toFragment(tastes))).toEqual(tastes);
  });

  test("holds the newest hundred ratings", () => {
    const all = rated(...Array.from({ length: 120 }, (_, i): [number, number] => [i + 1, 3]));
    const [taste] = parseFragment(toFragment([toTaste(all)]));
    expect(taste!.size).toBe(100);
    expect(taste!.has(20)).toBe(false);
    expect(taste!.has(120)).toBe(true);
  });

  test.each(["", "#main", "#with=", "#with=~~", "#with=0-5", "#with=1-b", "#with=1-5-5", "#with=<b>"])(
    "without a readable taste is empty: %s",
    (fragment) => expect(parseFragment(fragment)).toEqual([]),
  );

  test("loses what cannot be read, and people beyond ten", () => {
    expect(parseFragment("#with=1-a.x.zzzzzzzzzz-1")).toEqual([new Map([[1, 5]])]);
    expect(parseFragment(`#with=${Array.from({ length: 30 }, () => "1-a").join("~")}`)).toHaveLength(9);
  });
});

test("the visitor's own taste is no friend's", () => {
  const own = toTaste(rated([1, 5]));
  const friend = toTaste(rated([1, 4]));
  expect(friendsOf(own, [own, friend])).toEqual([friend]);
});
