/** The champion's metrics beside the challenger's, as a bar chart and as a table. */
import type { Comparison, Model } from "../api/types";
import { texts } from "../texts";
import { ModelName } from "./ModelName";
import { IN_STARS, MAIN, formatMetric, isNamed, metricName, sortMetrics } from "./metrics";

const words = texts.ops;
/** Sizes in the chart's own units. */
const CHART_WIDTH = 690;
const NAME_WIDTH = 236;
const VALUE_WIDTH = 62;
const ROW_HEIGHT = 46;
const BAR_HEIGHT = 14;
const BAR_GAP = 3;
/** Even a bar of 0 is visible. */
const MIN_BAR_WIDTH = 1.5;

interface Props {
  comparison: Comparison | null;
  models: Model[];
}

/** A metric of both models; undefined where it was not measured. */
interface Row {
  name: string;
  champion: number | undefined;
  rival: number | undefined;
}

interface CompleteRow {
  name: string;
  champion: number;
  rival: number;
}

const isComplete = (row: Row): row is Row & CompleteRow =>
  row.champion !== undefined && row.rival !== undefined;

export function ComparisonPanel({ comparison, models }: Props) {
  const isPrevious = comparison?.role === "previous";
  return (
    <section class="panel wide" aria-labelledby="comparison-heading">
      <h2 id="comparison-heading">{isPrevious ? words.comparisonPrevious : words.comparison}</h2>
      {comparison ? <Models comparison={comparison} models={models} /> : <p class="faint">{words.comparisonNone}</p>}
    </section>
  );
}

function Models({ comparison, models }: { comparison: Comparison; models: Model[] }) {
  const modelOf = (version: number) => models.find((model) => model.version === version);
  const nameOf = (version: number): string => modelOf(version)?.name ?? `#${version}`;
  const rivalRole = words.rival[comparison.role] ?? comparison.role;
  const common = sortMetrics(Object.keys(comparison.figures).filter(isNamed));
  // The main metrics are shown even when only one of the models has them.
  const versions = [comparison.champion, comparison.rival];
  const main = MAIN.filter((name) =>
    versions.some((version) => name in (modelOf(version)?.metrics ?? {})),
  );
  const rows: Row[] = sortMetrics([...new Set([...main, ...common])]).map((name) => ({
    name,
    champion: comparison.figures[name]?.champion ?? modelOf(comparison.champion)?.metrics[name],
    rival: comparison.figures[name]?.rival ?? modelOf(comparison.rival)?.metrics[name],
  }));
  const shares = rows.filter(isComplete).filter(({ name }) => !IN_STARS.has(name));
  const inChart = shares.filter(({ name }) => MAIN.includes(name));
  // Models of earlier versions may have no main metric in common.
  const charted = inChart.length ? inChart : shares;
  const first = rows.filter((row) => MAIN.includes(row.name) || charted.some(({ name }) => name === row.name));
  const rest = rows.filter((row) => !first.includes(row));
  return (
    <>
      {!comparison.comparable && <p class="warning">{words.notComparable}</p>}
      <ul class="legend">
        <li>
          <span class="key key-champion" />
          <span>{words.champion}: <ModelName>{nameOf(comparison.champion)}</ModelName></span>
        </li>
        <li>
          <span class="key key-rival" />
          <span>{rivalRole}: <ModelName>{nameOf(comparison.rival)}</ModelName></span>
        </li>
      </ul>
      <div class="compared">
        {charted.length > 0 && <Chart rows={charted} />}
        <Table label={words.asTable} rows={first} rivalRole={rivalRole} />
      </div>
      {rest.length > 0 && (
        <details class="more-metrics">
          <summary>{words.moreMetrics}</summary>
          <Table label={words.moreMetrics} rows={rest} rivalRole={rivalRole} />
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
            <th scope="col">{words.metric}</th>
            <th scope="col">{words.champion}</th>
            <th scope="col">{rivalRole}</th>
            <th scope="col">{words.difference}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ name, champion, rival }) => (
            <tr key={name}>
              <th scope="row">{metricName(name)}</th>
              <td>{formatMetric(champion)}</td>
              <td>{formatMetric(rival)}</td>
              <td>{formatDifference(champion, rival)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function formatDifference(champion: number | undefined, rival: number | undefined): string {
  if (champion === undefined || rival === undefined) return formatMetric(undefined);
  return `${rival > champion ? "+" : ""}${formatMetric(rival - champion)}`;
}

function Chart({ rows }: { rows: CompleteRow[] }) {
  const largest = Math.max(...rows.flatMap(({ champion, rival }) => [champion, rival]), 0.001);
  const room = CHART_WIDTH - NAME_WIDTH - VALUE_WIDTH;
  const widthOf = (value: number): number => (Math.max(value, 0) / largest) * room;
  return (
    <svg class="chart" viewBox={`0 0 ${CHART_WIDTH} ${rows.length * ROW_HEIGHT + 4}`} role="img" aria-label={words.chartLabel}>
      {rows.map(({ name, champion, rival }, index) => (
        <g key={name} transform={`translate(0 ${index * ROW_HEIGHT + 6})`}>
          <text class="chart-name" x={NAME_WIDTH - 12} y={BAR_HEIGHT + 5} text-anchor="end">{metricName(name)}</text>
          {[champion, rival].map((value, position) => (
            <g key={position} transform={`translate(${NAME_WIDTH} ${position * (BAR_HEIGHT + BAR_GAP)})`}>
              <rect class={position ? "bar-rival" : "bar-champion"} width={Math.max(widthOf(value), MIN_BAR_WIDTH)} height={BAR_HEIGHT} rx="3" />
              <text class="chart-value" x={widthOf(value) + 7} y={BAR_HEIGHT - 2.5}>{formatMetric(value)}</text>
            </g>
          ))}
        </g>
      ))}
    </svg>
  );
}
