/** A call from the web in words. */

import type { CallView } from "./call";

export const DEFAULT_NUMBER = "5000";

/** The number of the page's address `/call/NUMBER`; the default one without it. */
export function numberOf(path: string): string {
  const [, , part = ""] = path.split("/");
  try {
    return decodeURIComponent(part).trim() || DEFAULT_NUMBER;
  } catch {
    return DEFAULT_NUMBER;
  }
}

/** What is wrong with a number that somebody typed; empty when it may be called. */
export function numberProblem(number: string): string {
  if (number === "") return "Please enter the number that you want to call.";
  if (number.length > 32 || !/^\+?[0-9A-Za-z*#._-]+$/.test(number)) return "This is not a number that can be called.";
  return "";
}

/** The call's state in a few words, and what the caller can do now. */
export function callWords(view: CallView): { state: string; hint: string } {
  switch (view.phase) {
    case "microphone":
      return { state: "Waiting for the microphone …", hint: "Allow it, if the browser asks." };
    case "connecting":
      return { state: "Connecting …", hint: "" };
    case "ringing":
      return { state: "Ringing …", hint: "" };
    case "connected":
      return view.talking
        ? { state: "You are talking with an agent", hint: "" }
        : { state: "Connected", hint: "Listen, and choose with the keys." };
    case "ended":
      return { state: view.since === null ? "Not connected" : "The call has ended", hint: "" };
  }
}

/** Why a call ended, by the exchange's word for it. */
export function endWords(reason: string, connected: boolean): string {
  switch (reason) {
    case "ended":
      return connected ? "Thank you for calling." : "The other side ended the call.";
    case "no-line":
    case "overload":
      return "All lines are busy. Please try again in a moment.";
    case "media-timeout":
    case "no-rtp":
      return connected
        ? "No sound came through any more. Check the network and call again."
        : "The call could not be connected: this network seems to let no sound through.";
    case "page-lost":
      return connected
        ? "The connection to the exchange was lost, and the call with it."
        : "The connection to the exchange was lost before the call was there. Please try again.";
    default:
      return connected
        ? "The call was cut off by a fault. Please call again."
        : "The call could not be connected. Please try again.";
  }
}
