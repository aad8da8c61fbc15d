/** Where a movie can be watched; nothing where the service has no answer from TMDB. */
import { useEffect, useState } from "preact/hooks";
import { client, unwrap } from "../api/client";
import type { ProvidersAnswer } from "../api/types";
import { texts } from "../texts";
import { readItem, writeItem } from "../visitor/storage";

const KINDS = ["stream", "free", "ads", "rent", "buy"] as const;
/** Countries to choose from, by ISO 3166-1; the visitor's own comes first. */
const COUNTRIES = ["US", "GB", "CA", "AU", "IE", "NZ", "DE", "AT", "CH", "FR", "BE", "NL", "ES", "PT", "IT", "SE", "NO", "DK", "FI", "PL", "BR", "MX", "AR", "IN", "JP", "KR"];
const STORED = "moovier-country";

/** Return the country that was chosen before, else the one of the browser's language. */
function initialCountry(): string {
  const own = readItem(STORED) ?? navigator.language.split("-")[1]?.toUpperCase() ?? "";
  return /^[A-Z]{2}$/.test(own) ? own : "US";
}

const countryName = (code: string): string =>
  new Intl.DisplayNames(["en"], { type: "region" }).of(code) ?? code;

export function WhereToWatch({ movieId }: { movieId: number }) {
  const [country, setCountry] = useState(initialCountry);
  const [offers, setOffers] = useState<ProvidersAnswer | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    const params = { path: { movie_id: movieId }, query: { region: country } };
    unwrap(client.GET("/movies/{movie_id}/providers", { params, signal: abort.signal })).then(
      setOffers,
      () => undefined, // The page works without offers.
    );
    return () => abort.abort();
  }, [movieId, country]);
  if (!offers?.known) return null;
  const choose = (code: string) => {
    writeItem(STORED, code);
    setCountry(code);
  };
  const kinds = KINDS.filter((kind) => offers[kind].length > 0);
  return (
    <section class="watch" aria-labelledby="watch-heading">
      <div class="watch-head">
        <h2 id="watch-heading">{texts.movie.watch}</h2>
        <select
          aria-label={texts.movie.country}
          value={country}
          onChange={(event) => choose(event.currentTarget.value)}
        >
          {[...new Set([country, ...COUNTRIES])].map((code) => (
            <option key={code} value={code}>{countryName(code)}</option>
          ))}
        </select>
      </div>
      {kinds.length === 0 && <p class="faint">{texts.movie.noOffers}</p>}
      <dl>
        {kinds.map((kind) => (
          <div key={kind}>
            <dt class="faint">{texts.movie.offers[kind]}</dt>
            <dd>{offers[kind].map(({ name }) => name).join(", ")}</dd>
          </div>
        ))}
      </dl>
      <p class="faint">
        {texts.movie.justWatch}{" "}
        {offers.link && <a href={offers.link} rel="noreferrer">{texts.movie.allOffers}</a>}
      </p>
    </section>
  );
}
