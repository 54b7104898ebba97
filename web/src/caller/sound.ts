/** The audio of one call: a peer connection with the caller's microphone, and what arrives played and measured. */

import { Meter } from "../media/audio";
import { gathered } from "../media/gathering";

export type SoundState = "connected" | "interrupted" | "failed";

export interface SoundEvents {
  onState(state: SoundState): void;
  /** The browser wants a click before it plays sound. */
  onBlocked(blocked: boolean): void;
}

export class Sound {
  readonly meter = new Meter(true);
  #connection: RTCPeerConnection | null = null;
  #audio: HTMLAudioElement;

  constructor(private readonly events: SoundEvents) {
    const audio = new Audio();
    audio.autoplay = true;
    audio.hidden = true;
    document.body.append(audio);
    this.#audio = audio;
  }

  /** Our offer, with all candidates. */
  async offer(track: MediaStreamTrack, iceServers: RTCIceServer[]): Promise<string> {
    const connection = new RTCPeerConnection({ iceServers });
    this.#connection = connection;
    connection.ontrack = (event) => this.#remote(event.streams[0] ?? new MediaStream([event.track]));
    connection.onconnectionstatechange = () => this.#changed(connection.connectionState);
    connection.addTransceiver(track, { direction: "sendrecv" });
    await connection.setLocalDescription();
    await gathered(connection);
    return connection.localDescription?.sdp ?? "";
  }

  async answered(sdp: string): Promise<void> {
    await this.#connection?.setRemoteDescription({ type: "answer", sdp });
  }

  /** The microphone has another track. */
  useTrack(track: MediaStreamTrack): void {
    void this.#connection?.getSenders()[0]?.replaceTrack(track);
  }

  play(): void {
    this.#audio.play().then(
      () => this.events.onBlocked(false),
      (error: unknown) => {
        // AbortError only says that a newer stream took this one's place.
        if (error instanceof DOMException && error.name === "NotAllowedError") this.events.onBlocked(true);
      },
    );
  }

  close(): void {
    const connection = this.#connection;
    this.#connection = null;
    if (connection !== null) {
      connection.ontrack = connection.onconnectionstatechange = null;
      connection.close();
    }
    this.meter.watch(null);
    this.#audio.srcObject = null;
    this.#audio.remove();
  }

  #changed(state: RTCPeerConnectionState): void {
    if (state === "connected") this.events.onState("connected");
    else if (state === "disconnected") this.events.onState("interrupted");
    else if (state === "failed" || state === "closed") this.events.onState("failed");
  }

  #remote(stream: MediaStream): void {
    this.#audio.srcObject = stream;
    this.meter.watch(stream);
    this.play();
  }
}
