import { beforeEach, expect, test } from "vitest";
import { type FakeBrowser, json, newBrowser } from "../browser";

let browser: FakeBrowser;
let health: typeof import("../../src/ops/health");

const request = () => health.fetchHealth(new AbortController().signal);

beforeEach(async () => {
  browser = newBrowser();
  health = await import("../../src/ops/health");
});

test("a ready service may be degraded", async () => {
  browser.service.answer = () => json({ ready: true, degraded: ["MLflow does not answer", { a: 1 }] });
  expect(await request()).toEqual({ ready: true, degraded: ["MLflow does not answer", '{"a":1}'] });
});

test.each([
  ["no JSON", () => new Response("starting", { status: 503 })],
  ["other JSON", () => json({ degraded: "all" }, 503)],
])("without a list of problems the status counts: %s", async (_, answer) => {
  browser.service.answer = answer;
  expect(await request()).toEqual({ ready: false, degraded: [] });
});

test("a service that cannot be reached is an error with status 0", async () => {
  browser.service.stop();
  await expect(request()).rejects.toMatchObject({ status: 0 });
});
