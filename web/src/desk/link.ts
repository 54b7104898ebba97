/** The desk's WebSocket: commands with replies, snapshots, pings, and a connection that comes back by itself. */

import type { DeskCommands, DeskMessage, DeskSnapshot } from "../api/desk";
import { CommandError, Replies } from "../api/replies";
import { retryDelay } from "../api/retry";

export type LinkState = "connecting" | "open" | "lost";

export interface LinkEvents {
  /** `moved`: the connection before was cut off without a word, as when the network changed under it. */
  onState(state: LinkState, moved: boolean): void;
  onSnapshot(snapshot: DeskSnapshot): void;
  /** The server did not take the connection (its reason is hidden from pages): perhaps the session has ended. */
  onRefused(): void;
}

const CONNECT_MS = 8_000;
const PING_EVERY_MS = 10_000;
const PONG_WITHIN_MS = 5_000;
const PROOF_WITHIN_MS = 3_000;
const SPARE_RETRY_MS = 250;
/** What a connection gets to open when the network may have changed, doubled with each: its first packet is lost easily, and a system sends that again after one second and three. */
const HURRY_MS = 400;
const REPLY_WITHIN_MS = 10_000;

export class DeskLink {
  #socket: WebSocket | null = null;
  #state: LinkState = "connecting";
  #closed = false;
  #attempt = 0;
  #replies = new Replies();
  #retry: ReturnType<typeof setTimeout> | undefined;
  #connectTimer: ReturnType<typeof setTimeout> | undefined;
  #patience = CONNECT_MS;
  #ping: ReturnType<typeof setInterval> | undefined;
  /** Opened beside a connection that may be dead; while one is wanted, a failed one is followed by another. */
  #spare: WebSocket | null = null;
  #spareAt = 0;
  #spareTimer: ReturnType<typeof setTimeout> | undefined;
  #proving: WebSocket | null = null;
  #moved = false;

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

  /**
   * The network may have changed, or the page has slept: try at once instead of waiting for the next retry. A connection that
   * is open is asked whether it lives while another one is opened beside it. An answer takes one round trip, opening several:
   * when the new one is open first, the old one is dead.
   */
  hurry(): void {
    if (this.#closed) return;
    if (this.#state === "open") {
      this.#prove();
      return;
    }
    // What was begun on the network before may never end.
    this.#patience = HURRY_MS;
    this.#again();
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

  #again(): void {
    this.#drop("not-connected", "The connection to the exchange was lost.");
    clearTimeout(this.#retry);
    this.#attempt = 0;
    this.#connect();
  }

  #connect(): void {
    const socket = this.make(this.url);
    this.#socket = socket;
    const patience = this.#patience;
    this.#connectTimer = setTimeout(() => {
      this.#lessHurried();
      if (patience < CONNECT_MS) this.#again();
      else this.#lost(socket, true);
    }, patience);
    socket.onopen = () => this.#opened(socket);
    this.#listen(socket);
  }

  #listen(socket: WebSocket): void {
    socket.onmessage = (event) => this.#message(event.data);
    socket.onclose = () => this.#lost(socket, this.#state !== "open");
  }

  #opened(socket: WebSocket): void {
    if (socket !== this.#socket) return;
    clearTimeout(this.#connectTimer);
    this.#attempt = 0;
    this.#patience = CONNECT_MS;
    this.#ping = setInterval(() => this.#sendPing(PONG_WITHIN_MS), PING_EVERY_MS);
    this.#set("open");
    this.#moved = false;
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

  #sendPing(within: number): Promise<void> {
    const socket = this.#socket;
    if (socket === null) return Promise.resolve();
    return this.request("ping", {}, within).then(
      () => undefined,
      (error: unknown) => {
        // A dead network tells nobody: without an answer the connection is gone, whatever the socket believes.
        if (!(error instanceof CommandError && error.code === "timeout") || socket !== this.#socket) return;
        this.#moved = true;
        this.#lost(socket, false);
      },
    );
  }

  #lessHurried(): void {
    this.#patience = Math.min(CONNECT_MS, 2 * this.#patience);
  }

  #prove(): void {
    const socket = this.#socket;
    if (this.#spare === null || performance.now() - this.#spareAt >= HURRY_MS) {
      this.#patience = HURRY_MS;
      this.#openSpare();
    }
    if (this.#proving === socket) return;
    this.#proving = socket;
    void this.#sendPing(PROOF_WITHIN_MS).then(() => {
      if (this.#proving !== socket) return;
      this.#proving = null;
      this.#patience = CONNECT_MS;
      this.#leaveSpare();
    });
  }

  #openSpare(): void {
    // A browser opens no second connection to a place while the first one is being opened.
    this.#takeSpare()?.close();
    const spare = this.make(this.url);
    this.#spare = spare;
    this.#spareAt = performance.now();
    this.#spareTimer = setTimeout(() => {
      this.#lessHurried();
      this.#openSpare();
    }, this.#patience);
    spare.onopen = () => {
      this.#takeSpare();
      this.#drop("not-connected", "The connection to the exchange was lost.");
      this.#moved = true;
      this.#set("lost");
      this.#socket = spare;
      this.#listen(spare);
      this.#opened(spare);
    };
    spare.onclose = () => {
      this.#takeSpare();
      this.#spareTimer = setTimeout(() => this.#openSpare(), SPARE_RETRY_MS);
    };
  }

  #takeSpare(): WebSocket | null {
    clearTimeout(this.#spareTimer);
    const spare = this.#spare;
    this.#spare = null;
    if (spare !== null) spare.onopen = spare.onmessage = spare.onclose = null;
    return spare;
  }

  /** Browsers complain in their console of one that is closed before it is open: without need it is not. */
  #leaveSpare(): void {
    const spare = this.#takeSpare();
    if (spare?.readyState === 0) spare.onopen = () => spare.close();
    else spare?.close();
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
    this.#takeSpare()?.close();
    this.#proving = null;
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
    this.events.onState(state, this.#moved);
  }
}
