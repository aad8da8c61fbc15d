/** What the page says in passing: one at a time, read out, and some of it can be undone. */
import { signal } from "@preact/signals";

export interface Toast {
  text: string;
  undo?: () => void;
}

export const toast = signal<Toast | null>(null);
const STAYS_MS = 8_000;
let timer: number | undefined;

export function say(text: string, undo?: () => void): void {
  clearTimeout(timer);
  toast.value = undo ? { text, undo } : { text };
  timer = window.setTimeout(dismiss, STAYS_MS);
}

export function dismiss(): void {
  toast.value = null;
}

/** While somebody is about to press its button it stays. */
export function hold(): void {
  clearTimeout(timer);
}
