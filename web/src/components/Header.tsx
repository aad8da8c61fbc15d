import { useLocation } from "preact-iso";
import { texts } from "../texts";
import { ThemeButton } from "./ThemeButton";

const LINKS = [
  ["/", texts.navigation.discover],
  ["/you", texts.navigation.you],
  ["/behind", texts.navigation.ops],
] as const;

export function Header() {
  const { path } = useLocation();
  return (
    <header class="top">
      <a class="skip" href="#main">{texts.skip}</a>
      <a class="brand" href="/">
        <svg viewBox="0 0 32 32" aria-hidden="true" focusable="false">
          <rect width="32" height="32" rx="8" />
          <path d="M7 24V9.5l9 9 9-9V24" />
          <circle cx="16" cy="8" r="2.4" />
        </svg>
        {texts.name}
      </a>
      <nav aria-label={texts.navigation.label}>
        {LINKS.map(([address, name]) => (
          <a key={address} href={address} aria-current={path === address ? "page" : undefined}>
            {name}
          </a>
        ))}
      </nav>
      <ThemeButton />
    </header>
  );
}
