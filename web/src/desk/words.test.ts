import { describe, expect, it } from "vitest";
import type { Conversation, DeskSnapshot } from "../api/desk";
import { microphoneAdvice, microphoneProblem } from "../media/microphone";
import type { DeskView } from "./desk";
import { announcement, softphoneWords, stateWords } from "./words";

const SNAPSHOT: DeskSnapshot = {
  type: "desk",
  agent: { id: "a1", name: "agent1", display: "Ada", state: "available", code: null, since: 0, next: null },
  softphone: { state: "ready" },
  offer: null,
  contact: null,
  wrap_up: null,
  conversations: [],
  broadcasts: [],
  idle_codes: [{ code: "lunch", name: "Lunch" }],
  queues: [],
  time: 0,
};

const CONTACT: NonNullable<DeskSnapshot["contact"]> = {
  id: "c1",
  ani: "123",
  dnis: "5000",
  queue: "q",
  queue_name: "Sales",
  state: "talking",
  since: 0,
  held: false,
  muted: false,
  recording: "on",
  callback: false,
  number: "123",
  tries: 0,
  cad: {},
};

const CONVERSATION: Conversation = {
  contact: "c2",
  channel: "chat",
  queue: "q",
  queue_name: "Sales",
  state: "engaged",
  since: 0,
  customer: "jo@example.org",
  name: "Jo",
  cad: {},
  messages: 0,
  author: "",
  wrap_up: null,
};

function view(change: Partial<DeskView>): DeskView {
  return {
    link: "open",
    snapshot: SNAPSHOT,
    microphone: { state: "on", device: "", devices: [] },
    softphone: { phase: "ready", blocked: false, problem: "" },
    notice: "",
    busy: new Set(),
    ...change,
  };
}

describe("the softphone in words", () => {
  it("is ready only when nothing is wrong with the microphone", () => {
    expect(softphoneWords(view({}))).toEqual({ state: "ready", words: "Ready", tone: "good" });
    const unplugged = softphoneWords(view({ microphone: { state: "unplugged", device: "", devices: [] } }));
    expect(unplugged.tone).toBe("bad");
    expect(unplugged.words).toContain("unplugged");
  });

  it("says that it is replaced, whatever else is wrong", () => {
    const replaced = view({
      softphone: { phase: "replaced", blocked: false, problem: "" },
      microphone: { state: "denied", device: "", devices: [] },
    });
    expect(softphoneWords(replaced).state).toBe("replaced");
  });

  it("does not exist without a microphone, and says why", () => {
    const denied = view({
      softphone: { phase: "waiting", blocked: false, problem: "" },
      microphone: { state: "denied", device: "", devices: [] },
    });
    expect(softphoneWords(denied)).toMatchObject({ state: "none", tone: "bad" });
    expect(softphoneWords(denied).words).toContain("not allowed");
  });
});

describe("microphone", () => {
  it.each([
    ["NotAllowedError", "denied"],
    ["NotFoundError", "missing"],
    ["NotReadableError", "busy"],
    ["TypeError", "failed"],
  ])("names %s %s and has advice for it", (error, state) => {
    expect(microphoneProblem(error)).toBe(state);
    expect(microphoneAdvice(microphoneProblem(error))?.advice).toBeTruthy();
  });
});

describe("announcements", () => {
  it("tells of a new offer once", () => {
    const offer = {
      id: "o1",
      contact: "c1",
      queue: "q",
      queue_name: "Sales",
      ani: "123",
      name: "",
      waited: 1,
      deadline: 9,
      channel: "voice",
      callback: false,
      number: "123",
      tries: 0,
    };
    const ringing = { ...SNAPSHOT, offer };
    expect(announcement(SNAPSHOT, ringing)).toContain("123");
    expect(announcement(ringing, { ...ringing, time: 3 })).toBe("");
    const callback = { ...SNAPSHOT, offer: { ...offer, callback: true, number: "+4930456" } };
    expect(announcement(SNAPSHOT, callback)).toContain("Callback to +4930456");
    const chat = { ...offer, id: "o2", channel: "chat", ani: "jo@example.org", name: "Jo" };
    expect(announcement(ringing, { ...ringing, offer: chat })).toContain(
      "Incoming chat from Jo, queue Sales. F2 accepts",
    );
  });

  it("tells who has written, and not what the agent wrote", () => {
    const chat = (messages: number, author: Conversation["author"]): DeskSnapshot => ({
      ...SNAPSHOT,
      conversations: [{ ...CONVERSATION, messages, author }],
    });
    expect(announcement(chat(1, "customer"), chat(2, "customer"))).toBe("Jo has written.");
    expect(announcement(chat(2, "customer"), chat(2, "customer"))).toBe("");
    expect(announcement(chat(2, "customer"), chat(3, "agent"))).toBe("");
    expect(announcement(null, chat(2, "customer"))).toBe("");
  });

  it("tells of the call's changes", () => {
    const talking = { ...SNAPSHOT, contact: CONTACT };
    expect(announcement(SNAPSHOT, talking)).toBe("You are in the call.");
    expect(announcement(talking, { ...SNAPSHOT, contact: { ...CONTACT, muted: true } })).toBe("You are muted.");
    expect(announcement(talking, { ...SNAPSHOT, contact: { ...CONTACT, held: true } })).toBe("The call is on hold.");
    const wrapUp = { contact: "c1", deadline: 9, codes: [], code_needed: false, extensions: 0 };
    expect(announcement(talking, { ...SNAPSHOT, wrap_up: wrapUp })).toContain("wrap-up");
  });

  it("says an idle code by its name", () => {
    expect(stateWords("idle", "lunch", SNAPSHOT.idle_codes)).toBe("Lunch");
    expect(stateWords("idle", "unknown", SNAPSHOT.idle_codes)).toBe("unknown");
    expect(stateWords("wrap-up", null, [])).toBe("Wrap-up");
  });
});
