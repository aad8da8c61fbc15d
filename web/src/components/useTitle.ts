import { useEffect } from "preact/hooks";

/** The window's title while a view is shown. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title;
  }, [title]);
}
