import { texts } from "../texts";
import { Cross } from "./icons";
import { dismiss, hold, toast } from "./toasts";

export function ToastPlace() {
  const now = toast.value;
  return (
    <div class="toasts" role="status" aria-live="polite">
      {now && (
        <div class="toast" onFocusIn={hold} onPointerEnter={hold}>
          <span>{now.text}</span>
          {now.undo && (
            <button
              type="button"
              class="toast-undo"
              onClick={() => {
                now.undo?.();
                dismiss();
              }}
            >
              {texts.said.undo}
            </button>
          )}
          <button type="button" class="toast-close" aria-label={texts.said.dismiss} onClick={dismiss}>
            <Cross />
          </button>
        </div>
      )}
    </div>
  );
}
