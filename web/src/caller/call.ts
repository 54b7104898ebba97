/** One call from the web, from the button "Call" to its end; nothing of it is kept in the browser. */

import { sentence } from "../api/http";
import type { WebCallNews } from "../api/web-call";
import type { Meter } from "../media/audio";
import { Microphone, type MicrophoneState } from "../media/microphone";
import { CallLink } from "./link";
import { Sound, type SoundState } from "./sound";
import { endWords } from "./words";

export type CallPhase = "microphone" | "connecting" | "ringing" | "connected" | "ended";

export interface CallView {
  phase: CallPhase;
  /** An agent is connected. */
  talking: boolean;
  microphone: MicrophoneState;
  muted: boolean;
  /** No sound goes through at the moment. */
  interrupted: boolean;
  /** The exchange is away for a moment; the sound goes on without it. */
  away: boolean;
  /** The browser wants a click before it plays sound. */
  blocked: boolean;
  /** Digits pressed so far. */
  sent: string;
  /** What could not be done, as a sentence. */
  notice: string;
  /** Since when the call is connected, by `performance.now()`. */
  since: number | null;
  /** How long it was connected, in seconds. */
  seconds: number;
  /** Why it ended, as a sentence. */
  ended: string;
  /** It ended because something failed. */
  failed: boolean;
}

const START_WITHIN_MS = 20_000;
const RING_MS = 20_000;

function webCallUrl(): string {
  return `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/api/v1/web-call`;
}

let calls = 0;

export class Call {
  /** Tells the calls of this page apart. */
  readonly key = ++calls;
  #view: CallView = {
    phase: "microphone",
    talking: false,
    microphone: "asking",
    muted: false,
    interrupted: false,
    away: false,
    blocked: false,
    sent: "",
    notice: "",
    since: null,
    seconds: 0,
    ended: "",
    failed: false,
  };
  #listeners = new Set<() => void>();
  #microphone: Microphone;
  #link: CallLink;
  #sound: Sound;
  #ringing: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly number: string,
    private readonly name: string,
  ) {
    this.#microphone = new Microphone(
      {
        onChange: () => this.#set({ microphone: this.#microphone.view.state }),
        onTrack: (track) => {
          track.enabled = !this.#view.muted;
          this.#sound.useTrack(track);
        },
      },
      false,
    );
    this.#link = new CallLink(webCallUrl(), {
      onNews: (news) => this.#news(news),
      onAway: (away) => this.#set({ away }),
      onLost: () => this.#end(endWords("page-lost", this.#view.since !== null), true),
    });
    this.#sound = new Sound({
      onState: (state) => this.#soundChanged(state),
      onBlocked: (blocked) => this.#set({ blocked }),
    });
    window.addEventListener("online", this.#online);
  }

  get view(): CallView {
    return this.#view;
  }

  /** What arrives from the other side. */
  get meter(): Meter {
    return this.#sound.meter;
  }

  get microphoneMeter(): Meter {
    return this.#microphone.meter;
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  async start(): Promise<void> {
    try {
      await this.#microphone.start();
      if (this.#over) return;
      const track = this.#microphone.track;
      if (track === null) {
        this.#end("", true);
        return;
      }
      this.#set({ phase: "connecting" });
      await this.#connect(track);
    } catch (error) {
      this.#end(sentence(error), true);
    }
  }

  press(digit: string): void {
    this.#set({ sent: this.#view.sent + digit, notice: "" });
    this.#link.press(digit).catch((error: unknown) => {
      if (!this.#over) this.#set({ notice: sentence(error) });
    });
  }

  mute(on: boolean): void {
    const track = this.#microphone.track;
    if (track !== null) track.enabled = !on;
    this.#set({ muted: on });
  }

  /** The click that a browser waits for before it plays sound. */
  play(): void {
    this.#sound.play();
  }

  hangUp(): void {
    this.#end(this.#view.since === null ? "You hung up before the call was connected." : "You hung up.", false);
  }

  /** The page is left. */
  close(): void {
    this.#end("", false);
    this.#listeners.clear();
  }

  #online = () => this.#link.hurry();

  get #over(): boolean {
    return this.#view.phase === "ended";
  }

  async #connect(track: MediaStreamTrack): Promise<void> {
    await this.#link.open();
    const { ice_servers: servers } = await this.#link.request("ice", {});
    if (this.#over) return;
    const offer = await this.#sound.offer(track, servers as RTCIceServer[]);
    if (this.#over) return;
    const start = { entry_point: this.number, name: this.name, sdp: offer };
    const { sdp, token } = await this.#link.request("start", start, START_WITHIN_MS);
    if (this.#over) return;
    if (typeof sdp !== "string") throw new Error("The exchange's answer has no session description.");
    if (typeof token === "string") this.#link.keep(token);
    this.#set({ phase: "ringing" });
    this.#ringing = setTimeout(
      () => this.#end("The call could not be connected: this network seems to let no sound through.", true),
      RING_MS,
    );
    await this.#sound.answered(sdp);
  }

  #news(news: WebCallNews): void {
    if (news.state === "ended") {
      this.#end(endWords(news.reason, this.#view.since !== null), news.reason !== "ended");
    } else if (news.state === "connected" && !this.#over) {
      clearTimeout(this.#ringing);
      this.#set({ phase: "connected", talking: news.talking, since: this.#view.since ?? performance.now() });
    }
  }

  #soundChanged(state: SoundState): void {
    if (this.#over) return;
    this.#set({ interrupted: state === "interrupted" });
    if (state === "failed") this.#end(endWords("media-timeout", this.#view.since !== null), true);
  }

  #end(ended: string, failed: boolean): void {
    if (this.#over) return;
    clearTimeout(this.#ringing);
    window.removeEventListener("online", this.#online);
    const { since } = this.#view;
    const seconds = since === null ? 0 : (performance.now() - since) / 1000;
    this.#set({
      phase: "ended",
      talking: false,
      interrupted: false,
      away: false,
      blocked: false,
      notice: "",
      ended,
      failed,
      seconds,
    });
    this.#link.close();
    this.#sound.close();
    this.#microphone.close();
  }

  #set(change: Partial<CallView>): void {
    this.#view = { ...this.#view, ...change };
    for (const listener of this.#listeners) listener();
  }
}
