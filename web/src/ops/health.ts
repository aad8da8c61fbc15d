/** The service's readiness. */
import { isAbort, unreachable } from "../api/client";

export interface Health {
  ready: boolean;
  /** A sentence for each problem. */
  degraded: string[];
}

/** Request `/readyz`. An answer without JSON counts by its status alone. */
export async function fetchHealth(signal: AbortSignal): Promise<Health> {
  let answer: Response;
  try {
    answer = await fetch("/readyz", { signal, headers: { Accept: "application/json" } });
  } catch (error) {
    throw isAbort(error) ? error : unreachable();
  }
  return { ready: answer.ok, degraded: problemsOf(await answer.json().catch(() => null)) };
}

function problemsOf(body: unknown): string[] {
  if (typeof body !== "object" || body === null || !("degraded" in body)) return [];
  if (!Array.isArray(body.degraded)) return [];
  return body.degraded.map((problem) =>
    typeof problem === "string" ? problem : JSON.stringify(problem),
  );
}
