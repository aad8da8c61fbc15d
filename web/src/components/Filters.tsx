/** The filters for genres and years. The chosen ones are part of the URL. */
import { useEffect, useState } from "preact/hooks";
import { useFilterOptions } from "../lists/filterOptions";
import {
  type Filters,
  NO_FILTERS,
  type Order,
  countTmdbFilters,
  hasFilters,
  parseYear,
} from "../lists/filterQuery";
import { genreName, texts } from "../texts";

interface Props {
  filters: Filters;
  onChange: (filters: Filters) => void;
}

export function GenreFilter({ filters, onChange }: Props) {
  const toggle = (genre: string) =>
    filters.genres.includes(genre)
      ? filters.genres.filter((other) => other !== genre)
      : [...filters.genres, genre];
  return (
    <div class="filter-genres" role="group" aria-label={texts.filters.genres}>
      {useFilterOptions().genres.map((genre) => (
        <button
          key={genre}
          type="button"
          class="chip"
          aria-pressed={filters.genres.includes(genre)}
          onClick={() => onChange({ ...filters, genres: toggle(genre) })}
        >
          {genreName(genre)}
        </button>
      ))}
    </div>
  );
}

/** A choice between the orders that the list can have. */
export function OrderFilter({ filters, onChange, orders }: Props & { orders: readonly Order[] }) {
  const chosen = orders.includes(filters.order) ? filters.order : "default";
  return (
    <div class="filter-order" role="group" aria-label={texts.filters.order}>
      {orders.map((order) => (
        <button
          key={order}
          type="button"
          class="chip"
          aria-pressed={order === chosen}
          onClick={() => onChange({ ...filters, order })}
        >
          {texts.filters.orders[order]}
        </button>
      ))}
    </div>
  );
}

interface MoreProps {
  isOpen: boolean;
  filters: Filters;
  onToggle: () => void;
}

/** A button that opens the filters; nothing where the service has no TMDB key. */
export function MoreFiltersButton({ isOpen, filters, onToggle }: MoreProps) {
  if (!useFilterOptions().tmdb) return null;
  const count = countTmdbFilters(filters);
  return (
    <button
      type="button"
      class="chip"
      aria-expanded={isOpen}
      aria-controls="more-filters"
      data-active={count > 0 || undefined}
      onClick={onToggle}
    >
      {texts.filters.more(count)}
    </button>
  );
}

export function YearFilter({ filters, onChange }: Props) {
  const options = useFilterOptions();
  return (
    <div class="filter-years" role="group" aria-label={texts.filters.years}>
      <button
        type="button"
        class="button button-quiet"
        aria-label={texts.filters.clear}
        disabled={!hasFilters(filters)}
        onClick={() => onChange({ ...NO_FILTERS, order: filters.order })}
      >
        {texts.filters.clearShort}
      </button>
      <YearField
        label={texts.filters.from}
        example={options.yearFrom}
        value={filters.yearFrom}
        onChange={(yearFrom) => onChange({ ...filters, yearFrom })}
      />
      <YearField
        label={texts.filters.to}
        example={options.yearTo}
        value={filters.yearTo}
        onChange={(yearTo) => onChange({ ...filters, yearTo })}
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
          const year = parseYear(typed);
          // An unfinished year changes nothing; an empty field removes the filter.
          if (year !== value && (year !== null || typed === "")) onChange(year);
        }}
        onBlur={() => setText(String(value ?? ""))}
      />
    </label>
  );
}
