/** One film: what it is, what you think of it, and others like it. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { useRoute } from "preact-iso";
import { type Trouble, aborted, api, told, troubleOf } from "../api/client";
import { Failure } from "../components/Failure";
import { Back, Eye, No } from "../components/icons";
import { Poster } from "../components/Poster";
import { Stars } from "../components/Stars";
import { useView } from "../components/useView";
import { Wall } from "../components/Wall";
import { type Details, type Recommended, details, named } from "../film";
import { similar } from "../lists/asking";
import { Paged } from "../lists/paged";
import { leaveOutFilm, rateFilm, unrateFilm } from "../person/doing";
import { letIn, person, starsById } from "../person/store";
import { genreName, texts } from "../texts";
import { Nowhere } from "./Nowhere";

export function Movie() {
  const id = Number(useRoute().params["id"]);
  // Another film is another view: nothing of the one before stays.
  return <MovieView key={id} id={id} />;
}

function MovieView({ id }: { id: number }) {
  const { film, trouble, again } = useDetails(id);
  const others = useMemo(() => new Paged<Recommended>(), [id]);
  useView(texts.titles.of(film ? named(film) : texts.name));
  useEffect(() => {
    others.show(String(id), (cursor, signal) => similar(id, cursor, signal));
  }, [others]);
  if (trouble && (trouble.status === 404 || trouble.status === 422)) {
    return <Nowhere message={texts.film.missing} />;
  }
  return (
    <>
      <p class="back"><a href="/"><Back />{texts.film.back}</a></p>
      {trouble ? <Failure trouble={trouble} onRetry={again} /> : <Facts film={film} />}
      <section aria-labelledby="similar-heading">
        <div class="section-head"><h2 id="similar-heading">{texts.film.similar}</h2></div>
        {!trouble && <Wall list={others} label={texts.film.similar} />}
      </section>
    </>
  );
}

function Facts({ film }: { film: Details | null }) {
  if (!film) {
    return (
      <section class="film skeleton" aria-busy="true">
        <div class="film-poster" />
        <div class="film-words">
          {/* The same element as below: whoever was brought to it stays there. */}
          <h1 key="heading" tabIndex={-1}><span class="unseen">{texts.wall.loading}</span></h1>
        </div>
      </section>
    );
  }
  const line = [
    film.year,
    film.runtimeMinutes && texts.film.minutes(film.runtimeMinutes),
    ...film.genres.map(genreName),
  ];
  const crowd = film.meanStars === null
    ? texts.film.noRatings
    : `${texts.film.ratings(film.ratings)}, ${texts.film.mean(film.meanStars)}`;
  return (
    <section class="film">
      <div class="film-poster"><Poster film={film} width={500} eager /></div>
      <div class="film-words">
        <p class="eyebrow">{line.filter(Boolean).join(" · ")}</p>
        <h1 key="heading" tabIndex={-1}>{film.title}</h1>
        {film.originalTitle && <p class="faint">{texts.film.original(film.originalTitle)}</p>}
        {film.tagline && <p class="film-tagline">{film.tagline}</p>}
        <p class="faint">{crowd}</p>
        <div class="film-yours">
          <h2>{texts.film.yours}</h2>
          <Stars
            title={named(film)}
            value={starsById.value.get(film.id) ?? null}
            size="large"
            worded
            onRate={(stars) => rateFilm(film, stars)}
            onRemove={() => unrateFilm(film)}
          />
          <Others film={film} />
        </div>
        <p class="film-overview">{film.overview ?? texts.film.noDetails}</p>
        <p class="film-links">
          {film.imdb && <a href={`https://www.imdb.com/title/${film.imdb}/`} rel="noreferrer">{texts.film.onImdb}</a>}
          {film.tmdb && <a href={`https://www.themoviedb.org/movie/${film.tmdb}`} rel="noreferrer">{texts.film.onTmdb}</a>}
        </p>
      </div>
    </section>
  );
}

/** What can be done with a film beside giving it stars. */
function Others({ film }: { film: Details }) {
  const { seen, notForMe } = person.value;
  const isSeen = seen.some((one) => one.id === film.id);
  if (isSeen || notForMe.some((one) => one.id === film.id)) {
    return (
      <p class="film-out">
        {isSeen ? texts.film.isSeen : texts.film.isNotForMe}{" "}
        <button type="button" class="button button-quiet" onClick={() => letIn(film.id)}>{texts.film.letIn}</button>
      </p>
    );
  }
  return (
    <div class="film-others">
      {starsById.value.has(film.id) ? (
        <button type="button" class="button button-quiet" onClick={() => unrateFilm(film)}>{texts.rate.remove}</button>
      ) : (
        <>
          <button type="button" class="button" onClick={() => leaveOutFilm(film, "seen")}><Eye />{texts.rate.seen}</button>
          <button type="button" class="button" onClick={() => leaveOutFilm(film, "notForMe")}><No />{texts.rate.notForMe}</button>
        </>
      )}
    </div>
  );
}

function useDetails(id: number): { film: Details | null; trouble: Trouble | null; again: () => void } {
  const [film, setFilm] = useState<Details | null>(null);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const [times, setTimes] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    const params = { path: { movie_id: id } };
    told(api.GET("/movies/{movie_id}", { params, signal: stop.signal })).then(
      (shown) => {
        setFilm(details(shown));
        setTrouble(null);
      },
      (error: unknown) => {
        if (!aborted(error)) setTrouble(troubleOf(error));
      },
    );
    return () => stop.abort();
  }, [id, times]);
  return { film, trouble, again: () => setTimes((n) => n + 1) };
}
