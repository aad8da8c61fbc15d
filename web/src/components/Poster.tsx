/** A movie's poster: drawn from its title and genre, covered by TMDB's image if it has one. */
import { useMemo, useState } from "preact/hooks";
import { type Movie, posterUrl } from "../movie";
import { genreName } from "../texts";
import { MOTIFS } from "./motifs";
import { lookOf, randomNumbers, seedOf } from "./palettes";

interface Props {
  movie: Movie;
  width?: 185 | 342 | 500;
  /** Load the image at once; for the first posters of the page. */
  eager?: boolean;
}

/** Hidden from screen readers, because the title always stands beside the poster. */
export function Poster({ movie, width = 342, eager = false }: Props) {
  const [isBroken, setIsBroken] = useState(false);
  const { palette, genre } = lookOf(movie);
  const title = withoutOtherTitle(movie.title);
  const style = { "--ground": palette[0], "--ink": palette[3], "--title": `${titleSize(title)}cqi` };
  return (
    <div class="poster" aria-hidden="true" style={style}>
      <Art movie={movie} />
      <span class="poster-top">
        <span>{genre ? genreName(genre) : ""}</span>
        <span>{movie.year}</span>
      </span>
      <span class="poster-title">{title}</span>
      {movie.poster && !isBroken && (
        <img
          src={posterUrl(movie.poster, width)}
          alt=""
          width="200"
          height="300"
          loading={eager ? "eager" : "lazy"}
          decoding="async"
          referrerpolicy="no-referrer"
          onError={() => setIsBroken(true)}
        />
      )}
    </div>
  );
}

function Art({ movie }: { movie: Movie }) {
  // Preact skips an element that it has rendered before.
  return useMemo(() => {
    const { motif, palette: [ground, first, second] } = lookOf(movie);
    return (
      <svg viewBox="0 0 200 300" preserveAspectRatio="xMidYMid slice">
        <g transform="translate(0 24)">{MOTIFS[motif](randomNumbers(seedOf(movie.id) + 7), first, second)}</g>
        <path d="M0 0H200V24H0ZM0 212H200V300H0Z" fill={ground} />
      </svg>
    );
  }, [movie.id]);
}

/** Font sizes, and the size of the title's area, in hundredths of the poster's width. */
const MAX_SIZE = 16;
const MIN_SIZE = 6;
const AREA_WIDTH = 88;
const AREA_HEIGHT = 37;
/** The width of a bold condensed letter and the height of a line, in font sizes. */
const LETTER_WIDTH = 0.58;
const LINE_HEIGHT = 1.05;

/** Return the largest font size at which the title fits below the drawing. */
function titleSize(title: string): number {
  const words = title.split(" ");
  for (let size = MAX_SIZE; size > MIN_SIZE; size -= 0.5) {
    const lineLetters = AREA_WIDTH / (size * LETTER_WIDTH);
    const longest = Math.max(...words.map((word) => word.length));
    const height = countLines(words, lineLetters) * size * LINE_HEIGHT;
    if (longest <= lineLetters && height <= AREA_HEIGHT) return size;
  }
  return MIN_SIZE;
}

function countLines(words: string[], lineLetters: number): number {
  let lines = 1;
  let used = -1;
  for (const word of words) {
    used += word.length + 1;
    if (used > lineLetters) {
      lines += 1;
      used = word.length;
    }
  }
  return lines;
}

/** Drop the other title that MovieLens adds in brackets. */
const withoutOtherTitle = (title: string): string => title.replace(/ \([^)]*\)$/, "");
