/** Find a film by the beginning of its words, then say how it was. */
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { type Trouble, aborted, api, told, troubleOf } from "../api/client";
import { type Film, film as shown } from "../film";
import { starsById } from "../person/store";
import { texts } from "../texts";
import { Cross, Magnifier } from "./icons";
import { Poster } from "./Poster";
import { RateDialog } from "./RateDialog";

const PAUSE_MS = 120;
const MOST = 8;

export function Search() {
  const [query, setQuery] = useState("");
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(-1);
  const [chosen, setChosen] = useState<Film | null>(null);
  const input = useRef<HTMLInputElement>(null);
  const { films, trouble, searching } = useFound(query.trim());
  const id = useId();
  const expanded = open && query.trim() !== "";

  const choose = (film: Film) => {
    setOpen(false);
    setChosen(film);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape") {
      if (expanded) setOpen(false);
      else setQuery("");
    } else if (!films.length) return;
    else if (event.key === "ArrowDown") move(expanded ? active + 1 : 0);
    else if (event.key === "ArrowUp") move(expanded ? active - 1 : films.length - 1);
    else if (event.key === "Enter" && expanded) choose(films[Math.max(active, 0)]!);
    else return;
    event.preventDefault();
  };
  const move = (to: number) => {
    setOpen(true);
    setActive((to + films.length) % films.length);
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
          aria-expanded={expanded && films.length > 0}
          aria-controls={`${id}-list`}
          aria-autocomplete="list"
          aria-activedescendant={expanded && films[active] ? `${id}-${films[active].id}` : undefined}
          onInput={(event) => {
            setQuery(event.currentTarget.value);
            setOpen(true);
            setActive(-1);
          }}
          onFocus={() => setOpen(true)}
          onBlur={() => setOpen(false)}
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
      <div class="search-found" hidden={!expanded}>
        <ul id={`${id}-list`} role="listbox" aria-label={texts.search.label} hidden={!films.length}>
          {films.map((film, index) => (
            <Option
              key={film.id}
              id={`${id}-${film.id}`}
              film={film}
              active={index === active}
              onChoose={() => choose(film)}
            />
          ))}
        </ul>
        {!films.length && (
          <p class="search-nothing">
            {trouble ? trouble.message : searching ? texts.search.searching : texts.search.none(query.trim())}
          </p>
        )}
      </div>
      <p class="unseen" role="status">
        {expanded && !searching && !trouble
          ? films.length
            ? texts.search.found(films.length)
            : texts.search.none(query.trim())
          : ""}
      </p>
      {chosen && (
        <RateDialog
          film={chosen}
          onClose={(done) => {
            setChosen(null);
            if (done) setQuery("");
            input.current?.focus({ preventScroll: true });
            if (done) setOpen(false);
          }}
        />
      )}
    </div>
  );
}

interface OptionProps {
  id: string;
  film: Film;
  active: boolean;
  onChoose: () => void;
}

function Option({ id, film, active, onChoose }: OptionProps) {
  const own = starsById.value.get(film.id);
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
      data-film={film.id}
      // The field keeps the focus; losing it would close the list before the click counts.
      onPointerDown={(event) => event.preventDefault()}
      onClick={onChoose}
    >
      <Poster film={film} width={185} />
      <span class="option-title">{film.title}</span>
      <span class="option-facts">
        {[film.year, own !== undefined && texts.search.rated(own)].filter(Boolean).join(" · ")}
      </span>
    </li>
  );
}

function useFound(query: string): { films: Film[]; trouble: Trouble | null; searching: boolean } {
  const [found, setFound] = useState<{ of: string; films: Film[]; trouble: Trouble | null }>({
    of: "",
    films: [],
    trouble: null,
  });
  useEffect(() => {
    if (!query) {
      setFound({ of: "", films: [], trouble: null });
      return;
    }
    const stop = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const params = { query: { query, top_k: MOST } };
        const { items } = await told(api.GET("/movies", { params, signal: stop.signal }));
        const films = items.map((item) => shown(item.movie_id, item.movie));
        setFound({ of: query, films, trouble: null });
      } catch (error) {
        if (!aborted(error)) setFound({ of: query, films: [], trouble: troubleOf(error) });
      }
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [query]);
  return { ...found, searching: found.of !== query };
}
