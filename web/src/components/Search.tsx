/** A search field with suggestions. Choosing a movie opens the dialog to rate it. */
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { type ApiError, client, isAbort, toApiError, unwrap } from "../api/client";
import { type Movie, toMovie } from "../movie";
import { texts } from "../texts";
import { starsById } from "../visitor/store";
import { Cross, Magnifier } from "./icons";
import { Poster } from "./Poster";
import { RateDialog } from "./RateDialog";

/** Wait for a pause in typing before the request. */
const PAUSE_MS = 120;
const MAX_RESULTS = 8;

export function Search() {
  const [query, setQuery] = useState("");
  const [isOpen, setIsOpen] = useState(false);
  const [active, setActive] = useState(-1);
  const [chosen, setChosen] = useState<Movie | null>(null);
  const input = useRef<HTMLInputElement>(null);
  const { movies, error, isSearching } = useSearch(query.trim());
  const id = useId();
  const isExpanded = isOpen && query.trim() !== "";

  const choose = (movie: Movie) => {
    setIsOpen(false);
    setChosen(movie);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape") {
      if (isExpanded) setIsOpen(false);
      else setQuery("");
    } else if (!movies.length) return;
    else if (event.key === "ArrowDown") move(isExpanded ? active + 1 : 0);
    else if (event.key === "ArrowUp") move(isExpanded ? active - 1 : movies.length - 1);
    else if (event.key === "Enter" && isExpanded) choose(movies[Math.max(active, 0)]!);
    else return;
    event.preventDefault();
  };
  const move = (to: number) => {
    setIsOpen(true);
    setActive((to + movies.length) % movies.length);
  };

  return (
    <div class="search" role="search">
      <label class="search-box">
        <span class="unseen">{texts.search.label}</span>
        <Magnifier />
        <input
          ref={input}
          type="text"
          role="combobox"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          enterkeyhint="search"
          maxLength={100}
          placeholder={texts.search.placeholder}
          value={query}
          aria-expanded={isExpanded && movies.length > 0}
          aria-controls={`${id}-list`}
          aria-autocomplete="list"
          aria-activedescendant={isExpanded && movies[active] ? `${id}-${encodeURIComponent(movies[active].id)}` : undefined}
          onInput={(event) => {
            setQuery(event.currentTarget.value);
            setIsOpen(true);
            setActive(-1);
          }}
          onFocus={() => setIsOpen(true)}
          onBlur={() => setIsOpen(false)}
          onKeyDown={onKeyDown}
        />
        {query && (
          <button
            type="button"
            class="search-clear"
            aria-label={texts.search.clear}
            onClick={() => {
              setQuery("");
              input.current?.focus();
            }}
          >
            <Cross />
          </button>
        )}
      </label>
      <div class="search-results" hidden={!isExpanded}>
        <ul id={`${id}-list`} role="listbox" aria-label={texts.search.label} hidden={!movies.length}>
          {movies.map((movie, index) => (
            <Option
              key={movie.id}
              id={`${id}-${encodeURIComponent(movie.id)}`}
              movie={movie}
              active={index === active}
              onChoose={() => choose(movie)}
            />
          ))}
        </ul>
        {!movies.length && (
          <p class="search-nothing">
            {error ? error.message : isSearching ? texts.search.searching : texts.search.none(query.trim())}
          </p>
        )}
      </div>
      <p class="unseen" role="status">
        {isExpanded && !isSearching && !error
          ? movies.length
            ? texts.search.found(movies.length)
            : texts.search.none(query.trim())
          : ""}
      </p>
      {chosen && (
        <RateDialog
          movie={chosen}
          onClose={(isAnswered) => {
            setChosen(null);
            if (isAnswered) setQuery("");
            input.current?.focus({ preventScroll: true });
            if (isAnswered) setIsOpen(false);
          }}
        />
      )}
    </div>
  );
}

interface OptionProps {
  id: string;
  movie: Movie;
  active: boolean;
  onChoose: () => void;
}

function Option({ id, movie, active, onChoose }: OptionProps) {
  const ownStars = starsById.value.get(movie.id);
  const element = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (active) element.current?.scrollIntoView({ block: "nearest" });
  }, [active]);
  return (
    <li
      ref={element}
      id={id}
      role="option"
      aria-selected={active}
      data-movie={movie.id}
      // Keeps the focus in the field: losing it would close the list before the click.
      onPointerDown={(event) => event.preventDefault()}
      onClick={onChoose}
    >
      <Poster movie={movie} width={185} />
      <span class="option-title">{movie.title}</span>
      <span class="option-facts">
        {[movie.year, ownStars !== undefined && texts.search.rated(ownStars)].filter(Boolean).join(" · ")}
      </span>
    </li>
  );
}

interface Results {
  /** The query that the results belong to. */
  query: string;
  movies: Movie[];
  error: ApiError | null;
}
const NO_RESULTS: Results = { query: "", movies: [], error: null };

/** Search for movies; the old results stay until the new ones arrive. */
function useSearch(query: string): Results & { isSearching: boolean } {
  const [results, setResults] = useState(NO_RESULTS);
  useEffect(() => {
    if (!query) {
      setResults(NO_RESULTS);
      return;
    }
    const abort = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const params = { query: { query, top_k: MAX_RESULTS } };
        const { items } = await unwrap(client.GET("/movies", { params, signal: abort.signal }));
        const movies = items.map((item) => toMovie(item.movie_id, item.movie));
        setResults({ query, movies, error: null });
      } catch (error) {
        if (!isAbort(error)) setResults({ query, movies: [], error: toApiError(error) });
      }
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [query]);
  return { ...results, isSearching: results.query !== query };
}
