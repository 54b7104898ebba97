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
  name: string;
  waited: number;
  deadline: number;
  channel: string;
  /** We call the customer, at `number`, when the offer is taken. */
  callback: boolean;
  number: string | null;
  /** How often the customer was dialled in vain. */
  tries: number;
}

export type RecordingState = "on" | "paused" | "off" | "failed";

export interface DeskContact {
  id: string;
  ani: string | null;
  dnis: string | null;
  queue: string | null;
  queue_name: string | null;
  state: "connecting" | "dialling" | "talking" | "ended";
  callback: boolean;
  number: string | null;
  /** How often the customer was dialled, this time included. */
  tries: number;
  since: number;
  held: boolean;
  muted: boolean;
  recording: RecordingState;
  cad: Record<string, unknown>;
}

export interface WrapUp {
  contact: string;
  /** Null: there is no limit. */
  deadline: number | null;
  codes: Code[];
  code_needed: boolean;
  /** How often there may be another while. */
  extensions: number;
}

/** A written conversation; its texts are asked for by number. */
export interface Conversation {
  contact: string;
  channel: string;
  queue: string;
  queue_name: string;
  state: "engaged" | "parked" | "wrap-up";
  since: number;
  customer: string;
  name: string;
  cad: Record<string, unknown>;
  messages: number;
  /** Who wrote the last one. */
  author: Author | "";
  wrap_up: WrapUp | null;
}

export type Author = "customer" | "agent" | "system";

export interface Message {
  number: number;
  author: Author;
  agent: string;
  at: string;
  text: string;
}

/** What a supervisor said to everybody. */
export interface Broadcast {
  id: string;
  at: number;
  by: string;
  text: string;
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
  conversations: Conversation[];
  broadcasts: Broadcast[];
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
  wrap_up: { code: string; contact?: string };
  extend: { contact: string };
  messages: { contact: string; after: number };
  send: { contact: string; text: string; key: string };
  end: { contact: string };
  park: { contact: string };
  resume: { contact: string };
  put_away: { broadcast: string };
  record: { on: boolean };
  log_out: Record<string, never>;
  ping: Record<string, never>;
}
