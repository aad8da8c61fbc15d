/** A bar with the newest rated movies, from which the list below it is computed. */
import { useLocation } from "preact-iso";
import { moviePath } from "../movie";
import { visitor } from "../visitor/store";
import { texts } from "../texts";
import { Star } from "./icons";
import { Poster } from "./Poster";

const MAX_MOVIES = 12;

export function RatedBar() {
  const { path } = useLocation();
  const { ratings, userId } = visitor.value;
  if (!ratings.length && userId === null) return null;
  const newest = ratings.slice(-MAX_MOVIES).reverse();
  return (
    <section class="rated-bar" aria-labelledby="rated-heading">
      <h2 id="rated-heading" class="eyebrow">{texts.rated.heading}</h2>
      <ul>
        {userId !== null && (
          <li class="rated-user"><a href="/you">{texts.rated.userId(userId)}</a></li>
        )}
        {newest.map(({ movie, stars }) => (
          <li key={movie.id}>
            <a href={moviePath(movie.id)}>
              <Poster movie={movie} width={185} />
              <span class="rated-title">{movie.title}</span>
              <span class="rated-stars">
                <Star />
                {texts.list.starsShort(stars)}
              </span>
            </a>
          </li>
        ))}
        {path !== "/together" && (
          <li class="rated-user"><a href="/together">{texts.together.name}</a></li>
        )}
        {ratings.length > MAX_MOVIES && (
          <li class="rated-user"><a href="/you">{texts.rated.all(ratings.length)}</a></li>
        )}
      </ul>
    </section>
  );
}
