/** A film's poster: drawn from what is known of it, with TMDB's image on top where there is one. */
import { useMemo, useState } from "preact/hooks";
import { type Film, posterUrl } from "../film";
import { genreName } from "../texts";
import { MOTIFS } from "./motifs";
import { chance, lookOf } from "./palettes";

interface Props {
  film: Film;
  width?: 185 | 342 | 500;
  /** One of the first on the page: not put off. */
  eager?: boolean;
}

/** Its title stands beside it in every place, so that it is decoration to a screen reader. */
export function Poster({ film, width = 342, eager = false }: Props) {
  const [broken, setBroken] = useState(false);
  const { palette, genre } = lookOf(film);
  const title = short(film.title);
  const style = { "--ground": palette[0], "--ink": palette[3], "--title": `${titleSize(title)}cqi` };
  return (
    <div class="poster" aria-hidden="true" style={style}>
      <Art film={film} />
      <span class="poster-top">
        <span>{genre ? genreName(genre) : ""}</span>
        <span>{film.year}</span>
      </span>
      <span class="poster-title">{title}</span>
      {film.poster && !broken && (
        <img
          src={posterUrl(film.poster, width)}
          alt=""
          width="200"
          height="300"
          loading={eager ? "eager" : "lazy"}
          decoding="async"
          referrerpolicy="no-referrer"
          onError={() => setBroken(true)}
        />
      )}
    </div>
  );
}

function Art({ film }: { film: Film }) {
  // Drawn once: the same element again is skipped.
  return useMemo(() => {
    const { motif, palette: [ground, first, second] } = lookOf(film);
    return (
      <svg viewBox="0 0 200 300" preserveAspectRatio="xMidYMid slice">
        <g transform="translate(0 24)">{MOTIFS[motif](chance(film.id + 7), first, second)}</g>
        <path d="M0 0H200V24H0ZM0 212H200V300H0Z" fill={ground} />
      </svg>
    );
  }, [film.id]);
}

/** Rooms, sizes and lengths are hundredths of the poster's width. */
const MOST = 16;
const LEAST = 6;
const WIDE = 88;
const HIGH = 37;
/** Of a bold condensed letter, to its size; of a line. */
const LETTER = 0.58;
const LINE = 1.05;

/** The greatest size at which the title fits below the drawing. */
function titleSize(title: string): number {
  const words = title.split(" ");
  for (let size = MOST; size > LEAST; size -= 0.5) {
    const letters = WIDE / (size * LETTER);
    const longest = Math.max(...words.map((word) => word.length));
    if (longest <= letters && linesOf(words, letters) * size * LINE <= HIGH) return size;
  }
  return LEAST;
}

function linesOf(words: string[], letters: number): number {
  let lines = 1;
  let used = -1;
  for (const word of words) {
    used += word.length + 1;
    if (used > letters) {
      lines += 1;
      used = word.length;
    }
  }
  return lines;
}

/** Without the other title that MovieLens adds in brackets. */
const short = (title: string): string => title.replace(/ \([^)]*\)$/, "");
