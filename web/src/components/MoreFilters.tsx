/** The filters by what only TMDB knows: where to watch, length and original language. */
import { useEffect, useState } from "preact/hooks";
import { client, unwrap } from "../api/client";
import type { RegionProviders } from "../api/types";
import type { Filters } from "../lists/filterQuery";
import { texts } from "../texts";
import { chooseCountry, countries, ownCountry } from "../visitor/country";

interface Props {
  filters: Filters;
  onChange: (filters: Filters) => void;
}

/** Lengths to choose from: the shortest and longest runtime in minutes. */
const LENGTHS: readonly (readonly [number | null, number | null])[] = [
  [null, null],
  [null, 90],
  [null, 120],
  [90, 120],
  [120, null],
  [150, null],
];
/** Original languages to choose from, by TMDB's codes; the most frequent ones come first. */
const LANGUAGES = ["en", "fr", "de", "ja", "es", "it", "ko", "zh", "cn", "hi", "ru", "pt", "sv", "da", "no", "fi", "nl", "pl", "cs", "hu", "el", "tr", "ar", "fa", "he", "ta", "te", "bn", "ml", "th", "id"];

export function MoreFilters({ filters, onChange }: Props) {
  return (
    <div id="more-filters" class="filter-more" role="group" aria-label={texts.filters.moreLabel}>
      <ProviderFilter filters={filters} onChange={onChange} />
      <label class="choice">
        <span>{texts.filters.length}</span>
        <LengthSelect filters={filters} onChange={onChange} />
      </label>
      <label class="choice">
        <span>{texts.filters.language}</span>
        <LanguageSelect filters={filters} onChange={onChange} />
      </label>
    </div>
  );
}

function ProviderFilter({ filters, onChange }: Props) {
  const country = filters.country ?? ownCountry.value;
  const known = useProviders(country);
  const { providers } = filters;
  const nameOf = (id: number) =>
    known?.providers.find((provider) => provider.id === id)?.name ?? texts.filters.provider(id);
  const choose = (ids: number[]) =>
    onChange({ ...filters, providers: ids, country: ids.length ? country : null });
  return (
    <>
      <label class="choice">
        <span>{texts.filters.providers}</span>
        <select
          value=""
          onChange={(event) => {
            const id = Number(event.currentTarget.value);
            if (id) choose([...providers, id]);
            // The chosen service becomes a chip, and the field is free for another one.
            event.currentTarget.value = "";
          }}
        >
          <option value="">{providers.length ? texts.filters.anotherProvider : texts.filters.anyProvider}</option>
          {known?.providers
            .filter(({ id }) => !providers.includes(id))
            .map(({ id, name }) => (
              <option key={id} value={id}>{name}</option>
            ))}
        </select>
      </label>
      <label class="choice">
        <span>{texts.movie.country}</span>
        <select
          value={country}
          onChange={(event) => {
            const code = event.currentTarget.value;
            chooseCountry(code);
            if (providers.length) onChange({ ...filters, country: code });
          }}
        >
          {countries(country).map(({ code, name }) => (
            <option key={code} value={code}>{name}</option>
          ))}
        </select>
      </label>
      {providers.map((id) => (
        <button
          key={id}
          type="button"
          class="chip"
          aria-pressed="true"
          onClick={() => choose(providers.filter((other) => other !== id))}
        >
          {nameOf(id)} <span aria-hidden="true">×</span>
        </button>
      ))}
      <p class="faint filter-source">{known?.known === false ? texts.filters.noProviders : texts.movie.justWatch}</p>
    </>
  );
}

/** Return the services of a country; null until the service has answered. */
function useProviders(country: string): RegionProviders | null {
  const [known, setKnown] = useState<RegionProviders | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    const params = { query: { region: country } };
    unwrap(client.GET("/providers", { params, signal: abort.signal })).then(
      setKnown,
      () => undefined, // The other filters work without them.
    );
    return () => abort.abort();
  }, [country]);
  return known;
}

function LengthSelect({ filters, onChange }: Props) {
  const { runtimeFrom, runtimeTo } = filters;
  const toValue = (from: number | null, to: number | null) => `${from ?? ""}-${to ?? ""}`;
  const own = [runtimeFrom, runtimeTo] as const;
  // A link may have another length than those to choose from.
  const isListed = LENGTHS.some((length) => toValue(...length) === toValue(...own));
  return (
    <select
      value={toValue(...own)}
      onChange={(event) => {
        const [from, to] = event.currentTarget.value.split("-").map((text) => Number(text) || null);
        onChange({ ...filters, runtimeFrom: from ?? null, runtimeTo: to ?? null });
      }}
    >
      {(isListed ? LENGTHS : [...LENGTHS, own]).map((length) => (
        <option key={toValue(...length)} value={toValue(...length)}>{texts.filters.lengths(...length)}</option>
      ))}
    </select>
  );
}

function LanguageSelect({ filters, onChange }: Props) {
  const { language } = filters;
  const names = new Intl.DisplayNames(["en"], { type: "language" });
  // TMDB's own code of Cantonese, which no standard has.
  const nameOf = (code: string) => (code === "cn" ? texts.filters.cantonese : (names.of(code) ?? code));
  return (
    <select
      value={language ?? ""}
      onChange={(event) => onChange({ ...filters, language: event.currentTarget.value || null })}
    >
      <option value="">{texts.filters.anyLanguage}</option>
      {[...new Set([...LANGUAGES, ...(language ? [language] : [])])].map((code) => (
        <option key={code} value={code}>{nameOf(code)}</option>
      ))}
    </select>
  );
}
