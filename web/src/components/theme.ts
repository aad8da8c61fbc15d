/** Light, dark, or as the system has it. */
import { effect, signal } from "@preact/signals";
import { store, stored } from "../person/storage";

const KEY = "moovier.theme";
const THEMES = ["auto", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const found = stored(KEY) as Theme | null;
export const theme = signal<Theme>(found && THEMES.includes(found) ? found : "auto");

export function nextTheme(): void {
  theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length]!;
  store(KEY, theme.value);
}

effect(() => {
  document.documentElement.dataset["theme"] = theme.value;
});
