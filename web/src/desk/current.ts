/** The desk that is open in this page, if one is: the header's log-out and the support diagnostic reach it here. */

import type { Desk } from "./desk";
import { softphoneWords } from "./words";

let current: Desk | null = null;

export const openDesk = (): Desk | null => current;

export function setOpenDesk(desk: Desk | null): void {
  current = desk;
}

/**
 * A support diagnostic for the browser's console: what the softphone is doing and what really arrives from the caller.
 * `__switchroom.softphoneState`, `__switchroom.remoteLevel()` in dBFS, `__switchroom.remoteTone()` in Hz.
 */
export interface Diagnostic {
  readonly softphoneState: string;
  remoteLevel(): number;
  remoteTone(): number;
}

declare global {
  interface Window {
    __switchroom: Diagnostic;
  }
}

window.__switchroom = {
  get softphoneState() {
    return current === null ? "none" : softphoneWords(current.view).state;
  },
  remoteLevel: () => current?.softphone.meter.level() ?? -100,
  remoteTone: () => current?.softphone.meter.tone() ?? 0,
};
