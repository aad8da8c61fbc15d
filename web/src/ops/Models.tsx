/** A table of the registered model versions, newest first. */
import type { Model } from "../api/types";
import { texts } from "../texts";
import { ModelName } from "./ModelName";
import { MAIN, formatMetric, metricName } from "./metrics";

const words = texts.ops;

export function Models({ models, omitted }: { models: Model[]; omitted: number }) {
  return (
    <section class="panel wide" aria-labelledby="models-heading">
      <h2 id="models-heading">{words.models}</h2>
      {models.length > 0 && <p class="faint">{words.metricsLead}</p>}
      {models.length ? (
        <div class="table-frame" tabIndex={0} role="group" aria-label={words.modelsTable}>
          <table class="models">
            <thead>
              <tr>
                <th scope="col">{words.model}</th>
                {MAIN.map((name) => <th scope="col" key={name} class="number">{metricName(name)}</th>)}
                <th scope="col">{words.gate}</th>
                <th scope="col">{words.trainedOn}</th>
                <th scope="col">{words.registered}</th>
              </tr>
            </thead>
            <tbody>{models.map((model) => <Row key={model.version} model={model} />)}</tbody>
          </table>
        </div>
      ) : (
        <p class="faint">{words.noModels}</p>
      )}
      {omitted > 0 && <p class="faint">{words.omitted(omitted)}</p>}
    </section>
  );
}

function Row({ model }: { model: Model }) {
  const name = model.name || words.noName;
  return (
    <tr>
      <th scope="row">
        {model.run_url ? <a href={model.run_url}><ModelName>{name}</ModelName></a> : <ModelName>{name}</ModelName>}
        <span class="under">
          {words.version(model.version)}
          {model.aliases.map((alias) => <span key={alias} class={`badge badge-${alias}`}>{alias}</span>)}
          {model.loaded && <span class="badge">{words.loaded}</span>}
        </span>
        {model.unreadable && (
          <span class="under">
            <span class="badge badge-warn">{model.usable ? words.partlyUnreadable : words.unusable}</span> {model.unreadable}
          </span>
        )}
        {model.parent && <span class="under">{words.parent} <ModelName>{model.parent}</ModelName></span>}
      </th>
      {MAIN.map((name) => <td key={name} class="number">{formatMetric(model.metrics[name])}</td>)}
      <td class="gate">
        {model.gate ?? "–"}
        {model.gate_reasons && (
          <details>
            <summary>{words.why}<span class="unseen"> {model.name}, {words.version(model.version)}</span></summary>
            <p>{model.gate_reasons}</p>
          </details>
        )}
      </td>
      <td class="data">
        {model.data_name ?? "–"}
        {model.synthetic && <span class="badge badge-warn">{words.synthetic}</span>}
        {model.data_hash && <code class="under" title={model.data_hash}>{model.data_hash.slice(0, 10)}</code>}
      </td>
      <td class="when">{model.created_at ? texts.dateTime(model.created_at) : "–"}</td>
    </tr>
  );
}
