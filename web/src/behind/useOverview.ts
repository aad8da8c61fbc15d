/** How the loop stands, looked at again by itself while somebody looks at it. */
import { useEffect, useState } from "preact/hooks";
import { type Schemas, type Trouble, aborted, api, told, troubleOf } from "../api/client";
import { type Health, askHealth } from "./health";

const EVERY_S = 15;

export function useOverview() {
  const [overview, setOverview] = useState<Schemas["Overview"] | null>(null);
  const [health, setHealth] = useState<Health | null>(null);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const [times, setTimes] = useState(0);
  const again = () => setTimes((n) => n + 1);
  useEffect(() => {
    const stop = new AbortController();
    const asked = [
      told(api.GET("/overview", { signal: stop.signal })).then(setOverview),
      askHealth(stop.signal).then(setHealth),
    ];
    Promise.all(asked).then(
      () => setTrouble(null),
      (error: unknown) => {
        if (!aborted(error)) setTrouble(troubleOf(error));
      },
    );
    const timer = setInterval(() => document.visibilityState === "visible" && again(), EVERY_S * 1000);
    return () => {
      stop.abort();
      clearInterval(timer);
    };
  }, [times]);
  return { overview, health, trouble, again };
}
