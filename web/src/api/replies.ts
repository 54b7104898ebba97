/** Commands over a WebSocket, each with an id, and the replies that belong to them. */

export type Reply =
  | { type: "reply"; id: number; ok: true; result?: Record<string, unknown> }
  | { type: "reply"; id: number; ok: false; error: { code: string; message: string } };

export class CommandError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = "CommandError";
  }
}

interface Pending {
  resolve(result: Record<string, unknown>): void;
  reject(error: CommandError): void;
  timer: ReturnType<typeof setTimeout>;
}

export class Replies {
  #ids = 0;
  #pending = new Map<number, Pending>();

  /** Send a command under a new id and wait for its reply; rejects with a `CommandError`. */
  ask(send: (id: number) => void, within: number): Promise<Record<string, unknown>> {
    this.#ids += 1;
    const id = this.#ids;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new CommandError("timeout", "The exchange did not answer in time."));
      }, within);
      this.#pending.set(id, { resolve, reject, timer });
      send(id);
    });
  }

  take(reply: Reply): void {
    const pending = this.#pending.get(reply.id);
    if (pending === undefined) return;
    this.#pending.delete(reply.id);
    clearTimeout(pending.timer);
    if (reply.ok) pending.resolve(reply.result ?? {});
    else pending.reject(new CommandError(reply.error.code, reply.error.message));
  }

  /** No more replies will come: everybody who waits hears why. */
  fail(code: string, message: string): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const request of pending) {
      clearTimeout(request.timer);
      request.reject(new CommandError(code, message));
    }
  }
}
