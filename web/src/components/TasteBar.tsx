/** What the list below comes from. */
import { person } from "../person/store";
import { texts } from "../texts";
import { Star } from "./icons";
import { Poster } from "./Poster";

const MOST = 12;

export function TasteBar() {
  const { ratings, userId } = person.value;
  if (!ratings.length && userId === null) return null;
  const newest = ratings.slice(-MOST).reverse();
  return (
    <section class="taste" aria-labelledby="taste-heading">
      <h2 id="taste-heading" class="eyebrow">{texts.taste.heading}</h2>
      <ul>
        {userId !== null && (
          <li class="taste-user"><a href="/you">{texts.taste.userId(userId)}</a></li>
        )}
        {newest.map(({ film, stars }) => (
          <li key={film.id}>
            <a href={`/movie/${film.id}`}>
              <Poster film={film} width={185} />
              <span class="taste-title">{film.title}</span>
              <span class="taste-stars">
                <Star />
                {texts.wall.expectedShort(stars)}
              </span>
            </a>
          </li>
        ))}
        {ratings.length > MOST && (
          <li class="taste-user"><a href="/you">{texts.taste.all(ratings.length)}</a></li>
        )}
      </ul>
    </section>
  );
}
