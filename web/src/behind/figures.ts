/** Which figures are shown first, and how. */
import { texts } from "../texts";

/** What models are judged by: always shown, as a dash where it was not measured. */
export const MAIN = ["visitor_ndcg_at_10", "next_visit_ndcg_at_10", "visitor_debiased_ndcg_at_10", "rmse"];
/** The order of all figures with a name; others follow by name. */
const ORDER = Object.keys(texts.figures);
/** Measured in stars, not as shares: another scale, and less is better. */
export const IN_STARS = new Set(["rmse", "mae"]);

/** A figure with a name of its own on this page; MLflow has all others. */
export const isNamed = (name: string): boolean => name in texts.figures;

export const figureName = (name: string): string => texts.figures[name] ?? name;

export function sorted(names: string[]): string[] {
  const place = (name: string): number => {
    const at = ORDER.indexOf(name);
    return at < 0 ? ORDER.length : at;
  };
  return [...names].sort((a, b) => place(a) - place(b) || a.localeCompare(b));
}

export function shownFigure(value: number | undefined): string {
  if (value === undefined) return "–";
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return value.toLocaleString("en", { minimumFractionDigits: 3, maximumFractionDigits: Math.abs(value) < 0.01 ? 5 : 3 });
}
