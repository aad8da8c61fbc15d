import { beforeEach, expect, test } from "vitest";
import { type FakeBrowser, newBrowser } from "../browser";

let browser: FakeBrowser;
let storage: typeof import("../../src/visitor/storage");

beforeEach(async () => {
  browser = newBrowser();
  storage = await import("../../src/visitor/storage");
});

test("a written item is read back", () => {
  expect(storage.writeItem("key", "value")).toBe(true);
  expect(storage.readItem("key")).toBe("value");
});

test("null deletes an item", () => {
  storage.writeItem("key", "value");
  expect(storage.writeItem("key", null)).toBe(true);
  expect(browser.storage.items.has("key")).toBe(false);
  expect(storage.readItem("key")).toBe(null);
});

test("disabled storage reads null and reports a failed write", () => {
  browser.storage.items.set("key", "value");
  browser.storage.isDisabled = true;
  expect(storage.readItem("key")).toBe(null);
  expect(storage.writeItem("key", "other")).toBe(false);
  expect(storage.writeItem("key", null)).toBe(false);
  expect(browser.storage.items.get("key")).toBe("value");
});
