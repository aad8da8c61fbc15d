/** Champion against challenger, as bars and as a table of the same numbers. */
import type { Schemas } from "../api/client";
import { texts } from "../texts";
import { IN_STARS, MAIN, figureName, isNamed, shownFigure, sorted } from "./figures";
import { Name } from "./Name";

const words = texts.behind;
const ROW = 46;
const BAR = 14;
const LEFT = 236;
const RIGHT = 62;
const WIDTH = 690;

interface Props {
  comparison: Schemas["Comparison"] | null;
  models: Schemas["ModelFacts"][];
}

/** A figure of both models; undefined where one was not measured. */
interface Row {
  name: string;
  champion: number | undefined;
  rival: number | undefined;
}

interface Whole {
  name: string;
  champion: number;
  rival: number;
}

const isWhole = (row: Row): row is Row & Whole => row.champion !== undefined && row.rival !== undefined;

export function ComparisonPanel({ comparison, models }: Props) {
  const previous = comparison?.role === "previous";
  return (
    <section class="panel wide" aria-labelledby="comparison-heading">
      <h2 id="comparison-heading">{previous ? words.comparisonPrevious : words.comparison}</h2>
      {comparison ? <Compared comparison={comparison} models={models} /> : <p class="faint">{words.comparisonNone}</p>}
    </section>
  );
}

function Compared({ comparison, models }: { comparison: Schemas["Comparison"]; models: Props["models"] }) {
  const of = (version: number) => models.find((model) => model.version === version);
  const nameOf = (version: number): string => of(version)?.name ?? `#${version}`;
  const rivalRole = words.rival[comparison.role] ?? comparison.role;
  const common = sorted(Object.keys(comparison.figures).filter(isNamed));
  // The main figures stand in the table also where only one of the two was measured on them.
  const main = MAIN.filter((name) => [comparison.champion, comparison.rival].some((version) => name in (of(version)?.metrics ?? {})));
  const rows: Row[] = sorted([...new Set([...main, ...common])]).map((name) => ({
    name,
    champion: comparison.figures[name]?.champion ?? of(comparison.champion)?.metrics[name],
    rival: comparison.figures[name]?.rival ?? of(comparison.rival)?.metrics[name],
  }));
  const shares = rows.filter(isWhole).filter(({ name }) => !IN_STARS.has(name));
  const inChart = shares.filter(({ name }) => MAIN.includes(name));
  // Versions from before these protocols have other figures in common.
  const charted = inChart.length ? inChart : shares;
  const first = rows.filter((row) => MAIN.includes(row.name) || charted.some(({ name }) => name === row.name));
  const rest = rows.filter((row) => !first.includes(row));
  return (
    <>
      {!comparison.comparable && <p class="warning">{words.notComparable}</p>}
      <ul class="legend">
        <li><span class="key key-champion" />{words.champion}: <Name>{nameOf(comparison.champion)}</Name></li>
        <li><span class="key key-rival" />{rivalRole}: <Name>{nameOf(comparison.rival)}</Name></li>
      </ul>
      <div class="compared">
        {charted.length > 0 && <Chart rows={charted} />}
        <Table label={words.asTable} rows={first} rivalRole={rivalRole} />
      </div>
      {rest.length > 0 && (
        <details class="more-figures">
          <summary>{words.moreFigures}</summary>
          <Table label={words.moreFigures} rows={rest} rivalRole={rivalRole} />
        </details>
      )}
    </>
  );
}

function Table({ label, rows, rivalRole }: { label: string; rows: Row[]; rivalRole: string }) {
  return (
    <div class="table-frame" tabIndex={0} role="group" aria-label={label}>
      <table>
        <thead>
          <tr>
            <th scope="col">{words.figure}</th>
            <th scope="col">{words.champion}</th>
            <th scope="col">{rivalRole}</th>
            <th scope="col">{words.difference}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ name, champion, rival }) => (
            <tr key={name}>
              <th scope="row">{figureName(name)}</th>
              <td>{shownFigure(champion)}</td>
              <td>{shownFigure(rival)}</td>
              <td>{shownDifference(champion, rival)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function shownDifference(champion: number | undefined, rival: number | undefined): string {
  if (champion === undefined || rival === undefined) return shownFigure(undefined);
  return `${rival > champion ? "+" : ""}${shownFigure(rival - champion)}`;
}

function Chart({ rows }: { rows: Whole[] }) {
  const most = Math.max(...rows.flatMap(({ champion, rival }) => [champion, rival]), 0.001);
  const across = (value: number): number => (Math.max(value, 0) / most) * (WIDTH - LEFT - RIGHT);
  return (
    <svg class="chart" viewBox={`0 0 ${WIDTH} ${rows.length * ROW + 4}`} role="img" aria-label={words.chartLabel}>
      {rows.map(({ name, champion, rival }, index) => (
        <g key={name} transform={`translate(0 ${index * ROW + 6})`}>
          <text class="chart-name" x={LEFT - 12} y={BAR + 5} text-anchor="end">{figureName(name)}</text>
          {[champion, rival].map((value, place) => (
            <g key={place} transform={`translate(${LEFT} ${place * (BAR + 3)})`}>
              <rect class={place ? "bar-rival" : "bar-champion"} width={Math.max(across(value), 1.5)} height={BAR} rx="3" />
              <text class="chart-value" x={across(value) + 7} y={BAR - 2.5}>{shownFigure(value)}</text>
            </g>
          ))}
        </g>
      ))}
    </svg>
  );
}
