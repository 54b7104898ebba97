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
  digits: { digits: string };
  hang_up: Record<string, never>;
  ping: Record<string, never>;
}
