import { beforeEach, describe, expect, test } from "vitest";
import { type FakeBrowser, json, newBrowser } from "../browser";

let browser: FakeBrowser;
let api: typeof import("../../src/api/client");

const get = (signal?: AbortSignal) => api.unwrap(api.client.GET("/models", signal ? { signal } : {}));
const failure = async (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => expect.fail("the request has not failed"),
    (error: unknown) => error,
  );

beforeEach(async () => {
  browser = newBrowser();
  api = await import("../../src/api/client");
});

test("an answer's data is returned", async () => {
  browser.service.answer = () => json(["a", "b"]);
  expect(await get()).toEqual(["a", "b"]);
});

describe("a failed request", () => {
  test("has the service's own message and the time to wait", async () => {
    browser.service.answer = () => json({ detail: "too many requests" }, 429, { "Retry-After": "7" });
    expect(await failure(get())).toMatchObject({
      status: 429,
      message: "too many requests",
      retryAfterS: 7,
    });
  });

  test.each([
    ["a list of errors", () => json({ detail: [{ msg: "wrong" }] }, 422), 422],
    ["no JSON", () => new Response("<html>", { status: 502 }), 502],
  ])("without a message names its status: %s", async (_, answer, status) => {
    browser.service.answer = answer;
    expect(await failure(get())).toMatchObject({
      status,
      message: `The service answered with HTTP status ${status}.`,
      retryAfterS: null,
    });
  });

  test("without an answer says that the service cannot be reached", async () => {
    browser.service.stop();
    expect(await failure(get())).toMatchObject({
      status: 0,
      message: "The service cannot be reached.",
    });
  });

  test("offline says so", async () => {
    browser.service.stop();
    browser.navigator.onLine = false;
    expect(await failure(get())).toMatchObject({
      status: 0,
      message: "You are offline. Your ratings are stored here and sent later.",
    });
  });

  test("that was aborted stays an abort", async () => {
    const abort = new AbortController();
    abort.abort();
    const error = await failure(get(abort.signal));
    expect(api.isAbort(error)).toBe(true);
    expect(error).not.toBeInstanceOf(api.ApiError);
  });
});

test("any other error becomes an error of the page", () => {
  const error = new api.ApiError(404, "Not found.");
  expect(api.toApiError(error)).toBe(error);
  expect(api.toApiError(new RangeError("odd"))).toMatchObject({
    status: -1,
    message: "RangeError: odd",
  });
});
