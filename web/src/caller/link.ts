/**
 * The WebSocket of one call: commands with replies, news of the call, pings. Once the call has a token it outlives its socket: a
 * new one resumes it, and what was pressed meanwhile is told then.
 */

import { CommandError, Replies } from "../api/replies";
import { retryDelay } from "../api/retry";
import type { WebCallCommands, WebCallMessage, WebCallNews } from "../api/web-call";

const OPEN_WITHIN_MS = 8_000;
const PING_EVERY_MS = 10_000;
const PONG_WITHIN_MS = 8_000;
const REPLY_WITHIN_MS = 10_000;
/** "I am done", to which a server does not wait for our return (RFC 6455 §7.4.1). */
const DONE = 1000;
const LOST = "The connection to the exchange was lost.";

export interface CallLinkEvents {
  onNews(news: WebCallNews): void;
  /** The exchange is away (the sound is not), or is back. */
  onAway(away: boolean): void;
  /** It was open, and the call is not there any more. */
  onLost(): void;
}

interface Press {
  digits: string;
  resolve(): void;
  reject(error: unknown): void;
}

export class CallLink {
  #socket: WebSocket | null = null;
  #replies = new Replies();
  #token = "";
  #away = false;
  #closed = false;
  #attempt = 0;
  #presses = 0;
  /** By their numbers, in their order; each until the exchange has answered it. */
  #unanswered = new Map<number, Press>();
  #ping: ReturnType<typeof setInterval> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly url: string,
    private readonly events: CallLinkEvents,
    private readonly make: (url: string) => WebSocket = (address) => new WebSocket(address),
  ) {}

  /** Resolves when commands can be sent; rejects with a `CommandError`. */
  open(): Promise<void> {
    this.#closed = false;
    return new Promise((resolve, reject) => {
      this.#connect(resolve, () => {
        this.close();
        reject(new CommandError("unreachable", "The exchange cannot be reached. Check the network and try again."));
      });
    });
  }

  /** There is a call, to which this token leads back. */
  keep(token: string): void {
    this.#token = token;
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

  /** Press keys, now or when the exchange is back; rejects with a `CommandError` when it does not take them. */
  press(digits: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#presses += 1;
      this.#unanswered.set(this.#presses, { digits, resolve, reject });
      if (!this.#away) this.#sendPress(this.#presses);
    });
  }

  /** The network has just come back: see at once whether the exchange has. */
  hurry(): void {
    if (this.#socket !== null) {
      this.#sendPing();
    } else if (this.#away) {
      this.#attempt = 0;
      this.#resume();
    }
  }

  /** Hang up, should there be a call, and leave. */
  close(): void {
    this.#closed = true;
    this.#away = false;
    const socket = this.#drop("closed", "The call has ended.");
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "hang_up" }));
    socket?.close(DONE);
    for (const press of this.#unanswered.values()) press.reject(new CommandError("closed", "The call has ended."));
    this.#unanswered.clear();
  }

  #connect(opened: () => void, failed: () => void): void {
    const socket = this.make(this.url);
    this.#socket = socket;
    socket.onmessage = (event) => this.#message(event.data);
    socket.onclose = failed;
    this.#timer = setTimeout(failed, OPEN_WITHIN_MS);
    socket.onopen = () => {
      clearTimeout(this.#timer);
      socket.onclose = () => this.#lost(socket);
      this.#ping = setInterval(() => this.#sendPing(), PING_EVERY_MS);
      opened();
    };
  }

  #message(data: unknown): void {
    const message = JSON.parse(String(data)) as WebCallMessage;
    if (message.type === "reply") this.#replies.take(message);
    else if (message.type === "web_call") this.events.onNews(message);
  }

  #sendPing(): void {
    const socket = this.#socket;
    this.request("ping", {}, PONG_WITHIN_MS).catch((error: unknown) => {
      // A dead network tells nobody: without an answer the connection is gone, whatever the socket believes.
      if (isTimeout(error)) this.#lost(socket);
    });
  }

  #sendPress(number: number): void {
    const press = this.#unanswered.get(number);
    if (press === undefined) return;
    const socket = this.#socket;
    this.request("digits", { digits: press.digits, press: number }).then(
      () => {
        this.#unanswered.delete(number);
        press.resolve();
      },
      (error: unknown) => {
        if (isTimeout(error)) this.#lost(socket);
        // Whether a press came through whose answer did not is for the exchange to know: it is sent again under its number.
        if (this.#away) return;
        this.#unanswered.delete(number);
        press.reject(error);
      },
    );
  }

  /** This socket is no good any more; with a token the call is. */
  #lost(socket: WebSocket | null): void {
    if (socket === null || socket !== this.#socket) return;
    const resumable = this.#token !== "";
    if (resumable && !this.#away) {
      this.#away = true;
      this.#attempt = 0;
      this.events.onAway(true);
    }
    this.#drop("not-connected", LOST)?.close();
    if (this.#closed) return;
    if (resumable) {
      this.#timer = setTimeout(() => this.#resume(), retryDelay(this.#attempt, Math.random()));
      this.#attempt += 1;
    } else {
      this.close();
      this.events.onLost();
    }
  }

  #resume(): void {
    clearTimeout(this.#timer);
    this.#connect(
      () => {
        const socket = this.#socket;
        this.request("resume", { token: this.#token }).then(
          () => this.#resumed(socket),
          (error: unknown) => this.#refused(socket, error),
        );
      },
      () => this.#lost(this.#socket),
    );
  }

  #resumed(socket: WebSocket | null): void {
    if (socket !== this.#socket || this.#closed) return;
    this.#away = false;
    for (const number of this.#unanswered.keys()) this.#sendPress(number);
    this.events.onAway(false);
  }

  #refused(socket: WebSocket | null, error: unknown): void {
    if (socket === null || socket !== this.#socket) return;
    if (error instanceof CommandError && error.code === "no-such-call") {
      this.close();
      this.events.onLost();
    } else {
      this.#lost(socket);
    }
  }

  /** Take leave of the socket: nothing of it is heard any more. */
  #drop(code: string, message: string): WebSocket | null {
    clearTimeout(this.#timer);
    clearInterval(this.#ping);
    const socket = this.#socket;
    this.#socket = null;
    if (socket !== null) socket.onopen = socket.onmessage = socket.onclose = null;
    this.#replies.fail(code, message);
    return socket;
  }
}

function isTimeout(error: unknown): boolean {
  return error instanceof CommandError && error.code === "timeout";
}
