/** A card for one recommended movie. Its size does not depend on its content. */
import { type RecommendedMovie, moviePath } from "../movie";
import { hideMovie, rateMovie, unrateMovie } from "../visitor/actions";
import { starsById } from "../visitor/store";
import { texts } from "../texts";
import { Eye, No, Star } from "./icons";
import { Poster } from "./Poster";
import { Stars } from "./Stars";

export function Card({ movie, eager = false }: { movie: RecommendedMovie; eager?: boolean }) {
  const ownStars = starsById.value.get(movie.id) ?? null;
  const [first, second] = movie.because;
  return (
    <article class="card" data-movie={movie.id}>
      <div class="card-poster">
        <a class="card-link" href={moviePath(movie.id)} tabIndex={-1} aria-hidden="true">
          <Poster movie={movie} eager={eager} />
        </a>
        <div class="card-actions">
          <button
            type="button"
            title={texts.rate.seen}
            aria-label={texts.rate.seenLong(movie.title)}
            onClick={() => hideMovie(movie, "seen")}
          >
            <Eye />
          </button>
          <button
            type="button"
            title={texts.rate.notForMe}
            aria-label={texts.rate.notForMeLong(movie.title)}
            onClick={() => hideMovie(movie, "notForMe")}
          >
            <No />
          </button>
        </div>
      </div>
      <h3 class="card-title">
        <a href={moviePath(movie.id)}>{movie.title}</a>
      </h3>
      <p class="card-facts">
        <span>{movie.year ?? "–"}</span>
        {movie.starsByPerson.length === 0 && movie.stars !== null && (
          <span class="expected" title={texts.list.expected(movie.stars)}>
            <Star />
            <span class="unseen">{texts.list.expected(movie.stars)}</span>
            <span aria-hidden="true">{texts.list.starsShort(movie.stars)}</span>
          </span>
        )}
      </p>
      {movie.starsByPerson.length > 0 && <People stars={movie.starsByPerson} />}
      <p class="card-because">
        {first && (
          <>
            {movie.starsByPerson.length ? texts.list.becauseOfGroup : texts.list.because} <em>{first.title}</em>
            {second && (
              <>
                {texts.list.and}
                <em>{second.title}</em>
              </>
            )}
          </>
        )}
      </p>
      <Stars
        title={movie.title}
        value={ownStars}
        onRate={(stars) => rateMovie(movie, stars, movie.requestId)}
        onRemove={() => unrateMovie(movie)}
      />
    </article>
  );
}

/** The predicted stars of each person of a group. */
function People({ stars }: { stars: (number | null)[] }) {
  const names = texts.together.people(stars.length);
  return (
    <ul class="card-people">
      {stars.map((value, index) => (
        <li key={index}>
          <span aria-hidden="true">{names[index]}</span>
          <span class="expected" aria-hidden="true">
            <Star />
            {value === null ? "–" : texts.list.starsShort(value)}
          </span>
          {value !== null && <span class="unseen">{texts.together.expected(names[index]!, value)}</span>}
        </li>
      ))}
    </ul>
  );
}
