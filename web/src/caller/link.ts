/** The WebSocket of one call: commands with replies, news of the call, pings. When it ends, so does the call. */

import { CommandError, Replies } from "../api/replies";
import type { WebCallCommands, WebCallMessage, WebCallNews } from "../api/web-call";

const OPEN_WITHIN_MS = 8_000;
const PING_EVERY_MS = 10_000;
const PONG_WITHIN_MS = 8_000;
const REPLY_WITHIN_MS = 10_000;
const LOST = "The connection to the exchange was lost.";

export interface CallLinkEvents {
  onNews(news: WebCallNews): void;
  /** It was open, and is not any more. */
  onLost(): void;
}

export class CallLink {
  #socket: WebSocket | null = null;
  #replies = new Replies();
  #ping: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly url: string,
    private readonly events: CallLinkEvents,
    private readonly make: (url: string) => WebSocket = (address) => new WebSocket(address),
  ) {}

  /** Resolves when commands can be sent; rejects with a `CommandError`. */
  open(): Promise<void> {
    const socket = this.make(this.url);
    this.#socket = socket;
    socket.onmessage = (event) => this.#message(event.data);
    return new Promise((resolve, reject) => {
      const failed = () => {
        clearTimeout(timer);
        this.close();
        reject(new CommandError("unreachable", "The exchange cannot be reached. Check the network and try again."));
      };
      const timer = setTimeout(failed, OPEN_WITHIN_MS);
      socket.onclose = failed;
      socket.onopen = () => {
        clearTimeout(timer);
        socket.onclose = () => this.#lost();
        this.#ping = setInterval(() => this.#sendPing(), PING_EVERY_MS);
        resolve();
      };
    });
  }

  /** Send a command and wait for its reply; rejects with a `CommandError`. */
  request<T extends keyof WebCallCommands>(
    type: T,
    body: WebCallCommands[T],
    within = REPLY_WITHIN_MS,
  ): Promise<Record<string, unknown>> {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) return Promise.reject(new CommandError("not-connected", LOST));
    return this.#replies.ask((id) => socket.send(JSON.stringify({ ...body, type, id })), within);
  }

  /** Hang up, should there be a call, and leave. */
  close(): void {
    clearInterval(this.#ping);
    const socket = this.#socket;
    this.#socket = null;
    if (socket !== null) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "hang_up" }));
      socket.close();
    }
    this.#replies.fail("closed", "The call has ended.");
  }

  #message(data: unknown): void {
    const message = JSON.parse(String(data)) as WebCallMessage;
    if (message.type === "reply") this.#replies.take(message);
    else if (message.type === "web_call") this.events.onNews(message);
  }

  #sendPing(): void {
    this.request("ping", {}, PONG_WITHIN_MS).catch((error: unknown) => {
      // A dead network tells nobody: without an answer the connection is gone, whatever the socket believes.
      if (error instanceof CommandError && error.code === "timeout") this.#lost();
    });
  }

  #lost(): void {
    if (this.#socket === null) return;
    this.#replies.fail("not-connected", LOST);
    this.close();
    this.events.onLost();
  }
}
