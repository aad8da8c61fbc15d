/** The order, names and number format of the models' metrics. */
import { texts } from "../texts";

/** The main metrics. They are always shown, as a dash where they were not measured. */
export const MAIN = ["visitor_ndcg_at_10", "next_visit_ndcg_at_10", "visitor_debiased_ndcg_at_10", "rmse"];
/** The order of the metrics that the page has a name for; others follow alphabetically. */
const ORDER = Object.keys(texts.metrics);
/** Measured in stars, less is better. The others are shares of 0 to 1. */
export const IN_STARS = new Set(["rmse", "mae"]);

/** Whether the page has a name for the metric. MLflow shows the others. */
export const isNamed = (name: string): boolean => name in texts.metrics;

export const metricName = (name: string): string => texts.metrics[name] ?? name;

export function sortMetrics(names: string[]): string[] {
  const rank = (name: string): number => {
    const index = ORDER.indexOf(name);
    return index < 0 ? ORDER.length : index;
  };
  return [...names].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

export function formatMetric(value: number | undefined): string {
  if (value === undefined) return "–";
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return value.toLocaleString("en", { minimumFractionDigits: 3, maximumFractionDigits: Math.abs(value) < 0.01 ? 5 : 3 });
}
