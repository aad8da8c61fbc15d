/** The overview and the service's health, reloaded while the window is visible. */
import { useEffect, useState } from "preact/hooks";
import { type ApiError, client, isAbort, toApiError, unwrap } from "../api/client";
import type { Overview } from "../api/types";
import { type Health, fetchHealth } from "./health";

const RELOAD_S = 15;

interface OverviewState {
  overview: Overview | null;
  health: Health | null;
  error: ApiError | null;
  reload: () => void;
}

export function useOverview(): OverviewState {
  const [overview, setOverview] = useState<Overview | null>(null);
  const [health, setHealth] = useState<Health | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [reloads, setReloads] = useState(0);
  const reload = () => setReloads((n) => n + 1);
  useEffect(() => {
    const abort = new AbortController();
    const { signal } = abort;
    const requests = [
      unwrap(client.GET("/overview", { signal })).then(setOverview),
      fetchHealth(signal).then(setHealth),
    ];
    Promise.all(requests).then(
      () => setError(null),
      (failure: unknown) => {
        if (!isAbort(failure)) setError(toApiError(failure));
      },
    );
    const reloadIfVisible = () => document.visibilityState === "visible" && reload();
    const timer = setInterval(reloadIfVisible, RELOAD_S * 1000);
    return () => {
      abort.abort();
      clearInterval(timer);
    };
  }, [reloads]);
  return { overview, health, error, reload };
}
