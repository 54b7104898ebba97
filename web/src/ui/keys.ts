/** Keys that work wherever the focus is. */

import { useEffect, useRef } from "react";

/** Where typed characters are the user's text or choice, not a shortcut. */
function takesText(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || target.closest("input:not([type=radio]), textarea, select, [role=menu]") !== null)
  );
}

/** Calls `press(key)` for keys typed anywhere in the page; it returns whether the key was one of its own. */
export function useKeys(press: (key: string) => boolean): void {
  const latest = useRef(press);
  useEffect(() => {
    latest.current = press;
  });
  useEffect(() => {
    const down = (event: KeyboardEvent) => {
      if (event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.key.length === 1 && takesText(event.target)) return;
      if (latest.current(event.key)) event.preventDefault();
    };
    window.addEventListener("keydown", down);
    return () => window.removeEventListener("keydown", down);
  }, []);
}
