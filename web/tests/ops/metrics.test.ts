import { expect, test } from "vitest";
import { MAIN, formatMetric, isNamed, metricName, sortMetrics } from "../../src/ops/metrics";

test("main metrics come first, those without a name last by alphabet", () => {
  const names = ["zeta", "alpha", "mae", ...[...MAIN].reverse()];
  const sorted = sortMetrics(names);
  expect(sorted.slice(-2)).toEqual(["alpha", "zeta"]);
  expect(sorted.indexOf("visitor_ndcg_at_10")).toBe(0);
  expect(sorted.indexOf("rmse")).toBeLessThan(sorted.indexOf("mae"));
});

test("a metric without a name shows its key", () => {
  expect(isNamed("zeta")).toBe(false);
  expect(metricName("zeta")).toBe("zeta");
  expect(isNamed("rmse")).toBe(true);
  expect(metricName("rmse")).toBe("RMSE (stars)");
});

test.each([
  [undefined, "–"],
  [0, "0"],
  [12_345, "12,345"],
  [0.4314, "0.431"],
  [0.00012, "0.00012"],
  [-0.04, "-0.040"],
])("%j is shown as %j", (value, text) => {
  expect(formatMetric(value)).toBe(text);
});
