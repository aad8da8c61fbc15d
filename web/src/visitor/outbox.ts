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
/** The oldest writes beyond this number are dropped. An imported file has thousands of ratings. */
const MAX_WRITES = 10_000;
/** Ratings in one request. */
const MAX_BATCH = 500;
let writes: Write[] = readWrites();
let isRefused = false;
let sending: Promise<void> | null = null;

/** Queue writes in place of earlier ones of the same movies, and try to send them. */
export function enqueue(...added: Write[]): Promise<void> {
  if (isRefused) return Promise.resolve();
  const targets = new Set(added.map(targetOf));
  writes = [...writes.filter((other) => !targets.has(targetOf(other))), ...added].slice(-MAX_WRITES);
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
  let maxBatch = MAX_BATCH;
  while (writes.length && !isRefused) {
    const [write] = writes as [Write];
    const ratings = write.do === "rate" ? ratingsLike(write).slice(0, maxBatch) : [];
    const batch: Write[] = write.do === "rate" ? ratings : [write];
    try {
      await (write.do === "rate" ? postRatings(ratings) : deleteRating(write));
    } catch (error) {
      if (isAbort(error)) return;
      const { status } = toApiError(error);
      if (status === 401 || status === 403) isRefused = true;
      // Other client errors are final (a movie that the catalogue lacks): drop the write, or it
      // would block the queue.
      else if (status < 400 || status >= 500 || status === 429) return;
      else if (batch.length > 1) {
        // One of them is wrong: send them one by one.
        maxBatch = 1;
        continue;
      }
    }
    writes = isRefused ? [] : writes.filter((other) => !batch.includes(other));
    persist();
  }
}

/** Return the ratings at the head of the queue that one request can carry. */
function ratingsLike({ user, requestId }: Rate): Rate[] {
  const isLike = (write: Write): write is Rate =>
    write.do === "rate" && write.user === user && write.requestId === requestId;
  const end = writes.findIndex((write) => !isLike(write));
  return (end < 0 ? writes : writes.slice(0, end)) as Rate[];
}

async function postRatings(batch: Rate[]): Promise<void> {
  const [{ user, requestId }] = batch as [Rate];
  const ratings = batch.map(({ movie, stars, at }) => ({ movie_id: movie, stars, timestamp: at }));
  const body = { user_id: user, ratings, request_id: requestId };
  await unwrap(client.POST("/ratings", { body }));
}

async function deleteRating({ user, movie }: Unrate): Promise<void> {
  const query = { user_id: user, ...(movie === null ? {} : { movie_id: movie }) };
  await unwrap(client.DELETE("/ratings", { params: { query } }));
}

const targetOf = ({ user, movie }: Write): string => `${user}/${movie}`;

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
