/** The colour theme: light, dark, or the system's. */
import { effect, signal } from "@preact/signals";
import { readItem, writeItem } from "../visitor/storage";

const KEY = "moovier.theme";
const THEMES = ["auto", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const storedTheme = readItem(KEY) as Theme | null;
export const theme = signal<Theme>(
  storedTheme && THEMES.includes(storedTheme) ? storedTheme : "auto",
);

export function nextTheme(): void {
  theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length]!;
  writeItem(KEY, theme.value);
}

effect(() => {
  document.documentElement.dataset["theme"] = theme.value;
});
