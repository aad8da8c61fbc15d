/** The queue of ratings on their way to the service, which learns from them.
 *
 * Nothing the visitor sees waits for it, because every request for a list carries the ratings. It
 * survives a reload: while the service cannot be reached, ratings wait for the next attempt. When
 * the service requires an API key, ratings are not sent at all.
 */
import { client, isAbort, toApiError, unwrap } from "../api/client";
import { readItem, writeItem } from "./storage";

interface Rate {
  do: "rate";
  user: number;
  movie: number;
  stars: number;
  at: number;
  requestId: string | null;
}
interface Unrate {
  do: "unrate";
  user: number;
  /** Null: all ratings that the user gave here. */
  movie: number | null;
}
type Write = Rate | Unrate;

const KEY = "moovier.outbox";
/** The oldest writes beyond this number are dropped. */
const MAX_WRITES = 1_000;
let writes: Write[] = readWrites();
let isRefused = false;
let sending: Promise<void> | null = null;

/** Queue a write in place of an earlier one of the same movie, and try to send it. */
export function enqueue(write: Write): Promise<void> {
  if (isRefused) return Promise.resolve();
  writes = [...writes.filter((other) => !isSameTarget(other, write)), write].slice(-MAX_WRITES);
  persist();
  return flush();
}

/** Send the queue. Resolves when it is empty, or when the service cannot take it now. */
export function flush(): Promise<void> {
  sending ??= sendAll().finally(() => {
    sending = null;
  });
  return sending;
}

/** Delete ratings in the service, and drop all that are queued.
 *
 * Resolves to false when the service cannot be reached; the deletions then stay in the queue.
 */
export async function deleteRatings(ratings: Omit<Unrate, "do">[]): Promise<boolean> {
  await sending;
  writes = isRefused ? [] : ratings.map((rating) => ({ do: "unrate", ...rating }));
  persist();
  await flush();
  return writes.length === 0;
}

async function sendAll(): Promise<void> {
  while (writes.length && !isRefused) {
    const [write] = writes as [Write];
    try {
      await (write.do === "rate" ? postRating(write) : deleteRating(write));
    } catch (error) {
      if (isAbort(error)) return;
      const { status } = toApiError(error);
      if (status === 401 || status === 403) isRefused = true;
      // Other client errors are final (a movie that the catalogue lacks): drop the write, or it
      // would block the queue.
      else if (status < 400 || status >= 500 || status === 429) return;
    }
    writes = isRefused ? [] : writes.filter((other) => other !== write);
    persist();
  }
}

async function postRating({ user, movie, stars, at, requestId }: Rate): Promise<void> {
  const rating = { movie_id: movie, stars, timestamp: at };
  const body = { user_id: user, ratings: [rating], request_id: requestId };
  await unwrap(client.POST("/ratings", { body }));
}

async function deleteRating({ user, movie }: Unrate): Promise<void> {
  const query = { user_id: user, ...(movie === null ? {} : { movie_id: movie }) };
  await unwrap(client.DELETE("/ratings", { params: { query } }));
}

const isSameTarget = (write: Write, other: Write): boolean =>
  write.user === other.user && write.movie === other.movie;

const persist = (): boolean => writeItem(KEY, writes.length ? JSON.stringify(writes) : null);

function readWrites(): Write[] {
  try {
    const stored: unknown = JSON.parse(readItem(KEY) ?? "[]");
    return Array.isArray(stored) ? stored.filter(isWrite) : [];
  } catch {
    return [];
  }
}

function isWrite(value: unknown): value is Write {
  if (typeof value !== "object" || value === null) return false;
  const write = value as Partial<Write>;
  return (write.do === "rate" || write.do === "unrate") && typeof write.user === "number";
}
