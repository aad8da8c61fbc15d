/** The list for several people who watch together. */
import type { RecommendedMovie } from "../movie";
import { tasteKey } from "../visitor/store";
import type { Taste } from "../visitor/together";
import { fetchForGroup } from "./api";
import { PagedList } from "./paged";

export const list = new PagedList<RecommendedMovie>();

/** Load the list again when the visitor's ratings or the friends have changed. */
export function updateList(friends: Taste[]): void {
  const key = `${tasteKey.value} ${JSON.stringify(friends.map((taste) => [...taste]))}`;
  list.show(key, (cursor, signal) => fetchForGroup(friends, cursor, signal));
}
