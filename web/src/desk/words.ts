/** The desk's states in words and colours. */

import type { AgentState, Code, Conversation, DeskAgent, DeskSnapshot, Offer, RecordingState } from "../api/desk";
import { microphoneAdvice } from "../media/microphone";
import type { DeskView } from "./desk";

const STATES: Record<AgentState, { word: string; color: string }> = {
  available: { word: "Available", color: "green" },
  idle: { word: "Idle", color: "yellow" },
  reserved: { word: "Reserved", color: "blue" },
  engaged: { word: "Engaged", color: "indigo" },
  "wrap-up": { word: "Wrap-up", color: "grape" },
  "not-responding": { word: "Not responding", color: "red" },
  "logged-out": { word: "Logged out", color: "gray" },
};

export function codeName(codes: Code[], code: string | null): string {
  return codes.find((known) => known.code === code)?.name ?? code ?? "";
}

/** "Idle – Lunch", "Available". */
export function stateWords(state: AgentState, code: string | null, codes: Code[]): string {
  const name = state === "idle" ? codeName(codes, code) : "";
  return name && name !== STATES[state].word ? name : STATES[state].word;
}

export function stateColor(agent: DeskAgent): string {
  return STATES[agent.state].color;
}

export type Tone = "good" | "busy" | "bad";

/** The softphone in one word for programs and one sentence for people. */
export function softphoneWords(view: DeskView): { state: string; words: string; tone: Tone } {
  const advice = microphoneAdvice(view.microphone.state);
  const { phase, problem } = view.softphone;
  if (phase === "replaced") return { state: "replaced", words: "In use on another page", tone: "bad" };
  if (phase === "ready") {
    return advice === null
      ? { state: "ready", words: "Ready", tone: "good" }
      : { state: "ready", words: `Connected, but: ${advice.title.toLowerCase()}`, tone: "bad" };
  }
  if (advice !== null) return { state: "none", words: `No softphone: ${advice.title.toLowerCase()}`, tone: "bad" };
  if (phase === "lost") return { state: "lost", words: "Lost, connecting again …", tone: "bad" };
  if (view.microphone.state === "asking") {
    return { state: "none", words: "Waiting for the microphone …", tone: "busy" };
  }
  if (view.link !== "open") return { state: "connecting", words: "Waiting for the exchange …", tone: "busy" };
  return problem
    ? { state: "connecting", words: `Trying again: ${problem}`, tone: "bad" }
    : { state: "connecting", words: "Connecting …", tone: "busy" };
}

/** Who it is, in as few words as there are. */
export function callerName(offer: Offer): string {
  if (offer.channel !== "voice") return offer.name || offer.ani || "A customer";
  return offer.ani || "Number withheld";
}

export function customerName(chat: Conversation): string {
  return chat.name || chat.customer || "Customer";
}

export const RECORDING_WORDS: Record<RecordingState, { word: string; color: string }> = {
  on: { word: "Recording", color: "red" },
  paused: { word: "Recording paused", color: "yellow" },
  off: { word: "Not recorded", color: "gray" },
  failed: { word: "Recording failed", color: "orange" },
};

/** What a screen reader is told when the picture changes; empty for nothing new. */
export function announcement(before: DeskSnapshot | null, now: DeskSnapshot): string {
  if (now.offer !== null && now.offer.id !== before?.offer?.id) {
    if (now.offer.callback) {
      return `Callback to ${now.offer.number}, queue ${now.offer.queue_name}. F2 answers, F4 declines.`;
    }
    const written = now.offer.channel !== "voice";
    const who = written ? callerName(now.offer) : now.offer.ani || "a withheld number";
    const keys = `F2 ${written ? "accepts" : "answers"}, F4 declines.`;
    return `Incoming ${written ? "chat" : "call"} from ${who}, queue ${now.offer.queue_name}. ${keys}`;
  }
  const heard = now.conversations.find(
    (chat) => chat.author === "customer" && chat.messages > (messagesBefore(before, chat.contact) ?? chat.messages),
  );
  if (heard !== undefined) return `${customerName(heard)} has written.`;
  if (now.contact?.state === "talking" && before?.contact?.state !== "talking") return "You are in the call.";
  if (now.contact && before?.contact && now.contact.held !== before.contact.held) {
    return now.contact.held ? "The call is on hold." : "The call is no longer on hold.";
  }
  if (now.contact && before?.contact && now.contact.muted !== before.contact.muted) {
    return now.contact.muted ? "You are muted." : "You are no longer muted.";
  }
  if (now.wrap_up !== null && before?.wrap_up == null) return "The call has ended. Choose a wrap-up code.";
  if (before !== null && now.agent.state !== before.agent.state) {
    return `You are now ${stateWords(now.agent.state, now.agent.code, now.idle_codes).toLowerCase()}.`;
  }
  return "";
}

function messagesBefore(before: DeskSnapshot | null, contact: string): number | undefined {
  return before?.conversations.find((chat) => chat.contact === contact)?.messages;
}
