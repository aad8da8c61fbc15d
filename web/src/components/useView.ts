import { useEffect } from "preact/hooks";

let first = true;

/** What each view does: name the window, and bring whoever cannot see that the view changed to its
 * heading. The first view is where one starts anyway. */
export function useView(title: string): void {
  useEffect(() => {
    document.title = title;
  }, [title]);
  useEffect(() => {
    if (!first) document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
    first = false;
  }, []);
}
