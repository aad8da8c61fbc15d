import { texts } from "../texts";
import { Cross } from "./icons";
import { dismissToast, keepToast, toast } from "./toasts";

/** Shows the current message, and reads it out to screen readers. */
export function Toaster() {
  const current = toast.value;
  return (
    <div class="toasts" role="status" aria-live="polite">
      {current && (
        <div class="toast" onFocusIn={keepToast} onPointerEnter={keepToast}>
          <span>{current.text}</span>
          {current.undo && (
            <button
              type="button"
              class="toast-undo"
              onClick={() => {
                current.undo?.();
                dismissToast();
              }}
            >
              {texts.toasts.undo}
            </button>
          )}
          <button type="button" class="toast-close" aria-label={texts.toasts.dismiss} onClick={dismissToast}>
            <Cross />
          </button>
        </div>
      )}
    </div>
  );
}
