/** One open desk: its link, microphone, softphone and ring tone, and the picture of them that the page draws. */

import type { DeskCommands, DeskSnapshot, Message } from "../api/desk";
import { get } from "../api/http";
import type { User } from "../api/types";
import { Ring } from "../media/audio";
import { Microphone, type MicrophoneView } from "../media/microphone";
import { ServerClock } from "./clock";
import { DeskLink, type LinkState } from "./link";
import { Softphone, type SoftphoneView } from "./softphone";
import { callerName } from "./words";

export interface DeskView {
  link: LinkState;
  /** The last known picture; an old one while the link is lost. */
  snapshot: DeskSnapshot | null;
  microphone: MicrophoneView;
  softphone: SoftphoneView;
  /** A command's failure, as a sentence. */
  notice: string;
  /** Commands that wait for their reply. */
  busy: ReadonlySet<keyof DeskCommands>;
}

const NOTICE_MS = 10_000;
const BEAT_MS = 500;
/** A clock that stood still for so long: the computer slept, or the browser had stopped this page. */
const SLEPT_MS = 3_000;

/** With a name of this page, by which the server knows it again when it comes by another network. */
function deskUrl(): string {
  const page = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0"));
  return `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/api/v1/desk?page=${page.join("")}`;
}

/** The browser's word about its network, where it gives one. */
const network = (navigator as Navigator & { connection?: EventTarget }).connection;

/** Whether the agent is muted in a call that goes on. */
export function isMuted(snapshot: DeskSnapshot | null): boolean {
  const contact = snapshot?.contact ?? null;
  return contact !== null && contact.state !== "ended" && contact.muted;
}

export class Desk {
  readonly clock = new ServerClock();
  readonly link: DeskLink;
  readonly microphone: Microphone;
  readonly softphone: Softphone;
  #ring = new Ring();
  #view: DeskView;
  #listeners = new Set<() => void>();
  #noticeTimer: ReturnType<typeof setTimeout> | undefined;
  #heart: ReturnType<typeof setInterval> | undefined;
  #notification: Notification | null = null;

  constructor() {
    this.link = new DeskLink(deskUrl(), {
      onState: (state, moved) => this.#linkChanged(state, moved),
      onSnapshot: (snapshot) => this.#snapshot(snapshot),
      onRefused: () => {
        // If the session has ended, this answer says so to the whole page; any other failure is the link's to retry.
        get<User>("/api/v1/me").catch(() => undefined);
      },
    });
    this.softphone = new Softphone(
      this.link,
      () => this.#set({ softphone: this.softphone.view }),
      () => this.link.hurry(),
    );
    this.microphone = new Microphone({
      onChange: () => {
        this.#set({ microphone: this.microphone.view });
        this.softphone.microphoneWorks(this.microphone.view.state === "on");
      },
      onTrack: (track) => {
        this.#applyMute(track);
        this.softphone.useTrack(track);
      },
    });
    this.#view = {
      link: this.link.state,
      snapshot: null,
      microphone: this.microphone.view,
      softphone: this.softphone.view,
      notice: "",
      busy: new Set(),
    };
  }

  get view(): DeskView {
    return this.#view;
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  start(): void {
    this.softphone.start();
    this.link.start();
    void this.microphone.start();
    window.addEventListener("online", this.#networkChanged);
    network?.addEventListener("change", this.#networkChanged);
    document.addEventListener("visibilitychange", this.#looked);
    let beat = Date.now(); // unlike other clocks, wall time goes on while a computer sleeps
    this.#heart = setInterval(() => {
      const before = beat;
      beat = Date.now();
      if (beat - before > SLEPT_MS) this.#woke();
    }, BEAT_MS);
  }

  close(): void {
    window.removeEventListener("online", this.#networkChanged);
    network?.removeEventListener("change", this.#networkChanged);
    document.removeEventListener("visibilitychange", this.#looked);
    clearInterval(this.#heart);
    this.#listeners.clear();
    clearTimeout(this.#noticeTimer);
    this.#ring.stop();
    this.#notification?.close();
    this.softphone.close();
    this.microphone.close();
    this.link.close();
  }

  /** Send a command; a failure is shown as a notice. Resolves to whether it was done. */
  async command<T extends keyof DeskCommands>(type: T, body: DeskCommands[T]): Promise<boolean> {
    this.#busy(type, true);
    try {
      await this.link.request(type, body);
      this.dismiss();
      return true;
    } catch (error) {
      this.notify(error instanceof Error ? error.message : String(error));
      return false;
    } finally {
      this.#busy(type, false);
    }
  }

  /** The messages of a conversation with greater numbers. */
  async messages(contact: string, after: number): Promise<Message[]> {
    const result = await this.link.request("messages", { contact, after });
    return (result.messages ?? []) as Message[];
  }

  notify(notice: string): void {
    clearTimeout(this.#noticeTimer);
    this.#noticeTimer = setTimeout(this.dismiss, NOTICE_MS);
    this.#set({ notice });
  }

  dismiss = (): void => {
    clearTimeout(this.#noticeTimer);
    if (this.#view.notice) this.#set({ notice: "" });
  };

  /** Perhaps: browsers say so for less, too. */
  #networkChanged = (): void => {
    if (!navigator.onLine) return;
    this.link.hurry();
    this.softphone.suspect();
  };

  #woke(): void {
    this.link.hurry();
    this.softphone.woke();
  }

  #looked = (): void => {
    if (document.visibilityState === "visible") this.#networkChanged();
  };

  #linkChanged(state: LinkState, moved: boolean): void {
    if (state === "open") this.clock.forget();
    else this.#alert(null);
    this.softphone.linkChanged(state === "open", moved);
    this.#set({ link: state });
  }

  #snapshot(snapshot: DeskSnapshot): void {
    this.clock.observe(snapshot.time);
    this.#alert(snapshot);
    this.#set({ snapshot });
    if (this.microphone.track !== null) this.#applyMute(this.microphone.track);
    const call = snapshot.contact?.state ?? "none";
    const heard = call === "ended" ? "none" : call === "dialling" ? "connecting" : call;
    this.softphone.heard(snapshot.softphone.state, heard);
  }

  /** The server mutes the call; silencing the track as well keeps a muted word from leaving the room at all. */
  #applyMute(track: MediaStreamTrack): void {
    track.enabled = !isMuted(this.#view.snapshot);
  }

  /** Ring and notify while an offer is out. */
  #alert(snapshot: DeskSnapshot | null): void {
    const offer = snapshot?.offer ?? null;
    const before = this.#view.snapshot?.offer ?? null;
    if (offer === null) {
      this.#ring.stop();
      this.#notification?.close();
      this.#notification = null;
      return;
    }
    this.#ring.start();
    if (offer.id === before?.id || !document.hidden || !("Notification" in window)) return;
    if (Notification.permission !== "granted") return;
    this.#notification = new Notification(
      `Incoming ${offer.channel === "voice" ? "call" : "chat"}: ${offer.queue_name}`,
      {
        body: callerName(offer),
        tag: "switchroom-offer",
      },
    );
    this.#notification.onclick = () => window.focus();
  }

  #busy(type: keyof DeskCommands, on: boolean): void {
    const busy = new Set(this.#view.busy);
    if (on) busy.add(type);
    else busy.delete(type);
    this.#set({ busy });
  }

  #set(change: Partial<DeskView>): void {
    this.#view = { ...this.#view, ...change };
    for (const listener of this.#listeners) listener();
  }
}
