import { describe, expect, test } from "vitest";
import { friendsOf, parseFragment, toFragment, toTaste } from "../../src/visitor/together";
import type { Id } from "../../src/movie";
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

  test("holds movies with text ids", () => {
    const tastes = [
      new Map<Id, number>([["heat-1995", 5], ["a.b~c d/é", 0.5], [7, 3]]),
      new Map<Id, number>([["1917", 4]]),
    ];
    expect(toFragment(tastes)).toBe("#with=_heat%2d1995-a._a%2eb%7ec%20d%2F%C3%A9-1.7-6~_1917-8");
    expect(parseFragment(toFragment(tastes))).toEqual(tastes);
    expect(parseFragment("#with=_%E0%A4-a")).toEqual([]);
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
