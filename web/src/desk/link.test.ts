import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { DeskSnapshot } from "../api/desk";
import { CommandError } from "../api/replies";
import { retryDelay } from "../api/retry";
import { DeskLink, type LinkState } from "./link";

/** A WebSocket whose other end is the test. */
class FarEnd {
  static all: FarEnd[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: (() => void) | null = null;
  sent: { type: string; id: number }[] = [];
  closed = false;

  constructor() {
    FarEnd.all.push(this);
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(): void {
    this.closed = true;
  }

  say(message: unknown): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  static get last(): FarEnd {
    const last = FarEnd.all.at(-1);
    if (last === undefined) throw new Error("nobody connected");
    return last;
  }
}

let states: LinkState[];
let moves: boolean[];
let snapshots: DeskSnapshot[];
let refused: number;
let link: DeskLink;

beforeEach(() => {
  vi.useFakeTimers();
  FarEnd.all = [];
  states = [];
  moves = [];
  snapshots = [];
  refused = 0;
  link = new DeskLink(
    "ws://desk",
    {
      onState: (state, moved) => {
        states.push(state);
        moves.push(moved);
      },
      onSnapshot: (snapshot) => snapshots.push(snapshot),
      onRefused: () => {
        refused += 1;
      },
    },
    () => new FarEnd() as unknown as WebSocket,
  );
  link.start();
});

afterEach(() => {
  link.close();
  vi.useRealTimers();
});

describe("commands", () => {
  it("are answered by their own reply, in any order", async () => {
    FarEnd.last.onopen?.();
    const hold = link.request("hold", { on: true });
    const mute = link.request("mute", { on: true });
    const [first, second] = FarEnd.last.sent;
    expect(first).toEqual({ type: "hold", on: true, id: first?.id });
    FarEnd.last.say({ type: "reply", id: second?.id, ok: true, result: { muted: true } });
    FarEnd.last.say({
      type: "reply",
      id: first?.id,
      ok: false,
      error: { code: "no-call", message: "There is no call." },
    });
    await expect(mute).resolves.toEqual({ muted: true });
    await expect(hold).rejects.toMatchObject({ code: "no-call", message: "There is no call." });
  });

  it("fail at once without a connection", async () => {
    await expect(link.request("hang_up", {})).rejects.toBeInstanceOf(CommandError);
  });

  it("fail when the connection is lost before the reply", async () => {
    FarEnd.last.onopen?.();
    const accept = link.request("accept", { offer: "o1" });
    FarEnd.last.onclose?.();
    await expect(accept).rejects.toMatchObject({ code: "not-connected" });
  });

  it("fail when nobody answers", async () => {
    FarEnd.last.onopen?.();
    const accept = link.request("accept", { offer: "o1" }, 1000);
    const failed = expect(accept).rejects.toMatchObject({ code: "timeout" });
    await vi.advanceTimersByTimeAsync(1000);
    await failed;
  });
});

describe("connection", () => {
  it("passes snapshots on and ignores what it does not know", () => {
    FarEnd.last.onopen?.();
    FarEnd.last.say({ type: "weather", sky: "blue" });
    FarEnd.last.say({ type: "reply", id: 99, ok: true });
    FarEnd.last.say({ type: "desk", time: 5 });
    expect(snapshots).toEqual([{ type: "desk", time: 5 }]);
  });

  it("comes back by itself and tells each state once", () => {
    FarEnd.last.onopen?.();
    FarEnd.last.onclose?.();
    expect(FarEnd.all).toHaveLength(1);
    vi.advanceTimersByTime(200);
    expect(FarEnd.all).toHaveLength(2);
    FarEnd.last.onopen?.();
    expect(states).toEqual(["open", "lost", "open"]);
    expect(refused).toBe(0);
  });

  it("says that it was refused when it closes before it opened", () => {
    FarEnd.last.onclose?.();
    expect(refused).toBe(1);
  });

  it("gives up on a connection that neither opens nor closes", () => {
    vi.advanceTimersByTime(8_000);
    expect(FarEnd.all[0]?.closed).toBe(true);
    expect(states).toEqual(["lost"]);
  });

  it("pings every ten seconds and takes silence for a dead network", async () => {
    FarEnd.last.onopen?.();
    await vi.advanceTimersByTimeAsync(10_000);
    const ping = FarEnd.last.sent.at(-1);
    expect(ping?.type).toBe("ping");
    FarEnd.last.say({ type: "reply", id: ping?.id, ok: true, result: {} });
    await vi.advanceTimersByTimeAsync(9_999);
    expect(states).toEqual(["open"]);
    await vi.advanceTimersByTimeAsync(5_001);
    expect(states).toEqual(["open", "lost"]);
    expect(FarEnd.all[0]?.closed).toBe(true);
  });

  it("does not come back after it was closed", () => {
    FarEnd.last.onopen?.();
    link.close();
    vi.advanceTimersByTime(60_000);
    expect(FarEnd.all).toHaveLength(1);
  });

  it("hurries when the network is back", () => {
    FarEnd.last.onopen?.();
    FarEnd.last.onclose?.();
    link.hurry();
    expect(FarEnd.all).toHaveLength(2);
    vi.advanceTimersByTime(399);
    expect(FarEnd.all).toHaveLength(2);
  });
});

describe("doubts", () => {
  it("are over when the old connection answers first", async () => {
    const [old] = FarEnd.all;
    old?.onopen?.();
    link.hurry();
    expect(FarEnd.all).toHaveLength(2);
    const ping = old?.sent.at(-1);
    expect(ping?.type).toBe("ping");
    old?.say({ type: "reply", id: ping?.id, ok: true, result: {} });
    await vi.advanceTimersByTimeAsync(5_000);
    expect(FarEnd.last.closed).toBe(true);
    expect(old?.closed).toBe(false);
    expect(states).toEqual(["open"]);
    expect(FarEnd.all).toHaveLength(2);
  });

  it("are proved by a new connection that opens first, which is taken", async () => {
    const [old] = FarEnd.all;
    old?.onopen?.();
    const accept = link.request("accept", { offer: "o1" });
    const failed = expect(accept).rejects.toMatchObject({ code: "not-connected" });
    link.hurry();
    FarEnd.last.onopen?.();
    await failed;
    expect(old?.closed).toBe(true);
    expect(states).toEqual(["open", "lost", "open"]);
    expect(moves).toEqual([false, true, true]);
    FarEnd.last.say({ type: "desk", time: 7 });
    expect(snapshots).toEqual([{ type: "desk", time: 7 }]);
    FarEnd.last.onclose?.();
    expect(states.at(-1)).toBe("lost");
    expect(moves.at(-1)).toBe(false);
  });

  it("open one after the other while there is no network, and end when nobody answers", async () => {
    FarEnd.last.onopen?.();
    link.hurry();
    FarEnd.last.onclose?.();
    link.hurry();
    await vi.advanceTimersByTimeAsync(0);
    expect(FarEnd.all).toHaveLength(3);
    FarEnd.last.onclose?.();
    await vi.advanceTimersByTimeAsync(250);
    expect(FarEnd.all).toHaveLength(4);
    link.hurry();
    expect(FarEnd.all).toHaveLength(4);
    await vi.advanceTimersByTimeAsync(2_750);
    expect(states).toEqual(["open", "lost"]);
    expect([FarEnd.all[0]?.closed, FarEnd.last.closed]).toEqual([true, true]);
    await vi.advanceTimersByTimeAsync(200);
    FarEnd.last.onopen?.();
    expect(moves.at(-1)).toBe(true);
  });

  it("do not wait long for a connection whose first packet may be lost", async () => {
    const [old] = FarEnd.all;
    old?.onopen?.();
    link.hurry();
    for (const [opened, wait] of [
      [3, 400],
      [4, 800],
    ] as const) {
      await vi.advanceTimersByTimeAsync(wait - 1);
      expect(FarEnd.all).toHaveLength(opened - 1);
      await vi.advanceTimersByTimeAsync(1);
      expect(FarEnd.all).toHaveLength(opened);
      expect(FarEnd.all.at(-2)?.closed).toBe(true);
    }
    await vi.advanceTimersByTimeAsync(500);
    link.hurry(); // the network has changed again
    expect(FarEnd.all).toHaveLength(5);
    await vi.advanceTimersByTimeAsync(400);
    expect(FarEnd.all).toHaveLength(6);
    FarEnd.last.onopen?.();
    expect(states).toEqual(["open", "lost", "open"]);
    FarEnd.last.onclose?.();
    await vi.advanceTimersByTimeAsync(200);
    expect(FarEnd.all).toHaveLength(7);
    await vi.advanceTimersByTimeAsync(7_900); // nobody is in a hurry any more
    expect(FarEnd.all).toHaveLength(7);
  });

  it("leave nothing behind when the desk closes", async () => {
    FarEnd.last.onopen?.();
    link.hurry();
    link.close();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FarEnd.all).toHaveLength(2);
    expect(FarEnd.all.every((one) => one.closed)).toBe(true);
  });

  it("begin anew what was begun on the network before, soon and then less soon", async () => {
    link.hurry();
    expect(FarEnd.all).toHaveLength(2);
    expect(FarEnd.all[0]?.closed).toBe(true);
    for (const [opened, wait] of [
      [3, 400],
      [4, 800],
      [5, 1_600],
      [6, 3_200],
      [7, 6_400],
    ] as const) {
      await vi.advanceTimersByTimeAsync(wait);
      expect(FarEnd.all).toHaveLength(opened);
    }
    expect(refused).toBe(0);
    await vi.advanceTimersByTimeAsync(8_000);
    expect(refused).toBe(1);
    expect(FarEnd.all.every((one) => one.closed)).toBe(true);
  });
});

it("waits longer after each failure: a second at most at first, five when the exchange stays away", () => {
  expect([0, 1, 2, 3, 19, 20, 50].map((attempt) => retryDelay(attempt, 0))).toEqual([
    200, 400, 800, 1000, 1000, 5000, 5000,
  ]);
  expect(retryDelay(0, 1)).toBe(160);
});
