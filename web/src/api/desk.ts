/** The messages of the desk's WebSocket (`/api/v1/desk`), all times seconds since 1970 by the server's clock. */

import type { Reply } from "./replies";

export type AgentState = "available" | "idle" | "reserved" | "engaged" | "wrap-up" | "not-responding" | "logged-out";

export interface Code {
  code: string;
  name: string;
}

export interface DeskAgent {
  id: string;
  name: string;
  display: string;
  state: AgentState;
  code: string | null;
  since: number;
  next: { state: AgentState; code: string | null } | null;
}

export type ServerSoftphone = "none" | "connecting" | "ready" | "lost" | "replaced";

export interface Offer {
  id: string;
  contact: string;
  queue: string;
  queue_name: string;
  ani: string | null;
  waited: number;
  deadline: number;
  channel: string;
}

export type RecordingState = "on" | "paused" | "off" | "failed";

export interface DeskContact {
  id: string;
  ani: string | null;
  dnis: string | null;
  queue: string | null;
  queue_name: string | null;
  state: "connecting" | "talking" | "ended";
  since: number;
  held: boolean;
  muted: boolean;
  recording: RecordingState;
  cad: Record<string, unknown>;
}

export interface WrapUp {
  contact: string;
  deadline: number;
  codes: Code[];
}

export interface QueueWaiting {
  id: string;
  name: string;
  waiting: number;
}

/** All that the desk shows; sent at connect and after each change. */
export interface DeskSnapshot {
  type: "desk";
  agent: DeskAgent;
  softphone: { state: ServerSoftphone };
  offer: Offer | null;
  contact: DeskContact | null;
  wrap_up: WrapUp | null;
  idle_codes: Code[];
  queues: QueueWaiting[];
  time: number;
}

export type DeskMessage = DeskSnapshot | Reply;

/** What each command carries. */
export interface DeskCommands {
  softphone: { sdp: string };
  set_state: { state: "available" } | { state: "idle"; code: string };
  accept: { offer: string };
  decline: { offer: string; reason: string };
  hold: { on: boolean };
  mute: { on: boolean };
  digits: { digits: string };
  hang_up: Record<string, never>;
  wrap_up: { code: string };
  record: { on: boolean };
  log_out: Record<string, never>;
  ping: Record<string, never>;
}
