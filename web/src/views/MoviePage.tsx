/** The view of one movie: its details, the visitor's rating, and similar movies. */
import { useRoute } from "preact-iso";
import { useEffect, useMemo, useState } from "preact/hooks";
import { type ApiError, client, isAbort, toApiError, unwrap } from "../api/client";
import { ErrorNotice } from "../components/ErrorNotice";
import { MovieGrid } from "../components/MovieGrid";
import { Poster } from "../components/Poster";
import { Stars } from "../components/Stars";
import { WhereToWatch } from "../components/WhereToWatch";
import { Back, Eye, No } from "../components/icons";
import { useView } from "../components/useView";
import { fetchSimilar } from "../lists/api";
import { PagedList } from "../lists/paged";
import { type Id, type MovieDetails, type RecommendedMovie, parseId, titleWithYear, toMovieDetails } from "../movie";
import { genreName, texts } from "../texts";
import { hideMovie, rateMovie, unrateMovie } from "../visitor/actions";
import { starsById, unhide, visitor } from "../visitor/store";
import { NotFound } from "./NotFound";

export function MoviePage() {
  const id = parseId(useRoute().params["id"] ?? "");
  // The key makes another movie a new component without any state of the one before.
  return <MovieById key={id} id={id} />;
}

function MovieById({ id }: { id: Id }) {
  const { movie, error, reload } = useMovieDetails(id);
  const similar = useMemo(() => new PagedList<RecommendedMovie>(), [id]);
  useView(texts.titles.of(movie ? titleWithYear(movie) : texts.name));
  useEffect(() => {
    similar.show(String(id), (cursor, signal) => fetchSimilar(id, cursor, signal));
  }, [similar]);
  if (error && (error.status === 404 || error.status === 422)) {
    return <NotFound message={texts.movie.missing} />;
  }
  return (
    <>
      <p class="back"><a href="/"><Back />{texts.movie.back}</a></p>
      {error ? <ErrorNotice error={error} onRetry={reload} /> : <Details movie={movie} />}
      {/* Rendered after the details, which would push it down. */}
      {movie && (
        <section aria-labelledby="similar-heading">
          <div class="section-head"><h2 id="similar-heading">{texts.movie.similar}</h2></div>
          <MovieGrid list={similar} label={texts.movie.similar} />
        </section>
      )}
    </>
  );
}

function Details({ movie }: { movie: MovieDetails | null }) {
  if (!movie) {
    return (
      <section class="movie skeleton" aria-busy="true">
        <div class="movie-poster" />
        <div class="movie-words">
          {/* The same element as the heading below, so that it keeps the focus. */}
          <h1 key="heading" tabIndex={-1}><span class="unseen">{texts.list.loading}</span></h1>
        </div>
      </section>
    );
  }
  const facts = [
    movie.year,
    movie.runtimeMinutes && texts.movie.minutes(movie.runtimeMinutes),
    ...movie.genres.map(genreName),
  ];
  const ratings = movie.meanStars === null
    ? texts.movie.noRatings
    : `${texts.movie.ratings(movie.ratings)}, ${texts.movie.mean(movie.meanStars)}`;
  return (
    <section class="movie">
      <div class="movie-poster"><Poster movie={movie} width={500} eager /></div>
      <div class="movie-words">
        <p class="eyebrow">{facts.filter(Boolean).join(" · ")}</p>
        <h1 key="heading" tabIndex={-1}>{movie.title}</h1>
        {movie.originalTitle && <p class="faint">{texts.movie.original(movie.originalTitle)}</p>}
        {movie.tagline && <p class="movie-tagline">{movie.tagline}</p>}
        <p class="faint">{ratings}</p>
        <div class="movie-yours">
          <h2>{texts.movie.yours}</h2>
          <Stars
            title={titleWithYear(movie)}
            value={starsById.value.get(movie.id) ?? null}
            size="large"
            worded
            onRate={(stars) => rateMovie(movie, stars)}
            onRemove={() => unrateMovie(movie)}
          />
          <OtherActions movie={movie} />
        </div>
        <p class="movie-overview">{movie.overview ?? texts.movie.noDetails}</p>
        <WhereToWatch movieId={movie.id} />
        <p class="movie-links">
          {movie.imdbId && <a href={`https://www.imdb.com/title/${movie.imdbId}/`} rel="noreferrer">{texts.movie.onImdb}</a>}
          {movie.tmdbId && <a href={`https://www.themoviedb.org/movie/${movie.tmdbId}`} rel="noreferrer">{texts.movie.onTmdb}</a>}
        </p>
      </div>
    </section>
  );
}

/** The buttons to remove the rating, and to hide the movie or show it again. */
function OtherActions({ movie }: { movie: MovieDetails }) {
  const { seen, notForMe } = visitor.value;
  const isSeen = seen.some(({ id }) => id === movie.id);
  if (isSeen || notForMe.some(({ id }) => id === movie.id)) {
    return (
      <p class="movie-hidden">
        {isSeen ? texts.movie.isSeen : texts.movie.isNotForMe}{" "}
        <button type="button" class="button button-quiet" onClick={() => unhide(movie.id)}>{texts.movie.unhide}</button>
      </p>
    );
  }
  return (
    <div class="movie-others">
      {starsById.value.has(movie.id) ? (
        <button type="button" class="button button-quiet" onClick={() => unrateMovie(movie)}>{texts.rate.remove}</button>
      ) : (
        <>
          <button type="button" class="button" onClick={() => hideMovie(movie, "seen")}><Eye />{texts.rate.seen}</button>
          <button type="button" class="button" onClick={() => hideMovie(movie, "notForMe")}><No />{texts.rate.notForMe}</button>
        </>
      )}
    </div>
  );
}

interface MovieState {
  movie: MovieDetails | null;
  error: ApiError | null;
  reload: () => void;
}

function useMovieDetails(id: Id): MovieState {
  const [movie, setMovie] = useState<MovieDetails | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [reloads, setReloads] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    const params = { path: { movie_id: id } };
    unwrap(client.GET("/movies/{movie_id}", { params, signal: abort.signal })).then(
      (answer) => {
        setMovie(toMovieDetails(answer));
        setError(null);
      },
      (failure: unknown) => {
        if (!isAbort(failure)) setError(toApiError(failure));
      },
    );
    return () => abort.abort();
  }, [id, reloads]);
  return { movie, error, reload: () => setReloads((n) => n + 1) };
}
