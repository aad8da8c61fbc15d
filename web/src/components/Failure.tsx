/** Something did not work: what, and what can be done. */
import { useEffect } from "preact/hooks";
import type { Trouble } from "../api/client";
import { texts } from "../texts";

const LOOK_AGAIN_S = 5;

export function Failure({ trouble, onRetry }: { trouble: Trouble; onRetry: () => void }) {
  const away = trouble.status === 503 || trouble.status === 0 || trouble.status === 429;
  useEffect(() => {
    if (!away) return;
    const timer = setTimeout(onRetry, (trouble.retryAfterS ?? LOOK_AGAIN_S) * 1000);
    addEventListener("online", onRetry);
    return () => {
      clearTimeout(timer);
      removeEventListener("online", onRetry);
    };
  }, [trouble]);
  const noModel = trouble.status === 503;
  return (
    <div class="notice" role="alert">
      <p class="notice-heading">{noModel ? texts.trouble.noModel : texts.trouble.heading}</p>
      <p>{noModel ? texts.trouble.noModelLead : trouble.message}</p>
      {noModel && <p class="notice-small">{trouble.message}</p>}
      <button type="button" class="button" onClick={onRetry}>{texts.trouble.again}</button>
    </div>
  );
}
