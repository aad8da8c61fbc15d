/** The motif and colours of a drawn poster, chosen by the movie's most telling genre. */
import type { Id, Movie } from "../movie";

export type Motif =
  | "blinds" | "sunset" | "chevrons" | "teeth" | "waves" | "frames" | "bubbles" | "orbits" | "moon"
  | "eye" | "circles" | "city" | "blocks" | "squares" | "mountains" | "smile" | "rays" | "halves";

/** Background, two colours of the motif, and a text colour with a contrast of 4.5:1 or more. */
export type Palette = readonly [ground: string, first: string, second: string, ink: string];

const CREAM = "#fff4e0";
const NIGHT = "#191512";

interface Look {
  motifs: readonly Motif[];
  palettes: readonly Palette[];
}

/** The most telling genre first: many movies are dramas, few are westerns. */
const LOOKS: readonly (readonly [names: readonly string[], look: Look])[] = [
  [["Movie-Noir"], { motifs: ["blinds"], palettes: [["#1c1c1f", "#d9d2c3", "#6d6a66", CREAM], ["#2a2622", "#e6c88f", "#7d6a4c", CREAM]] }],
  [["Western"], { motifs: ["sunset"], palettes: [["#8e3418", "#ffb347", "#e0662a", CREAM], ["#e7b261", "#8a2f16", "#c4552a", NIGHT]] }],
  [["War"], { motifs: ["chevrons"], palettes: [["#3d4430", "#b9a972", "#6f7748", CREAM], ["#4a2f24", "#d08a4e", "#8a5a3a", CREAM], ["#cfc3a2", "#4d5638", "#8a4a2c", NIGHT]] }],
  [["Horror"], { motifs: ["teeth", "eye"], palettes: [["#17090b", "#c1121f", "#5c0a12", CREAM], ["#1a1423", "#8ee04e", "#3c5a2a", CREAM], ["#e3d9c6", "#8f1118", "#2a1315", NIGHT]] }],
  [["Musical", "Music"], { motifs: ["waves"], palettes: [["#5a1846", "#ff8fb1", "#ffcf5c", CREAM], ["#123c5a", "#ffd166", "#ef6f6c", CREAM], ["#f3cfc0", "#6a1f4f", "#d6523c", "#2b0c22"]] }],
  [["Documentary"], { motifs: ["frames"], palettes: [["#e9e2d0", "#2f5d62", "#c9603b", NIGHT], ["#23424a", "#e9c46a", "#7fb0a5", CREAM]] }],
  [["Animation"], { motifs: ["bubbles", "blocks"], palettes: [["#12587d", "#ffd23f", "#ff7f6b", CREAM], ["#ffcf4a", "#e4572e", "#17789c", NIGHT], ["#5b2a86", "#ff9ac1", "#7ad7f0", CREAM], ["#f7b7a3", "#1f6f78", "#fff3d6", NIGHT], ["#1e5b3f", "#ffe066", "#f08a7a", CREAM]] }],
  [["Sci-Fi", "Science Fiction"], { motifs: ["orbits"], palettes: [["#0c1b33", "#5cc8ff", "#ff7849", CREAM], ["#16132b", "#c77dff", "#4ee1c1", CREAM], ["#0d2b2e", "#f4d35e", "#3fb8af", CREAM], ["#d8dfe0", "#123047", "#d8482b", NIGHT], ["#2a0f2e", "#ff9f68", "#b5446e", CREAM]] }],
  [["Fantasy"], { motifs: ["moon"], palettes: [["#2b1d4e", "#ffe08a", "#8e6fd1", CREAM], ["#123a3f", "#f3e9b5", "#3f8f83", CREAM], ["#4a1736", "#ffd6a5", "#b3557f", CREAM], ["#1b2f55", "#f6e7b4", "#6d8fd0", CREAM]] }],
  [["Mystery"], { motifs: ["eye", "squares"], palettes: [["#1d2a35", "#e8d9a8", "#4f7185", CREAM], ["#2e1a2b", "#d9a5b3", "#7c4a6d", CREAM], ["#d9cdb0", "#26333b", "#8c3b2a", NIGHT]] }],
  [["Romance"], { motifs: ["circles", "halves"], palettes: [["#f4c9c4", "#d1495b", "#edae49", "#3b0d18"], ["#8c1c3a", "#ff9e9e", "#ffd9a0", CREAM], ["#f0d9b5", "#c8553d", "#588b8b", "#2b1712"], ["#2f2a5a", "#ff9aa8", "#f7d08a", CREAM]] }],
  [["Crime"], { motifs: ["city", "blinds"], palettes: [["#20262e", "#f2c14e", "#4c5966", CREAM], ["#c9b79c", "#3a2e2a", "#9b2c1f", NIGHT], ["#3a1520", "#f08a5d", "#7a2f41", CREAM], ["#122b39", "#f2e2b6", "#3b6a7e", CREAM]] }],
  [["Children", "Family"], { motifs: ["blocks", "bubbles"], palettes: [["#f7d774", "#e4572e", "#2e86ab", NIGHT], ["#17645c", "#ffd166", "#ff8c69", CREAM]] }],
  [["Thriller"], { motifs: ["squares", "eye"], palettes: [["#101a24", "#e63946", "#3c5468", CREAM], ["#e1352d", "#15110f", "#ffb199", "#0a0403"], ["#24302a", "#d8e06a", "#5c7a5f", CREAM], ["#cfd6d6", "#1c2b33", "#c8352b", NIGHT]] }],
  [["Adventure"], { motifs: ["mountains"], palettes: [["#1d4e50", "#f2b544", "#e8643c", CREAM], ["#f0b95b", "#24585c", "#b7472a", NIGHT], ["#243a5e", "#f6c667", "#5f86b3", CREAM], ["#f3e3c3", "#c04a2b", "#3f7d6e", NIGHT]] }],
  [["Comedy"], { motifs: ["smile", "blocks"], palettes: [["#ffc53d", "#d7351d", "#1f1a17", NIGHT], ["#0f6a73", "#ffd166", "#ff9b71", CREAM], ["#f2977f", "#5a1f4b", "#fff0d6", "#2b0c22"], ["#9bd1c4", "#d7452f", "#fff4d9", NIGHT]] }],
  [["Action"], { motifs: ["rays", "chevrons"], palettes: [["#b52a17", "#ffd34e", "#6f140a", CREAM], ["#1d1f27", "#ff5a36", "#ffc145", CREAM], ["#efb92f", "#1d1a1a", "#cf3a1c", NIGHT], ["#123b52", "#ffb703", "#e8552d", CREAM]] }],
  [["Drama"], { motifs: ["halves", "circles"], palettes: [["#e6dcc8", "#1f3b4d", "#c4552d", NIGHT], ["#1f3b4d", "#e9b872", "#a63d40", CREAM], ["#403a52", "#e8a598", "#8d7fb0", CREAM], ["#d98c63", "#2a1a1f", "#f7e0b2", "#1d0f0b"], ["#2f4a3c", "#f0d7a3", "#cf6f4e", CREAM]] }],
];
const DEFAULT_LOOK: Look = { motifs: ["frames"], palettes: [["#33363d", "#c9c4b8", "#6c717c", CREAM], ["#d9d3c5", "#3b4350", "#a34a2f", NIGHT]] };

export function lookOf(movie: Movie): { motif: Motif; palette: Palette; genre: string | null } {
  const random = randomNumbers(seedOf(movie.id));
  const [names, look] = LOOKS.find(([names]) => names.some((name) => movie.genres.includes(name))) ?? [[], DEFAULT_LOOK];
  const pick = <Item,>(items: readonly Item[]): Item =>
    items[Math.floor(random() * items.length)]!;
  return {
    palette: pick(look.palettes),
    motif: pick(look.motifs),
    genre: names.find((name) => movie.genres.includes(name)) ?? movie.genres[0] ?? null,
  };
}

/** Return a movie's seed: its number, or the FNV-1a hash of its text. */
export function seedOf(id: Id): number {
  if (typeof id === "number") return id;
  let hash = 0x811c9dc5;
  for (let at = 0; at < id.length; at++) hash = Math.imul(hash ^ id.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}

/** Return a generator of numbers from 0 to 1, the same for the same seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = Math.imul(seed, 2654435761) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
