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
  const style = { "--ground": palette[0], "--ink": palette[3], "--title": `${titleSize(film.title)}cqi` };
  return (
    <div class="poster" aria-hidden="true" style={style}>
      <Art film={film} />
      <span class="poster-top">
        <span>{genre ? genreName(genre) : ""}</span>
        <span>{film.year}</span>
      </span>
      <span class="poster-title">{film.title}</span>
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

/** In hundredths of the poster's width: the longest word fits a line, and all of it the room that is
 * left below the drawing. */
function titleSize(title: string): number {
  const longest = Math.max(...title.split(/[\s-]+/).map((word) => word.length), 1);
  const size = Math.min(16, 84 / (longest * 0.68), Math.sqrt(4700 / title.length));
  return Math.round(Math.max(size, 6) * 10) / 10;
}
