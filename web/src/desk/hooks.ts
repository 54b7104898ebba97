/** What the desk's parts share: the open desk, its clock, keyboard shortcuts. */

import { createContext, useContext, useEffect, useRef, useState, useSyncExternalStore } from "react";
import type { Desk, DeskView } from "./desk";

export const DeskContext = createContext<Desk | null>(null);

export function useDesk(): Desk {
  const desk = useContext(DeskContext);
  if (desk === null) throw new Error("useDesk outside of the desk page");
  return desk;
}

export function useDeskView(): DeskView {
  const desk = useDesk();
  return useSyncExternalStore(desk.subscribe, () => desk.view);
}

const TICK_MS = 250;

/** Seconds since 1970 by the server's clock; renders again whenever a whole second from `since` has passed. */
export function useSecondsSince(since: number): number {
  const { clock } = useDesk();
  const [seconds, setSeconds] = useState(() => clock.now() - since);
  useEffect(() => {
    const update = () => setSeconds(Math.floor(clock.now() - since));
    update();
    const timer = setInterval(update, TICK_MS);
    return () => clearInterval(timer);
  }, [clock, since]);
  return seconds;
}

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

/** The keys of the desk: function keys are free in every browser and on every layout. */
export const KEYS = { answer: "F2", decline: "F4", hangUp: "F4", hold: "F8", mute: "F9" } as const;
