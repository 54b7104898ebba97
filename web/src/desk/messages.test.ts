import { describe, expect, it } from "vitest";
import type { Message } from "../api/desk";
import { joined } from "./messages";

const message = (number: number): Message => ({ number, author: "customer", agent: "", at: "", text: String(number) });

describe("messages of a conversation", () => {
  it("are each there once and in order, whatever comes twice or late", () => {
    const known = joined([], [message(2), message(1)]);
    expect(known.map((one) => one.number)).toEqual([1, 2]);
    expect(joined(known, [message(2), message(3)]).map((one) => one.number)).toEqual([1, 2, 3]);
    expect(joined(known, [message(1), message(2)])).toBe(known);
  });
});
