/** A notice about a failed request, with a retry button. */
import { useEffect } from "preact/hooks";
import type { ApiError } from "../api/client";
import { texts } from "../texts";

const RETRY_S = 5;

export function ErrorNotice({ error, onRetry }: { error: ApiError; onRetry: () => void }) {
  const isTemporary = error.status === 503 || error.status === 0 || error.status === 429;
  useEffect(() => {
    if (!isTemporary) return;
    const timer = setTimeout(onRetry, (error.retryAfterS ?? RETRY_S) * 1000);
    addEventListener("online", onRetry);
    return () => {
      clearTimeout(timer);
      removeEventListener("online", onRetry);
    };
  }, [error]);
  const noModel = error.status === 503;
  return (
    <div class="notice" role="alert">
      <p class="notice-heading">{noModel ? texts.errors.noModel : texts.errors.heading}</p>
      <p>{noModel ? texts.errors.noModelLead : error.message}</p>
      {noModel && <p class="notice-small">{error.message}</p>}
      <button type="button" class="button" onClick={onRetry}>{texts.errors.retry}</button>
    </div>
  );
}
