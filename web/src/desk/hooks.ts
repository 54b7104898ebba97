/** What the desk's parts share: the open desk, its clock, the keys' names. */

import { createContext, useContext, useEffect, useState, useSyncExternalStore } from "react";
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

/** The keys of the desk: function keys are free in every browser and on every layout. */
export const KEYS = { answer: "F2", decline: "F4", hangUp: "F4", hold: "F8", mute: "F9" } as const;
