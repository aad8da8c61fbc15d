import { moviePath, titleWithYear } from "../movie";
import type { MovieSummary } from "../visitor/visitor";
import { unhide } from "../visitor/store";
import { texts } from "../texts";
import { Cross } from "./icons";

interface Props {
  heading: string;
  lead: string;
  movies: MovieSummary[];
}

/** A panel with one list of hidden movies, each with a button to show it again. */
export function HiddenMovies({ heading, lead, movies }: Props) {
  if (!movies.length) return null;
  return (
    <section class="panel">
      <h2>{heading}</h2>
      <p class="faint">{lead}</p>
      <ul class="rows">
        {movies.map((movie) => (
          <li key={movie.id}>
            <a class="row-title" href={moviePath(movie.id)}>{titleWithYear(movie)}</a>
            <button type="button" class="row-remove" aria-label={texts.you.unhide(movie.title)} onClick={() => unhide(movie.id)}>
              <Cross />
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
