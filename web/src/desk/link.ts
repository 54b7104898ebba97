/** The desk's WebSocket: commands with replies, snapshots, pings, and a connection that comes back by itself. */

import type { DeskCommands, DeskMessage, DeskSnapshot } from "../api/desk";
import { CommandError, Replies } from "../api/replies";
import { retryDelay } from "../api/retry";

export type LinkState = "connecting" | "open" | "lost";

export interface LinkEvents {
  onState(state: LinkState): void;
  onSnapshot(snapshot: DeskSnapshot): void;
  /** The server did not take the connection (its reason is hidden from pages): perhaps the session has ended. */
  onRefused(): void;
}

const CONNECT_MS = 8_000;
const PING_EVERY_MS = 10_000;
const PONG_WITHIN_MS = 5_000;
const REPLY_WITHIN_MS = 10_000;

export class DeskLink {
  #socket: WebSocket | null = null;
  #state: LinkState = "connecting";
  #closed = false;
  #attempt = 0;
  #replies = new Replies();
  #retry: ReturnType<typeof setTimeout> | undefined;
  #connectTimer: ReturnType<typeof setTimeout> | undefined;
  #ping: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly url: string,
    private readonly events: LinkEvents,
    private readonly make: (url: string) => WebSocket = (address) => new WebSocket(address),
  ) {}

  get state(): LinkState {
    return this.#state;
  }

  start(): void {
    this.#closed = false;
    this.#connect();
  }

  close(): void {
    this.#closed = true;
    this.#drop("closed", "The desk was closed.");
    clearTimeout(this.#retry);
  }

  /** Try at once instead of waiting for the next retry: the network has just come back. */
  hurry(): void {
    if (this.#state === "open") {
      this.#sendPing();
    } else if (!this.#closed && this.#socket === null) {
      clearTimeout(this.#retry);
      this.#attempt = 0;
      this.#connect();
    }
  }

  /** Send a command and wait for its reply; rejects with a `CommandError`. */
  request<T extends keyof DeskCommands>(
    type: T,
    body: DeskCommands[T],
    within = REPLY_WITHIN_MS,
  ): Promise<Record<string, unknown>> {
    const socket = this.#socket;
    if (socket === null || this.#state !== "open") {
      return Promise.reject(new CommandError("not-connected", "There is no connection to the exchange at the moment."));
    }
    return this.#replies.ask((id) => socket.send(JSON.stringify({ ...body, type, id })), within);
  }

  #connect(): void {
    const socket = this.make(this.url);
    this.#socket = socket;
    this.#connectTimer = setTimeout(() => this.#lost(socket, true), CONNECT_MS);
    socket.onopen = () => {
      clearTimeout(this.#connectTimer);
      this.#attempt = 0;
      this.#ping = setInterval(() => this.#sendPing(), PING_EVERY_MS);
      this.#set("open");
    };
    socket.onmessage = (event) => this.#message(event.data);
    socket.onclose = () => this.#lost(socket, this.#state !== "open");
  }

  #message(data: unknown): void {
    const message = JSON.parse(String(data)) as DeskMessage;
    if (message.type === "desk") {
      this.events.onSnapshot(message);
      return;
    }
    if (message.type !== "reply") return; // a newer server may say more
    this.#replies.take(message);
  }

  #sendPing(): void {
    const socket = this.#socket;
    if (socket === null) return;
    this.request("ping", {}, PONG_WITHIN_MS).catch((error: unknown) => {
      // A dead network tells nobody: without an answer the connection is gone, whatever the socket believes.
      if (error instanceof CommandError && error.code === "timeout") this.#lost(socket, false);
    });
  }

  #lost(socket: WebSocket, refused: boolean): void {
    if (socket !== this.#socket) return;
    this.#drop("not-connected", "The connection to the exchange was lost.");
    if (this.#closed) return;
    this.#set("lost");
    if (refused) this.events.onRefused();
    this.#retry = setTimeout(() => this.#connect(), retryDelay(this.#attempt, Math.random()));
    this.#attempt += 1;
  }

  #drop(code: string, message: string): void {
    clearTimeout(this.#connectTimer);
    clearInterval(this.#ping);
    const socket = this.#socket;
    this.#socket = null;
    if (socket !== null) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    this.#replies.fail(code, message);
  }

  #set(state: LinkState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.events.onState(state);
  }
}
