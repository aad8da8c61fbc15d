/** What this browser knows of somebody, and what they can do about it. */
import { KeptFilms } from "../components/KeptFilms";
import { Stars } from "../components/Stars";
import { Poster } from "../components/Poster";
import { useView } from "../components/useView";
import { YourData } from "../components/YourData";
import { SignIn } from "../components/SignIn";
import { named } from "../film";
import { rateFilm, unrateFilm } from "../person/doing";
import { person, remembered } from "../person/store";
import { texts } from "../texts";
import { Cross } from "../components/icons";

export function You() {
  useView(texts.titles.of(texts.navigation.you));
  const { ratings, seen, notForMe } = person.value;
  return (
    <>
      <section class="view-head">
        <h1 tabIndex={-1}>{texts.you.heading}</h1>
        <p class="lead">{texts.you.lead}</p>
        {!remembered.value && <p class="warning" role="alert">{texts.you.notRemembered}</p>}
      </section>
      <div class="you">
        <section class="you-ratings" aria-labelledby="ratings-heading">
          <h2 id="ratings-heading">{texts.you.ratings(ratings.length)}</h2>
          {!ratings.length && <p class="faint">{texts.you.noRatings}</p>}
          <ul class="rows">
            {[...ratings].reverse().map(({ film, stars }) => (
              <li key={film.id} data-film={film.id}>
                <Poster film={film} width={185} />
                <a class="row-title" href={`/movie/${film.id}`}>{named(film)}</a>
                <Stars
                  title={named(film)}
                  value={stars}
                  onRate={(to) => rateFilm(film, to)}
                  onRemove={() => unrateFilm(film)}
                />
                <button
                  type="button"
                  class="row-remove"
                  aria-label={texts.you.unrate(film.title)}
                  onClick={() => unrateFilm(film)}
                >
                  <Cross />
                </button>
              </li>
            ))}
          </ul>
        </section>
        <div class="you-side">
          <YourData />
          <SignIn />
          <KeptFilms heading={texts.you.seen} films={seen} />
          <KeptFilms heading={texts.you.notForMe} films={notForMe} />
        </div>
      </div>
    </>
  );
}
