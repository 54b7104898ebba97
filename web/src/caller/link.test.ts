import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { WebCallNews } from "../api/web-call";
import { CallLink } from "./link";

class Socket {
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  readyState = 0;
  sent: Record<string, unknown>[] = [];

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(): void {
    this.readyState = 3;
    this.onclose?.();
  }

  opens(): void {
    this.readyState = 1;
    this.onopen?.();
  }

  says(message: unknown): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

describe("the link of a call", () => {
  let socket: Socket;
  let news: WebCallNews[];
  let lost: number;
  let link: CallLink;

  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal("WebSocket", { OPEN: 1 });
    socket = new Socket();
    news = [];
    lost = 0;
    const events = { onNews: (item: WebCallNews) => news.push(item), onLost: () => (lost += 1) };
    link = new CallLink("ws://here", events, () => socket as unknown as WebSocket);
  });

  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it("answers commands by their ids and passes the news on", async () => {
    const opened = link.open();
    socket.opens();
    await opened;
    const first = link.request("digits", { digits: "1" });
    const second = link.request("digits", { digits: "2" });
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
    expect(lost).toBe(0);
    await expect(link.request("digits", { digits: "1" })).rejects.toThrow("lost");
  });
});
