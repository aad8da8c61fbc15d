import { named } from "../film";
import type { Kept } from "../person/person";
import { letIn } from "../person/store";
import { texts } from "../texts";
import { Cross } from "./icons";

/** Films that are left out of the lists. */
export function KeptFilms({ heading, films }: { heading: string; films: Kept[] }) {
  if (!films.length) return null;
  return (
    <section class="panel">
      <h2>{heading}</h2>
      <p class="faint">{texts.you.leftOutLead}</p>
      <ul class="rows">
        {films.map((film) => (
          <li key={film.id}>
            <a class="row-title" href={`/movie/${film.id}`}>{named(film)}</a>
            <button type="button" class="row-remove" aria-label={texts.you.letIn(film.title)} onClick={() => letIn(film.id)}>
              <Cross />
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
