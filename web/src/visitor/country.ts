/** The country in which the visitor watches movies, chosen once for all views. */
import { signal } from "@preact/signals";
import { readItem, writeItem } from "./storage";

/** Countries to choose from, by ISO 3166-1; the visitor's own comes first. */
const COUNTRIES = ["US", "GB", "CA", "AU", "IE", "NZ", "DE", "AT", "CH", "FR", "BE", "NL", "ES", "PT", "IT", "SE", "NO", "DK", "FI", "PL", "BR", "MX", "AR", "IN", "JP", "KR"];
const STORED = "moovier-country";

/** Return the country that was chosen before, else the one of the browser's language. */
function initialCountry(): string {
  const own = readItem(STORED) ?? navigator.language.split("-")[1]?.toUpperCase() ?? "";
  return /^[A-Z]{2}$/.test(own) ? own : "US";
}

export const ownCountry = signal(initialCountry());

export function chooseCountry(code: string): void {
  writeItem(STORED, code);
  ownCountry.value = code;
}

/** Return the countries to choose from, with their English names. */
export function countries(own: string): { code: string; name: string }[] {
  const names = new Intl.DisplayNames(["en"], { type: "region" });
  return [...new Set([own, ...COUNTRIES])].map((code) => ({ code, name: names.of(code) ?? code }));
}
