/** The visitor's ratings and hidden movies, with the means to export and delete them. */
import { HiddenMovies } from "../components/HiddenMovies";
import { ImportRatings } from "../components/ImportRatings";
import { Poster } from "../components/Poster";
import { SignIn } from "../components/SignIn";
import { Stars } from "../components/Stars";
import { YourData } from "../components/YourData";
import { Cross } from "../components/icons";
import { useView } from "../components/useView";
import { titleWithYear } from "../movie";
import { texts } from "../texts";
import { rateMovie, unrateMovie } from "../visitor/actions";
import { isStored, visitor } from "../visitor/store";

export function You() {
  useView(texts.titles.of(texts.navigation.you));
  const { ratings, seen, notForMe } = visitor.value;
  return (
    <>
      <section class="view-head">
        <h1 tabIndex={-1}>{texts.you.heading}</h1>
        <p class="lead">{texts.you.lead}</p>
        {!isStored.value && <p class="warning" role="alert">{texts.you.notStored}</p>}
      </section>
      <div class="you">
        <section class="you-ratings" aria-labelledby="ratings-heading">
          <h2 id="ratings-heading">{texts.you.ratings(ratings.length)}</h2>
          {!ratings.length && <p class="faint">{texts.you.noRatings}</p>}
          <ul class="rows">
            {[...ratings].reverse().map(({ movie, stars }) => (
              <li key={movie.id} data-movie={movie.id}>
                <Poster movie={movie} width={185} />
                <a class="row-title" href={`/movie/${movie.id}`}>{titleWithYear(movie)}</a>
                <Stars
                  title={titleWithYear(movie)}
                  value={stars}
                  onRate={(newStars) => rateMovie(movie, newStars)}
                  onRemove={() => unrateMovie(movie)}
                />
                <button
                  type="button"
                  class="row-remove"
                  aria-label={texts.you.unrate(movie.title)}
                  onClick={() => unrateMovie(movie)}
                >
                  <Cross />
                </button>
              </li>
            ))}
          </ul>
        </section>
        <div class="you-side">
          <ImportRatings />
          <YourData />
          <SignIn />
          <HiddenMovies heading={texts.you.seen} lead={texts.you.seenLead} movies={seen} />
          <HiddenMovies heading={texts.you.notForMe} lead={texts.you.notForMeLead} movies={notForMe} />
        </div>
      </div>
    </>
  );
}
