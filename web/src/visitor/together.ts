/** The tastes of friends in a link's fragment, the part of an address that no server gets. */
import type { Id } from "../movie";
import type { Rating } from "./visitor";

/** One person's ratings: movie id to stars. */
export type Taste = ReadonlyMap<Id, number>;

/** The newest ratings of a person that fit into a link that can be sent in a message. */
const MAX_RATINGS = 100;
/** People besides the visitor whom the service takes for one list. */
const MAX_FRIENDS = 9;
const PREFIX = "#with=";
/** Movie id in base 36, or as a text behind an underscore, and half stars in base 36. */
const RATING = /^([1-9a-z][0-9a-z]{0,8}|_[^-.~]{1,1800})-([1-9a])$/;

export const toTaste = (ratings: Pick<Rating, "movie" | "stars">[]): Taste =>
  new Map(ratings.slice(-MAX_RATINGS).map(({ movie, stars }) => [movie.id, stars]));

/** Return the fragment of a link that holds these tastes. */
export const toFragment = (tastes: Taste[]): string => PREFIX + tastes.map(encode).join("~");

/** Return the tastes in a fragment; what cannot be read is left out. */
export function parseFragment(fragment: string): Taste[] {
  if (!fragment.startsWith(PREFIX)) return [];
  const tastes = fragment.slice(PREFIX.length).split("~").map(decode);
  return tastes.filter(({ size }) => size > 0).slice(0, MAX_FRIENDS);
}

/** Return the tastes without those of the visitor, who may open the own link. */
export function friendsOf(own: Taste, tastes: Taste[]): Taste[] {
  const ownText = encode(own);
  return tastes.filter((taste) => encode(taste) !== ownText);
}

/** The separators are escaped as well, which `encodeURIComponent` does not do. */
const encodeId = (id: Id): string =>
  typeof id === "number"
    ? id.toString(36)
    : `_${encodeURIComponent(id).replace(/[-.~]/g, (mark) => `%${mark.charCodeAt(0).toString(16)}`)}`;

function decodeId(text: string): Id | null {
  if (!text.startsWith("_")) return Number.parseInt(text, 36);
  try {
    return decodeURIComponent(text.slice(1));
  } catch {
    return null;
  }
}

const encode = (taste: Taste): string =>
  [...taste].map(([id, stars]) => `${encodeId(id)}-${(stars * 2).toString(36)}`).join(".");

function decode(text: string): Taste {
  const matches = text.split(".").slice(0, MAX_RATINGS).map((part) => RATING.exec(part));
  return new Map(
    matches.flatMap((match) => {
      const id = match && decodeId(match[1]!);
      return match && id !== null ? [[id, Number.parseInt(match[2]!, 36) / 2] as const] : [];
    }),
  );
}
