/** The small panels: serving, health, data, retraining, monitoring and links. */
import type { ComponentChildren } from "preact";
import type { Overview } from "../api/types";
import { texts } from "../texts";
import { ModelName } from "./ModelName";
import type { Health } from "./health";
import { formatMetric, metricName } from "./metrics";

const words = texts.ops;

function Panel({ heading, children }: { heading: string; children: ComponentChildren }) {
  return (
    <section class="panel">
      <h2>{heading}</h2>
      {children}
    </section>
  );
}

function Facts({ rows }: { rows: [name: string, value: ComponentChildren][] }) {
  return (
    <dl class="facts">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function ServingPanel({ overview }: { overview: Overview }) {
  const { serving, serving_version, models } = overview;
  const metrics = models.find((model) => model.version === serving_version)?.metrics ?? {};
  const quality = ["visitor_ndcg_at_10", "next_visit_ndcg_at_10"].filter((name) => name in metrics);
  return (
    <Panel heading={words.serving}>
      <p class="big"><ModelName>{serving ?? words.noModel}</ModelName></p>
      <p class="faint">
        {[
          serving_version && words.version(serving_version),
          ...quality.map((name) => `${metricName(name)} ${formatMetric(metrics[name])}`),
        ]
          .filter(Boolean)
          .join(" · ")}
      </p>
    </Panel>
  );
}

export function HealthPanel({ health }: { health: Health | null }) {
  if (!health) return <Panel heading={words.health}><p class="big">…</p></Panel>;
  const state = !health.ready ? "bad" : health.degraded.length ? "middling" : "good";
  return (
    <Panel heading={words.health}>
      <p class="big"><span class={`dot dot-${state}`} />{health.ready ? words.ready : words.notReady}</p>
      {health.degraded.length ? (
        <ul class="plain">
          {health.degraded.map((problem) => <li key={problem}>{words.degraded}: {problem}</li>)}
        </ul>
      ) : (
        <p class="faint">{health.ready ? words.noProblems : ""}</p>
      )}
    </Panel>
  );
}

export function DataPanel({ data }: { data: NonNullable<Overview["data"]> | null }) {
  if (!data) return <Panel heading={words.data}><p class="faint">{words.noData}</p></Panel>;
  return (
    <Panel heading={words.data}>
      <p class="big">{data.name} {data.synthetic && <span class="badge badge-warn">{words.synthetic}</span>}</p>
      <Facts
        rows={[
          [words.dataKind, data.synthetic ? words.generated : words.real],
          [words.dataSize, words.dataSizes(data.ratings, data.users, data.movies)],
          [words.dataHash, <code>{data.hash}</code>],
        ]}
      />
    </Panel>
  );
}

/** A list of model names with the number of versions of each. */
function NameCounts({ names }: { names: string[] }) {
  return (
    <ul class="name-counts">
      {[...new Set(names)].map((name) => {
        const versions = names.filter((other) => other === name).length;
        return (
          <li key={name}>
            <ModelName>{name}</ModelName> {versions > 1 && <span class="faint">{words.versions(versions)}</span>}
          </li>
        );
      })}
    </ul>
  );
}

export function RetrainingPanel({ retraining }: { retraining: NonNullable<Overview["retraining"]> | null }) {
  if (!retraining) return <Panel heading={words.retraining}><p class="faint">{words.noRetraining}</p></Panel>;
  return (
    <Panel heading={words.retraining}>
      <p class="big">{texts.dateTime(retraining.at)}</p>
      <p class="faint">{retraining.promoted ? words.promoted : words.kept}</p>
      <Facts rows={[[words.retrainedModels, <NameCounts names={retraining.models} />]]} />
    </Panel>
  );
}

export function MonitoringPanel({ monitoring }: { monitoring: NonNullable<Overview["monitoring"]> | null }) {
  if (!monitoring) return <Panel heading={words.monitoring}><p class="faint">{words.noMonitoring}</p></Panel>;
  const { alarm, at, reasons, figures, run_url } = monitoring;
  return (
    <Panel heading={words.monitoring}>
      <p class="big"><span class={`dot dot-${alarm ? "bad" : "good"}`} />{alarm ? words.alarm : words.noAlarm}</p>
      {reasons && reasons.length > 0 && <ul class="plain">{reasons.map((reason) => <li key={reason}>{reason}</li>)}</ul>}
      <Facts
        rows={[
          ...(at ? [[words.monitoredAt, texts.dateTime(at)] as [string, string]] : []),
          ...Object.entries(figures ?? {})
            .filter(([, value]) => typeof value !== "object" || value === null)
            .map(([name, value]): [string, string] => [
              texts.metrics[name] ?? name.replaceAll("_", " "),
              typeof value === "number" ? formatMetric(value) : String(value ?? "–"),
            ]),
        ]}
      />
      {run_url && <p><a href={run_url}>{words.runLink}</a></p>}
    </Panel>
  );
}

export function LinksPanel({ links }: { links: Overview["links"] }) {
  return (
    <Panel heading={words.links}>
      <ul class="tools">
        <li><a href={links.mlflow}>{words.mlflow}</a> <span class="faint">{words.mlflowLead}</span></li>
        <li><a href={links.airflow}>{words.airflow}</a> <span class="faint">{words.airflowLead}</span></li>
        <li><a href={links.api}>{words.api}</a> <span class="faint">{words.apiLead}</span></li>
      </ul>
    </Panel>
  );
}
