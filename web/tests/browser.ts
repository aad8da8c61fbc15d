/** A browser and a service for unit tests: storage, events, network state and HTTP. */
import { vi } from "vitest";

export class FakeStorage {
  readonly items = new Map<string, string>();
  /** Refuse to read or write, like a browser with storage disabled. */
  isDisabled = false;

  getItem(key: string): string | null {
    this.#check();
    return this.items.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    this.#check();
    this.items.set(key, value);
  }

  removeItem(key: string): void {
    this.#check();
    this.items.delete(key);
  }

  #check(): void {
    if (this.isDisabled) throw new DOMException("disabled", "SecurityError");
  }
}

export interface ServiceRequest {
  method: string;
  path: string;
  query: Record<string, string>;
  body: unknown;
}

type Answer = Response | Promise<Response>;

export class FakeService {
  readonly requests: ServiceRequest[] = [];
  answer: (request: ServiceRequest) => Answer = () => json({});

  /** Stand for a service that cannot be reached. */
  stop(): void {
    this.answer = () => Promise.reject(new TypeError("Failed to fetch"));
  }

  readonly fetch = async (input: Request | string, options?: RequestInit): Promise<Response> => {
    const request = input instanceof Request ? input : new Request(input, options);
    const url = new URL(request.url);
    const text = await request.text();
    const received = {
      method: request.method,
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      body: text ? (JSON.parse(text) as unknown) : null,
    };
    request.signal.throwIfAborted();
    this.requests.push(received);
    return this.answer(received);
  };
}

export interface FakeBrowser {
  storage: FakeStorage;
  service: FakeService;
  /** Report whether the browser is online. */
  navigator: { onLine: boolean; language: string };
  dispatch: (event: Event) => void;
}

/** Install a new browser, and forget all imported modules, whose state belongs to the old one. */
export function newBrowser(): FakeBrowser {
  vi.resetModules();
  const storage = new FakeStorage();
  const service = new FakeService();
  const navigator = { onLine: true, language: "en-GB" };
  const events = new EventTarget();
  const NodeRequest = Request;
  vi.stubGlobal("localStorage", storage);
  vi.stubGlobal("navigator", navigator);
  vi.stubGlobal("addEventListener", events.addEventListener.bind(events));
  // Node resolves no relative URLs.
  vi.stubGlobal(
    "Request",
    class extends NodeRequest {
      constructor(input: string | URL | Request, init?: RequestInit) {
        const url = typeof input === "string" ? new URL(input, "http://moovier.test") : input;
        super(url, init);
      }
    },
  );
  vi.stubGlobal("fetch", service.fetch);
  return { storage, service, navigator, dispatch: (event) => void events.dispatchEvent(event) };
}

export const json = (body: unknown, status = 200, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(body), {
    status,
    headers: { "Content-Type": "application/json", ...headers },
  });

export interface Deferred<Value> {
  promise: Promise<Value>;
  resolve: (value: Value) => void;
  reject: (error: unknown) => void;
}

/** Return a promise with the functions that settle it. */
export function deferred<Value>(): Deferred<Value> {
  let resolve!: (value: Value) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<Value>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

/** Turns of the event loop in which everything that needs no timer has finished. */
const TURNS = 10;

/** Let all pending promise callbacks and answers of the service run. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export const movie = (id: number, title = `Movie ${id}`) => ({
  id,
  title,
  year: 1990 + id,
  genres: ["Drama"],
  poster: `/poster${id}.jpg`,
});
