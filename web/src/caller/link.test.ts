import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { WebCallNews } from "../api/web-call";
import { CallLink } from "./link";

class Socket {
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  readyState = 0;
  sent: Record<string, unknown>[] = [];
  code: number | undefined;

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(code?: number): void {
    this.code = code;
    this.readyState = 3;
    this.onclose?.();
  }

  opens(): void {
    this.readyState = 1;
    this.onopen?.();
  }

  /** Answer the newest command of this type. */
  answers(type: string, error?: { code: string; message: string }): void {
    const asked = this.sent.findLast((message) => message.type === type);
    if (asked === undefined) throw new Error(`nobody asked for ${type}`);
    this.says({ type: "reply", id: asked.id, ok: error === undefined, error, result: {} });
  }

  /** What was pressed, with its number. */
  get pressed(): unknown[] {
    return this.sent.filter(({ type }) => type === "digits").map(({ digits, press }) => [digits, press]);
  }

  says(message: unknown): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

describe("the link of a call", () => {
  let socket: Socket;
  let news: WebCallNews[];
  let lost: number;
  let away: boolean[];
  let sockets: number;
  let link: CallLink;

  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal("WebSocket", { OPEN: 1 });
    socket = new Socket();
    news = [];
    lost = 0;
    away = [];
    sockets = 0;
    const events = {
      onNews: (item: WebCallNews) => news.push(item),
      onAway: (is: boolean) => away.push(is),
      onLost: () => (lost += 1),
    };
    link = new CallLink("ws://here", events, () => {
      sockets += 1;
      return socket as unknown as WebSocket;
    });
  });

  /** Open, with a call that can be resumed. */
  async function calling(): Promise<void> {
    const opened = link.open();
    socket.opens();
    await opened;
    link.keep("secret");
  }

  /** The socket breaks; the next one is there when this is done. */
  async function breaks(): Promise<void> {
    const broken = socket;
    socket = new Socket();
    broken.close();
    await vi.advanceTimersByTimeAsync(200);
  }

  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it("answers commands by their ids and passes the news on", async () => {
    const opened = link.open();
    socket.opens();
    await opened;
    const first = link.request("digits", { digits: "1", press: 1 });
    const second = link.request("digits", { digits: "2", press: 2 });
    expect(socket.sent.map(({ id, digits }) => [id, digits])).toEqual([
      [1, "1"],
      [2, "2"],
    ]);
    socket.says({ type: "reply", id: 2, ok: false, error: { code: "no-call", message: "There is no call." } });
    socket.says({ type: "reply", id: 1, ok: true, result: {} });
    socket.says({ type: "web_call", state: "connected", reason: "", talking: true });
    await expect(second).rejects.toThrow("There is no call.");
    await expect(first).resolves.toEqual({});
    expect(news).toEqual([{ type: "web_call", state: "connected", reason: "", talking: true }]);
  });

  it("says that it cannot be opened, refused or unanswered", async () => {
    const refused = link.open();
    socket.close();
    await expect(refused).rejects.toThrow("cannot be reached");
    socket = new Socket();
    const unanswered = expect(link.open()).rejects.toThrow("cannot be reached");
    await vi.advanceTimersByTimeAsync(8_000);
    await unanswered;
    expect(lost).toBe(0);
  });

  it("is lost when the socket closes, or when a ping is not answered", async () => {
    for (const lose of [() => socket.close(), () => vi.advanceTimersByTimeAsync(18_000)]) {
      socket = new Socket();
      const opened = link.open();
      socket.opens();
      await opened;
      const waiting = expect(link.request("start", { entry_point: "5000", name: "", sdp: "" }, 60_000)).rejects.toThrow(
        "lost",
      );
      const before = lost;
      await lose();
      await waiting;
      expect(lost).toBe(before + 1);
    }
  });

  it("hangs up when it is closed, and tells nobody that it was lost", async () => {
    const opened = link.open();
    socket.opens();
    await opened;
    link.close();
    link.close();
    expect(socket.sent).toEqual([{ type: "hang_up" }]);
    expect(socket.code).toBe(1000);
    expect(lost).toBe(0);
    await expect(link.request("ping", {})).rejects.toThrow("lost");
    await expect(link.press("1")).rejects.toThrow("lost");
  });

  it("resumes its call by a new socket, with the secret it was given", async () => {
    await calling();
    await breaks();
    expect(away).toEqual([true]);
    socket.opens();
    expect(socket.sent).toEqual([{ type: "resume", token: "secret", id: 1 }]);
    socket.says({ type: "web_call", state: "connected", reason: "", talking: true });
    socket.answers("resume");
    await vi.advanceTimersByTimeAsync(0);
    expect([away, lost, news.length]).toEqual([[true, false], 0, 1]);
    await breaks();
    expect([away, sockets]).toEqual([[true, false, true], 3]);
  });

  it("tries again for as long as it takes, at once when the network is back", async () => {
    await calling();
    await breaks();
    for (let n = 0; n < 40; n += 1) {
      socket.close();
      await vi.advanceTimersByTimeAsync(5_000);
    }
    expect([away, lost, sockets]).toEqual([[true], 0, 42]);
    const asleep = socket;
    socket = new Socket();
    asleep.close();
    link.hurry();
    expect(sockets).toBe(43);
    socket.opens();
    socket.answers("resume", { code: "restarting", message: "Please come again." });
    await vi.advanceTimersByTimeAsync(200);
    expect([lost, sockets]).toEqual([0, 44]);
  });

  it("is lost when the exchange does not know the call any more", async () => {
    await calling();
    await breaks();
    socket.opens();
    socket.answers("resume", { code: "no-such-call", message: "This call has ended." });
    await vi.advanceTimersByTimeAsync(10_000);
    expect([lost, sockets, away]).toEqual([1, 2, [true]]);
  });

  it("presses each key once, whatever becomes of the socket", async () => {
    await calling();
    const settled: string[] = [];
    const press = (digit: string) =>
      link.press(digit).then(
        () => settled.push(digit),
        () => settled.push(`not ${digit}`),
      );
    press("1");
    socket.answers("digits");
    press("2");
    await breaks();
    press("3");
    socket.opens();
    press("4");
    expect(socket.pressed).toEqual([]);
    socket.answers("resume");
    await vi.advanceTimersByTimeAsync(0);
    expect(socket.pressed).toEqual([
      ["2", 2],
      ["3", 3],
      ["4", 4],
    ]);
    expect(settled).toEqual(["1"]);
    for (const message of socket.sent.filter(({ type }) => type === "digits").slice(0, 2)) {
      socket.says({ type: "reply", id: message.id, ok: true, result: {} });
    }
    socket.answers("digits", { code: "no-call", message: "There is no call." });
    await vi.advanceTimersByTimeAsync(0);
    expect(settled).toEqual(["1", "2", "3", "not 4"]);
  });

  it("presses again what nobody answered", async () => {
    await calling();
    link.press("1");
    const silent = socket;
    socket = new Socket();
    await vi.advanceTimersByTimeAsync(10_000 + 200);
    expect(silent.pressed).toEqual([["1", 1]]);
    socket.opens();
    socket.answers("resume");
    await vi.advanceTimersByTimeAsync(0);
    expect(socket.pressed).toEqual([["1", 1]]);
  });

  it("stays away when it was closed while it was away", async () => {
    await calling();
    await breaks();
    const pressed = expect(link.press("1")).rejects.toThrow("ended");
    link.close();
    await pressed;
    socket.opens();
    link.hurry();
    await vi.advanceTimersByTimeAsync(10_000);
    expect([sockets, lost, socket.pressed]).toEqual([2, 0, []]);
  });
});
