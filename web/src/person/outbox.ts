/** Ratings on their way to the service, so that it learns from them, too.
 *
 * What somebody sees never waits for it: the lists are made from the ratings that come with each
 * request. Where the service wants a key it is not sent at all; where the service is away it is
 * sent later, also after a reload.
 */
import { aborted, api, told, troubleOf } from "../api/client";
import { store, stored } from "./storage";

interface Rate {
  do: "rate";
  user: number;
  movie: number;
  stars: number;
  at: number;
  requestId: string | null;
}
/** Without a movie: all that the user gave here. */
interface Unrate {
  do: "unrate";
  user: number;
  movie: number | null;
}
type Errand = Rate | Unrate;

const KEY = "moovier.outbox";
const MOST = 1_000;
let errands: Errand[] = readErrands();
let closed = false;
let running: Promise<void> | null = null;

export function send(errand: Errand): Promise<void> {
  if (closed) return Promise.resolve();
  errands = [...errands.filter((one) => !same(one, errand)), errand].slice(-MOST);
  keep();
  return flush();
}

/** Try what waits. Resolves when it went, or when there is no sense in trying now. */
export function flush(): Promise<void> {
  running ??= all().finally(() => {
    running = null;
  });
  return running;
}

/** Take back what was sent, instead of all that still waits. False where the service could not be
 * told yet; it will be. */
export async function takeBack(what: Omit<Unrate, "do">[]): Promise<boolean> {
  await running;
  errands = closed ? [] : what.map((one) => ({ do: "unrate", ...one }));
  keep();
  await flush();
  return errands.length === 0;
}

async function all(): Promise<void> {
  while (errands.length && !closed) {
    const [errand] = errands as [Errand];
    try {
      await (errand.do === "rate" ? given(errand) : taken(errand.user, errand.movie));
    } catch (error) {
      if (aborted(error)) return;
      const { status } = troubleOf(error);
      if (status === 401 || status === 403) closed = true;
      // What the service will never take (a movie of another catalogue) must not block the rest.
      else if (status < 400 || status >= 500 || status === 429) return;
    }
    errands = errands.filter((one) => one !== errand);
    if (closed) errands = [];
    keep();
  }
}

async function given(errand: Rate): Promise<void> {
  const rating = { movie_id: errand.movie, stars: errand.stars, timestamp: errand.at };
  const body = { user_id: errand.user, ratings: [rating], request_id: errand.requestId };
  await told(api.POST("/ratings", { body }));
}

async function taken(user_id: number, movie: number | null): Promise<void> {
  const query = movie === null ? { user_id } : { user_id, movie_id: movie };
  await told(api.DELETE("/ratings", { params: { query } }));
}

const same = (one: Errand, other: Errand): boolean =>
  one.user === other.user && one.movie === other.movie;

const keep = (): boolean => store(KEY, errands.length ? JSON.stringify(errands) : null);

function readErrands(): Errand[] {
  try {
    const found: unknown = JSON.parse(stored(KEY) ?? "[]");
    return Array.isArray(found) ? (found as Errand[]) : [];
  } catch {
    return [];
  }
}
