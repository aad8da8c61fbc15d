/** Which figures are shown first, and how. */
import { texts } from "../texts";

/** In the order of docs/metrics.md; others follow by name. */
const ORDER = Object.keys(texts.figures);
/** Measured in stars, not as shares: another scale, and less is better. */
export const IN_STARS = new Set(["rmse", "mae"]);

export const figureName = (name: string): string => texts.figures[name] ?? name;

export function sorted(names: string[]): string[] {
  const place = (name: string): number => {
    const at = ORDER.indexOf(name);
    return at < 0 ? ORDER.length : at;
  };
  return [...names].sort((a, b) => place(a) - place(b) || a.localeCompare(b));
}

export function shownFigure(value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return value.toLocaleString("en", { minimumFractionDigits: 3, maximumFractionDigits: Math.abs(value) < 0.01 ? 5 : 3 });
}
