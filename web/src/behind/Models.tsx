/** Every registered version, newest first. */
import type { Schemas } from "../api/client";
import { texts } from "../texts";
import { figureName, shownFigure, sorted } from "./figures";
import { Name } from "./Name";

const words = texts.behind;
/** Figures with a column of their own; the rest stands in MLflow. */
const COLUMNS = ["ndcg_at_10", "recall_at_10", "hit_at_10", "coverage_at_10", "rmse"];

export function Models({ models, leftOut }: { models: Schemas["ModelFacts"][]; leftOut: number }) {
  const there = sorted(COLUMNS.filter((name) => models.some((model) => name in model.metrics)));
  return (
    <section class="panel wide" aria-labelledby="models-heading">
      <h2 id="models-heading">{words.models}</h2>
      {models.length ? (
        <div class="table-frame" tabIndex={0} role="group" aria-label={words.modelsTable}>
          <table class="models">
            <thead>
              <tr>
                <th scope="col">{words.model}</th>
                {there.map((name) => <th scope="col" key={name} class="number">{figureName(name)}</th>)}
                <th scope="col">{words.gate}</th>
                <th scope="col">{words.trainedOn}</th>
                <th scope="col">{words.registered}</th>
              </tr>
            </thead>
            <tbody>{models.map((model) => <Row key={model.version} model={model} figures={there} />)}</tbody>
          </table>
        </div>
      ) : (
        <p class="faint">{words.noModels}</p>
      )}
      {leftOut > 0 && <p class="faint">{words.leftOut(leftOut)}</p>}
    </section>
  );
}

function Row({ model, figures }: { model: Schemas["ModelFacts"]; figures: string[] }) {
  return (
    <tr>
      <th scope="row">
        {model.run_url ? <a href={model.run_url}><Name>{model.name}</Name></a> : <Name>{model.name}</Name>}
        <span class="under">
          {words.version(model.version)}
          {model.aliases.map((alias) => <span key={alias} class={`badge badge-${alias}`}>{alias}</span>)}
          {model.loaded && <span class="badge">{words.loaded}</span>}
        </span>
        {model.parent && <span class="under">{words.parent} <Name>{model.parent}</Name></span>}
      </th>
      {figures.map((name) => (
        <td key={name} class="number">{name in model.metrics ? shownFigure(model.metrics[name]!) : "–"}</td>
      ))}
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
      <td class="when">{model.created_at ? texts.moment(model.created_at) : "–"}</td>
    </tr>
  );
}
