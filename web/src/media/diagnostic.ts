/**
 * A support diagnostic for the browser's console: what the softphone is doing and what really arrives from the other side.
 * `__switchroom.softphoneState`, `__switchroom.remoteLevel()` in dBFS, `__switchroom.remoteTone()` in Hz.
 */

import type { Meter } from "./audio";

export interface Diagnosed {
  state(): string;
  /** What arrives. */
  meter: Meter;
}

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

let diagnosed: Diagnosed | null = null;

/** What this page's diagnostic is about from now on. */
export function diagnose(what: Diagnosed | null): void {
  diagnosed = what;
}

window.__switchroom = {
  get softphoneState() {
    return diagnosed?.state() ?? "none";
  },
  remoteLevel: () => diagnosed?.meter.level() ?? -100,
  remoteTone: () => diagnosed?.meter.tone() ?? 0,
};
