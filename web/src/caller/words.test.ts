import { describe, expect, it } from "vitest";
import type { CallView } from "./call";
import { callWords, DEFAULT_NUMBER, endWords, numberOf, numberProblem } from "./words";

const VIEW: CallView = {
  phase: "connected",
  talking: false,
  microphone: "on",
  muted: false,
  interrupted: false,
  away: false,
  blocked: false,
  sent: "",
  notice: "",
  since: 0,
  seconds: 0,
  ended: "",
  failed: false,
};

describe("the number", () => {
  it("is the address's, or the default one", () => {
    expect(numberOf("/call/6000")).toBe("6000");
    expect(numberOf("/call/%2B49301234")).toBe("+49301234");
    for (const path of ["/call", "/call/", "/call/%", "/call/%20"]) expect(numberOf(path)).toBe(DEFAULT_NUMBER);
  });

  it("must be one", () => {
    for (const good of ["5000", "+49301234", "*21#", "sales", "a.b-c_d"]) expect(numberProblem(good)).toBe("");
    expect(numberProblem("")).toContain("Please enter");
    for (const bad of ["50 00", "5000@evil", "1".repeat(33), "<b>"])
      expect(numberProblem(bad)).toContain("not a number");
  });
});

describe("the call in words", () => {
  it("tells the flow from an agent", () => {
    expect(callWords(VIEW)).toEqual({ state: "Connected", hint: "Listen, and choose with the keys." });
    expect(callWords({ ...VIEW, talking: true }).state).toContain("agent");
  });

  it("does not call an end what never began", () => {
    expect(callWords({ ...VIEW, phase: "ended", since: null }).state).toBe("Not connected");
    expect(callWords({ ...VIEW, phase: "ended" }).state).toBe("The call has ended");
  });

  it("has a sentence for every reason", () => {
    for (const connected of [true, false]) {
      for (const reason of [
        "ended",
        "no-line",
        "overload",
        "media-timeout",
        "no-rtp",
        "page-lost",
        "card-died",
        "timeout",
        "new",
      ]) {
        expect(endWords(reason, connected)).toMatch(/^[A-Z].+\.$/);
      }
    }
    expect(endWords("media-timeout", true)).not.toBe(endWords("media-timeout", false));
  });
});
