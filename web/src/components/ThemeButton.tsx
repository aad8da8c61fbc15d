import { texts } from "../texts";
import { Half, Moon, Sun } from "./icons";
import { nextTheme, theme } from "./theme";

const ICONS = { auto: Half, light: Sun, dark: Moon };

export function ThemeButton() {
  const Icon = ICONS[theme.value];
  const label = texts.theme.next(texts.theme[theme.value]);
  return (
    <button type="button" class="theme" aria-label={label} title={label} onClick={nextTheme}>
      <Icon />
    </button>
  );
}
