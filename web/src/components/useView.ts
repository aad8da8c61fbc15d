import { useEffect } from "preact/hooks";

let isFirstView = true;

/** Set the window's title, and move the focus to the view's heading.
 *
 * The focus tells a screen reader that the view has changed. The first view leaves it alone.
 */
export function useView(title: string): void {
  useEffect(() => {
    document.title = title;
  }, [title]);
  useEffect(() => {
    if (!isFirstView) document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
    isFirstView = false;
  }, []);
}
