/** Genres and years. What is chosen stands in the address. */
import { useEffect, useState } from "preact/hooks";
import type { Narrowed } from "../lists/asking";
import { EVERYTHING } from "../lists/asking";
import { isNarrow, year } from "../lists/narrowed";
import { useChoices } from "../lists/choices";
import { genreName, texts } from "../texts";

interface Props {
  narrowed: Narrowed;
  onChange: (narrowed: Narrowed) => void;
}

export function GenreFilter({ narrowed, onChange }: Props) {
  const toggled = (genre: string) =>
    narrowed.genres.includes(genre)
      ? narrowed.genres.filter((one) => one !== genre)
      : [...narrowed.genres, genre];
  return (
    <div class="filter-genres" role="group" aria-label={texts.filters.genres}>
      {useChoices().genres.map((genre) => (
        <button
          key={genre}
          type="button"
          class="chip"
          aria-pressed={narrowed.genres.includes(genre)}
          onClick={() => onChange({ ...narrowed, genres: toggled(genre) })}
        >
          {genreName(genre)}
        </button>
      ))}
    </div>
  );
}

export function YearFilter({ narrowed, onChange }: Props) {
  const choices = useChoices();
  return (
    <div class="filter-years" role="group" aria-label={texts.filters.years}>
      <button
        type="button"
        class="button button-quiet"
        disabled={!isNarrow(narrowed)}
        onClick={() => onChange(EVERYTHING)}
      >
        {texts.filters.clear}
      </button>
      <YearField
        label={texts.filters.from}
        example={choices.yearFrom}
        value={narrowed.yearFrom}
        onChange={(yearFrom) => onChange({ ...narrowed, yearFrom })}
      />
      <YearField
        label={texts.filters.to}
        example={choices.yearTo}
        value={narrowed.yearTo}
        onChange={(yearTo) => onChange({ ...narrowed, yearTo })}
      />
    </div>
  );
}

interface YearProps {
  label: string;
  example: number | null;
  value: number | null;
  onChange: (value: number | null) => void;
}

function YearField({ label, example, value, onChange }: YearProps) {
  const [text, setText] = useState(String(value ?? ""));
  useEffect(() => setText(String(value ?? "")), [value]);
  return (
    <label class="year">
      <span>{label}</span>
      <input
        type="text"
        inputMode="numeric"
        maxLength={4}
        placeholder={String(example ?? "")}
        value={text}
        onInput={(event) => {
          const typed = event.currentTarget.value.replace(/\D/g, "");
          setText(typed);
          const found = year(typed);
          // Three digits are a year on its way.
          if (found !== value && (found !== null || typed === "")) onChange(found);
        }}
        onBlur={() => setText(String(value ?? ""))}
      />
    </label>
  );
}
