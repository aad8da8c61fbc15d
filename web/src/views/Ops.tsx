/** The view for engineers: models, data, health, retraining and monitoring. */
import { ErrorNotice } from "../components/ErrorNotice";
import { useView } from "../components/useView";
import { ComparisonPanel } from "../ops/Comparison";
import { FineTune } from "../ops/FineTune";
import { Models } from "../ops/Models";
import {
  DataPanel,
  HealthPanel,
  LinksPanel,
  MonitoringPanel,
  RetrainingPanel,
  ServingPanel,
} from "../ops/panels";
import { useOverview } from "../ops/useOverview";
import { texts } from "../texts";
import "../styles/ops.css";

export default function Ops() {
  const { overview, health, error, reload } = useOverview();
  useView(texts.titles.of(texts.navigation.ops));
  return (
    <>
      <section class="view-head">
        <h1 tabIndex={-1}>{texts.ops.heading}</h1>
        <p class="lead">{texts.ops.lead}</p>
        <button type="button" class="button" onClick={reload}>{texts.ops.refresh}</button>
      </section>
      {error && <ErrorNotice error={error} onRetry={reload} />}
      {overview?.data?.synthetic && (
        <p class="banner" role="note">
          <strong>{texts.ops.synthetic}.</strong> {texts.ops.syntheticLead}
        </p>
      )}
      {overview?.trouble && <p class="banner" role="note">{texts.ops.stale}</p>}
      {overview?.refused && (
        <p class="banner" role="note"><strong>{texts.ops.refused}.</strong> {overview.refused}</p>
      )}
      {!overview && !error && (
        <p class="ops-loading" role="status">{texts.ops.loading}…</p>
      )}
      {overview && (
        <>
          <div class="panels">
            <ServingPanel overview={overview} />
            <HealthPanel health={health} />
            <DataPanel data={overview.data ?? null} />
            <RetrainingPanel retraining={overview.retraining ?? null} />
            <MonitoringPanel monitoring={overview.monitoring ?? null} />
            <LinksPanel links={overview.links} />
          </div>
          <ComparisonPanel comparison={overview.comparison ?? null} models={overview.models} />
          <Models models={overview.models} omitted={overview.models_left_out} />
          <FineTune models={overview.models} onDone={reload} />
        </>
      )}
    </>
  );
}
