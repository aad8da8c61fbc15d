/** A recommended film in the wall. Its size does not depend on what is known of it. */
import type { Recommended } from "../film";
import { leaveOutFilm, rateFilm, unrateFilm } from "../person/doing";
import { starsById } from "../person/store";
import { texts } from "../texts";
import { Eye, No, Star } from "./icons";
import { Poster } from "./Poster";
import { Stars } from "./Stars";

export function Card({ film, eager = false }: { film: Recommended; eager?: boolean }) {
  const own = starsById.value.get(film.id) ?? null;
  const [because, second] = film.because;
  return (
    <article class="card" data-film={film.id}>
      <div class="card-poster">
        <a class="card-link" href={`/movie/${film.id}`} tabIndex={-1} aria-hidden="true">
          <Poster film={film} eager={eager} />
        </a>
        <div class="card-actions">
          <button
            type="button"
            title={texts.rate.seen}
            aria-label={texts.rate.seenLong(film.title)}
            onClick={() => leaveOutFilm(film, "seen")}
          >
            <Eye />
          </button>
          <button
            type="button"
            title={texts.rate.notForMe}
            aria-label={texts.rate.notForMeLong(film.title)}
            onClick={() => leaveOutFilm(film, "notForMe")}
          >
            <No />
          </button>
        </div>
      </div>
      <h3 class="card-title">
        <a href={`/movie/${film.id}`}>{film.title}</a>
      </h3>
      <p class="card-facts">
        <span>{film.year ?? "–"}</span>
        {film.stars !== null && (
          <span class="expected" title={texts.wall.expected(film.stars)}>
            <Star />
            <span class="unseen">{texts.wall.expected(film.stars)}</span>
            <span aria-hidden="true">{texts.wall.expectedShort(film.stars)}</span>
          </span>
        )}
      </p>
      <p class="card-because">
        {because && film.because.length > 0 && (
          <>
            {texts.wall.because} <em>{because.title}</em>
            {second && (
              <>
                {texts.wall.and}
                <em>{second.title}</em>
              </>
            )}
          </>
        )}
      </p>
      <Stars
        title={film.title}
        value={own}
        onRate={(stars) => rateFilm(film, stars, film.requestId)}
        onRemove={() => unrateFilm(film)}
      />
    </article>
  );
}
