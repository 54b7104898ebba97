/** What the exchange's HTTP interface says, all times ISO 8601, all lengths in seconds. */

export type Role = "agent" | "supervisor" | "admin";

export interface User {
  id: string;
  name: string;
  display: string;
  role: Role;
}

export interface Login {
  token: string;
  user: User;
}

export interface IceServers {
  ice_servers: RTCIceServer[];
}

export interface Page<T> {
  items: T[];
  next: string | null;
}

export interface Named {
  id: string;
  name: string;
}

export interface AgentName extends Named {
  display: string;
}

export interface Contact {
  id: string;
  channel: string;
  ani: string | null;
  dnis: string | null;
  entry_point: string | null;
  queue: string | null;
  queue_name: string | null;
  agent: string | null;
  agent_name: string | null;
  arrived: string;
  answered: string | null;
  ended: string | null;
  final: string | null;
  waited: number | null;
  talked: number | null;
  held: number | null;
  wrap_up_code: string | null;
}

export interface Side {
  talk: number;
  silence: number;
}

export interface Gap {
  start: number;
  end: number;
}

export interface Recording {
  id: string;
  contact: string;
  ani: string | null;
  queue: string | null;
  queue_name: string | null;
  agent: string | null;
  agent_name: string | null;
  started: string;
  seconds: number;
  size: number;
  media_type: string;
  state: "stored" | "pending" | "failed";
  left: Side | null;
  right: Side | null;
  overlap: number | null;
  paused: Gap[];
}

/** A recording with its loudness over time, 0 to 100, `peaks_per_second` values a second. */
export interface RecordingDetail extends Recording {
  peaks_left: number[];
  peaks_right: number[];
  peaks_per_second: number;
}
