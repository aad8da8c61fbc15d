/** For the engineer: the loop at a glance. */
import { DataPanel, HealthPanel, LinksPanel, MonitoringPanel, RetrainingPanel, ServingPanel } from "../behind/panels";
import { ComparisonPanel } from "../behind/Comparison";
import { FineTune } from "../behind/FineTune";
import { Models } from "../behind/Models";
import { useOverview } from "../behind/useOverview";
import { Failure } from "../components/Failure";
import { useView } from "../components/useView";
import { texts } from "../texts";
import "../styles/behind.css";

export default function Behind() {
  const { overview, health, trouble, again } = useOverview();
  useView(texts.titles.of(texts.navigation.behind));
  return (
    <>
      <section class="view-head">
        <h1 tabIndex={-1}>{texts.behind.heading}</h1>
        <p class="lead">{texts.behind.lead}</p>
        <button type="button" class="button" onClick={again}>{texts.behind.refresh}</button>
      </section>
      {trouble && <Failure trouble={trouble} onRetry={again} />}
      {overview?.data?.synthetic && (
        <p class="banner" role="note">
          <strong>{texts.behind.synthetic}.</strong> {texts.behind.syntheticLead}
        </p>
      )}
      {overview?.trouble && <p class="banner" role="note">{texts.behind.stale}</p>}
      {overview?.refused && (
        <p class="banner" role="note"><strong>{texts.behind.refused}.</strong> {overview.refused}</p>
      )}
      {!overview && !trouble && (
        <p class="behind-waits" role="status">{texts.behind.loading}…</p>
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
          <Models models={overview.models} leftOut={overview.models_left_out} />
          <FineTune models={overview.models} onDone={again} />
        </>
      )}
    </>
  );
}
