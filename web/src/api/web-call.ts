/** The messages of a web caller's WebSocket (`/api/v1/web-call`). */

import type { Reply } from "./replies";

/** What happens to the call; `talking` while an agent is connected. */
export interface WebCallNews {
  type: "web_call";
  state: "connecting" | "connected" | "ended";
  reason: string;
  talking: boolean;
}

export type WebCallMessage = WebCallNews | Reply;

/** What each command carries. */
export interface WebCallCommands {
  ice: Record<string, never>;
  start: { entry_point: string; name: string; sdp: string };
  /** Back to a call by the `token` that came with the answer to `start`. */
  resume: { token: string };
  /** `press` numbers what was pressed: the same number twice counts once. */
  digits: { digits: string; press: number };
  hang_up: Record<string, never>;
  ping: Record<string, never>;
}
