/** A microphone: asks for it, watches it, says in words what is wrong with it. */

import { Meter } from "./audio";

export type MicrophoneState =
  | "asking"
  | "on"
  | "silenced"
  | "unplugged"
  | "denied"
  | "missing"
  | "busy"
  | "insecure"
  | "failed";

export interface MicrophoneView {
  state: MicrophoneState;
  /** The device in use. */
  device: string;
  devices: { id: string; label: string }[];
}

export interface MicrophoneEvents {
  onChange(): void;
  onTrack(track: MediaStreamTrack): void;
}

const DEVICE_KEY = "switchroom.microphone";

/** What `getUserMedia` failed with, as a state of ours. */
export function microphoneProblem(name: string): MicrophoneState {
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return "denied";
    case "NotFoundError":
    case "OverconstrainedError":
      return "missing";
    case "NotReadableError":
    case "AbortError":
      return "busy";
    default:
      return "failed";
  }
}

/** What is wrong and what to do about it; null while the microphone works. */
export function microphoneAdvice(state: MicrophoneState): { title: string; advice: string } | null {
  switch (state) {
    case "asking":
    case "on":
      return null;
    case "denied":
      return {
        title: "The microphone is not allowed",
        advice:
          "Press the microphone or lock sign in the address bar, allow the microphone for this page, then try again.",
      };
    case "missing":
      return {
        title: "No microphone was found",
        advice: "Plug in a headset or a microphone; it is used as soon as it is there.",
      };
    case "busy":
      return {
        title: "The microphone cannot be opened",
        advice: "Another program may be using it. Close that program or choose another microphone, then try again.",
      };
    case "unplugged":
      return {
        title: "The microphone was unplugged",
        advice: "Plug it in again, or choose another one. You cannot be heard.",
      };
    case "silenced":
      return {
        title: "The microphone is silenced outside of this page",
        advice: "Look for a mute switch on the headset or in the device's sound settings. You cannot be heard.",
      };
    case "insecure":
      return {
        title: "The browser gives no microphone to this address",
        advice: "Open it by its https address: browsers allow a microphone on secure pages only.",
      };
    default:
      return { title: "The microphone failed", advice: "Choose another microphone or try again." };
  }
}

export class Microphone {
  readonly meter = new Meter();
  #view: MicrophoneView = { state: "asking", device: "", devices: [] };
  #track: MediaStreamTrack | null = null;
  #closed = false;
  #opening = 0;
  #permission: PermissionStatus | null = null;

  /** With `remember`, the device chosen is used the next time as well. */
  constructor(
    private readonly events: MicrophoneEvents,
    private readonly remember = true,
  ) {}

  get view(): MicrophoneView {
    return this.#view;
  }

  /** The living track, if there is one. */
  get track(): MediaStreamTrack | null {
    return this.#track?.readyState === "live" ? this.#track : null;
  }

  /** Resolves when it is on, or when it is known what is wrong. */
  async start(): Promise<void> {
    this.#closed = false;
    navigator.mediaDevices?.addEventListener("devicechange", this.#devicesChanged);
    void this.#watchPermission();
    await this.open();
  }

  close(): void {
    this.#closed = true;
    navigator.mediaDevices?.removeEventListener("devicechange", this.#devicesChanged);
    if (this.#permission !== null) this.#permission.onchange = null;
    this.#stopTrack();
    this.meter.watch(null);
  }

  /** Open the wanted device, or the one chosen before, or the system's own. */
  async open(device = (this.remember && localStorage.getItem(DEVICE_KEY)) || ""): Promise<void> {
    this.#opening += 1;
    const turn = this.#opening;
    if (!navigator.mediaDevices) {
      this.#set({ state: "insecure" });
      return;
    }
    if (this.track === null) this.#set({ state: "asking" });
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: {
          echoCancellation: true,
          noiseSuppression: true,
          autoGainControl: true,
          ...(device ? { deviceId: { ideal: device } } : {}),
        },
      });
      if (this.#closed || turn !== this.#opening) {
        for (const track of stream.getTracks()) track.stop();
        return;
      }
      this.#use(stream);
    } catch (error) {
      if (this.#closed || turn !== this.#opening) return;
      this.#set({ state: microphoneProblem(error instanceof DOMException ? error.name : "") });
    }
    await this.#listDevices();
  }

  /** Choose a device and remember the choice in this browser. */
  choose(device: string): void {
    if (this.remember) localStorage.setItem(DEVICE_KEY, device);
    void this.open(device);
  }

  #use(stream: MediaStream): void {
    const track = stream.getAudioTracks()[0];
    if (track === undefined) {
      this.#set({ state: "missing" });
      return;
    }
    this.#stopTrack();
    this.#track = track;
    track.onended = () => this.#set({ state: "unplugged" });
    track.onmute = () => this.#set({ state: "silenced" });
    track.onunmute = () => this.#set({ state: "on" });
    this.meter.watch(stream);
    this.#set({ state: track.muted ? "silenced" : "on", device: track.getSettings().deviceId ?? "" });
    this.events.onTrack(track);
  }

  #stopTrack(): void {
    const track = this.#track;
    this.#track = null;
    if (track === null) return;
    track.onended = track.onmute = track.onunmute = null;
    track.stop();
  }

  #devicesChanged = (): void => {
    if (this.track === null && this.#view.state !== "denied") void this.open();
    else void this.#listDevices();
  };

  async #listDevices(): Promise<void> {
    const all = await navigator.mediaDevices.enumerateDevices();
    const devices = all
      .filter((device) => device.kind === "audioinput" && device.deviceId)
      .map((device, index) => ({ id: device.deviceId, label: device.label || `Microphone ${index + 1}` }));
    if (!this.#closed) this.#set({ devices });
  }

  async #watchPermission(): Promise<void> {
    try {
      const permission = await navigator.permissions.query({ name: "microphone" as PermissionName });
      if (this.#closed) return;
      this.#permission = permission;
      permission.onchange = () => {
        if (permission.state === "granted" && this.track === null) void this.open();
      };
    } catch (error) {
      // Not every browser knows this permission by name; the button "Try again" remains.
      if (!(error instanceof TypeError)) throw error;
    }
  }

  #set(change: Partial<MicrophoneView>): void {
    this.#view = { ...this.#view, ...change };
    this.events.onChange();
  }
}
