/** Short messages at the lower edge of the page, one at a time, some with an undo button. */
import { signal } from "@preact/signals";

export interface Toast {
  text: string;
  undo?: () => void;
}

export const toast = signal<Toast | null>(null);
const VISIBLE_MS = 8_000;
let timer: ReturnType<typeof setTimeout> | undefined;

/** Show a message in place of the one before it. */
export function showToast(text: string, undo?: () => void): void {
  clearTimeout(timer);
  toast.value = undo ? { text, undo } : { text };
  timer = setTimeout(dismissToast, VISIBLE_MS);
}

export function dismissToast(): void {
  toast.value = null;
}

/** Keep the message until it is dismissed. */
export function keepToast(): void {
  clearTimeout(timer);
}
