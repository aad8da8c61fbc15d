/** The queue of ratings and hidden movies on their way to the service, which learns from them.
 *
 * Nothing the visitor sees waits for it, because every request for a list carries both. It survives
 * a reload: while the service cannot be reached, writes wait for the next attempt. When the service
 * requires an API key, nothing is sent at all.
 */
import { client, isAbort, toApiError, unwrap } from "../api/client";
import type { Id } from "../movie";
import { readItem, writeItem } from "./storage";

interface Rate {
  do: "rate";
  user: Id;
  movie: Id;
  stars: number;
  at: number;
  requestId: string | null;
}
interface Unrate {
  do: "unrate";
  user: Id;
  /** Null: all ratings that the user gave here. */
  movie: Id | null;
}
/** `seen` or `not_for_me`, the service's names of the lists of hidden movies. */
export type HidingEvent = "seen" | "not_for_me";
interface Hide {
  do: "hide";
  user: Id;
  movie: Id;
  event: HidingEvent;
  at: number;
}
interface Unhide {
  do: "unhide";
  user: Id;
  movie: Id;
  event: HidingEvent;
}
type Write = Rate | Unrate | Hide | Unhide;

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

/** Delete ratings and hidden movies in the service, and drop all that is queued.
 *
 * Resolves to false when the service cannot be reached; the deletions then stay in the queue.
 */
export async function deleteAll(
  ratings: Omit<Unrate, "do">[],
  hidden: Omit<Unhide, "do">[] = [],
): Promise<boolean> {
  await sending;
  const deletions: Write[] = [
    ...ratings.map((rating) => ({ do: "unrate" as const, ...rating })),
    ...hidden.map((movie) => ({ do: "unhide" as const, ...movie })),
  ];
  writes = isRefused ? [] : deletions;
  persist();
  await flush();
  return writes.length === 0;
}

async function sendAll(): Promise<void> {
  let maxBatch = MAX_BATCH;
  while (writes.length && !isRefused) {
    const batch = nextBatch(maxBatch);
    try {
      await send(batch);
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

/** Return the writes at the head of the queue that one request can carry. */
function nextBatch(maxBatch: number): Write[] {
  const [first] = writes as [Write];
  const end = writes.findIndex((write) => !isLike(first, write));
  return (end < 0 ? writes : writes.slice(0, Math.max(end, 1))).slice(0, canBatch(first) ? maxBatch : 1);
}

const canBatch = (write: Write): boolean => write.do === "rate" || write.do === "hide";

function isLike(first: Write, write: Write): boolean {
  if (first.do === "rate" && write.do === "rate" && first.requestId !== write.requestId) return false;
  return write.do === first.do && write.user === first.user;
}

async function send(batch: Write[]): Promise<void> {
  const [first] = batch as [Write];
  if (first.do === "rate") return postRatings(batch as Rate[]);
  if (first.do === "hide") return postEvents(batch as Hide[]);
  return first.do === "unrate" ? deleteRating(first) : deleteEvent(first);
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

async function postEvents(batch: Hide[]): Promise<void> {
  const [{ user }] = batch as [Hide];
  const events = batch.map(({ movie, event, at }) => ({ movie_id: movie, event, timestamp: at }));
  await unwrap(client.POST("/events", { body: { user_id: user, events } }));
}

async function deleteEvent({ user, movie, event }: Unhide): Promise<void> {
  const query = { user_id: user, movie_id: movie, event };
  await unwrap(client.DELETE("/events", { params: { query } }));
}

const targetOf = (write: Write): string => {
  const { user, movie } = write;
  return "event" in write ? `${user}/${movie}/${write.event}` : `${user}/${movie}`;
};

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
  const isKnown = ["rate", "unrate", "hide", "unhide"].includes(write.do ?? "");
  return isKnown && (typeof write.user === "number" || typeof write.user === "string");
}
