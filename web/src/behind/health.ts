/** What `/readyz` says: JSON with what is degraded, or its status alone. */
export interface Health {
  ready: boolean;
  degraded: string[];
}

export async function askHealth(signal: AbortSignal): Promise<Health> {
  const answer = await fetch("/readyz", { signal, headers: { Accept: "application/json" } });
  const health: Health = { ready: answer.ok, degraded: [] };
  try {
    const said: unknown = await answer.json();
    if (typeof said === "object" && said !== null && "degraded" in said && Array.isArray(said.degraded)) {
      health.degraded = said.degraded.map((one) => (typeof one === "string" ? one : JSON.stringify(one)));
    }
  } catch {
    // No JSON: the status is all there is.
  }
  return health;
}
