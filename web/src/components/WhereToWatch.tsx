/** Where a movie can be watched; nothing where the service has no answer from TMDB. */
import { useEffect, useState } from "preact/hooks";
import { client, unwrap } from "../api/client";
import type { ProvidersAnswer } from "../api/types";
import type { Id } from "../movie";
import { texts } from "../texts";
import { chooseCountry, countries, ownCountry } from "../visitor/country";

const KINDS = ["stream", "free", "ads", "rent", "buy"] as const;

export function WhereToWatch({ movieId }: { movieId: Id }) {
  const country = ownCountry.value;
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
  const kinds = KINDS.filter((kind) => offers[kind].length > 0);
  return (
    <section class="watch" aria-labelledby="watch-heading">
      <div class="watch-head">
        <h2 id="watch-heading">{texts.movie.watch}</h2>
        <select
          aria-label={texts.movie.country}
          value={country}
          onChange={(event) => chooseCountry(event.currentTarget.value)}
        >
          {countries(country).map(({ code, name }) => (
            <option key={code} value={code}>{name}</option>
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
