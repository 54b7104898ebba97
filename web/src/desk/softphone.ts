/** The agent's WebRTC connection: made at once, kept for the whole shift, made anew whenever it is lost. */

import type { ServerSoftphone } from "../api/desk";
import { get } from "../api/http";
import type { IceServers } from "../api/types";
import { Arrivals } from "../media/arrivals";
import { Meter } from "../media/audio";
import { gathered } from "../media/gathering";
import type { DeskLink } from "./link";

export type SoftphonePhase = "waiting" | "connecting" | "ready" | "lost" | "replaced";

export interface SoftphoneView {
  phase: SoftphonePhase;
  /** The browser wants a click before it plays sound. */
  blocked: boolean;
  /** Why the last try failed. */
  problem: string;
}

/** How far the agent's call is, if there is one. */
export type Call = "none" | "connecting" | "talking";

const CONNECT_MS = 6_000;
const DISCONNECTED_MS = 2_000;
const LAST_RETRY_MS = 5_000;
/** A connection that ends while the server calls it ready may have gone to another page: time for that word to arrive. */
const REPLACED_MS = 300;
/** How often it is looked whether a call still sounds, and the silence that raises doubts. */
const LOOK_MS = 200;
const SILENCE_MS = 700;
const DOUBT_EVERY_MS = 3_000;
/** How often and how many times a connection has to show that it has survived a change of the network: what had come before is still played. */
const SURVIVAL_MS = 150;
const SURVIVALS = 5;
/** What a connection that sounds gets when the server says that it is lost: the server hears it again in a moment. */
const HEARD_AGAIN_MS = 1_000;
const ICE_SERVERS_MS = 600_000;

/** Wait before softphone try number `failures` (from 0). */
export function redialDelay(failures: number): number {
  return failures === 0 ? 0 : Math.min(LAST_RETRY_MS, 300 * 2 ** (failures - 1));
}

/**
 * Milliseconds after which a connection that still looks alive here must be offered anew because of the server's word; null
 * to keep it. A word that may be older than our last offer, or comes from an exchange that has just started and still asks
 * its cards what they hold, gets time to be corrected.
 */
export function patience(word: ServerSoftphone, msSinceAnswer: number, msSinceLink: number): number | null {
  if (word !== "none" && word !== "lost") return null;
  const afterAnswer = 2_000 - msSinceAnswer;
  const afterLink = 1_500 - msSinceLink;
  return Math.max(200, afterAnswer, afterLink);
}

export class Softphone {
  readonly meter = new Meter(true);
  #view: SoftphoneView = { phase: "waiting", blocked: false, problem: "" };
  #audio: HTMLAudioElement | null = null;
  #track: MediaStreamTrack | null = null;
  #connection: RTCPeerConnection | null = null;
  /** The running try; another value than a try's own means that it is outdated. */
  #turn = 0;
  #trying = false;
  #failures = 0;
  #word: ServerSoftphone = "none";
  #wordKnown = false;
  #answeredAt = 0;
  #linkAt = 0;
  #wasReady = false;
  #call: Call = "none";
  #usable = false;
  #arrivals = new Arrivals();
  #doubtedAt = Number.NEGATIVE_INFINITY;
  #watchedAt = 0;
  #ice: { servers: IceServers["ice_servers"]; at: number } | null = null;
  #closed = true;
  #redial: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setTimeout> | undefined;
  #survival: ReturnType<typeof setTimeout> | undefined;
  #looks: ReturnType<typeof setInterval> | undefined;

  /** `onDoubt` is called when a call falls silent: perhaps the network is another one now. */
  constructor(
    private readonly link: DeskLink,
    private readonly onChange: () => void,
    private readonly onDoubt: () => void,
  ) {}

  get view(): SoftphoneView {
    return this.#view;
  }

  start(): void {
    this.#closed = false;
    const audio = new Audio();
    audio.autoplay = true;
    audio.dataset.testid = "remote-audio";
    audio.hidden = true;
    document.body.append(audio);
    this.#audio = audio;
    this.#looks = setInterval(() => this.#look(), LOOK_MS);
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#looks);
    this.#hangUp();
    this.#audio?.remove();
    this.#audio = null;
  }

  /** The microphone has a (new) track. */
  useTrack(track: MediaStreamTrack): void {
    this.#track = track;
    const sender = this.#connection?.getSenders()[0];
    if (sender !== undefined) void sender.replaceTrack(track);
    else this.#consider();
  }

  /** Whether the microphone works. Without one nothing must be offered, so that there is no softphone; a call that goes on has it. */
  microphoneWorks(works: boolean): void {
    if (works === this.#usable) return;
    this.#usable = works;
    if (works) this.#consider();
    else this.#retire();
  }

  #retire(): void {
    if (this.#usable || this.#call !== "none" || this.#closed || this.#view.phase === "replaced") return;
    if (this.#connection === null && !this.#trying && this.#view.phase === "waiting") return;
    this.#hangUp();
    this.#wasReady = false;
    this.#set({ phase: "waiting" });
  }

  /** The WebSocket opened or was lost; `moved`: the network under it has changed. */
  linkChanged(open: boolean, moved: boolean): void {
    this.#wordKnown = false;
    this.#linkAt = performance.now();
    if (open && moved && !this.#closed && (this.#trying || this.#connection !== null)) {
      // Between calls nothing arrives that could tell whether this connection has survived.
      if (this.#call === "talking" && !this.#trying) this.suspect();
      else this.#renew();
    }
    // Without the server's word a connection that sounds stays as it is.
    if (this.#connection?.connectionState === "connected") this.#unwatch();
    if (open) this.#consider();
  }

  /** The network may have changed: a call's connection that is silent in the next moment is made anew. */
  suspect(): void {
    if (this.#call !== "talking" || this.#trying || this.#connection === null) return;
    if (this.#survival === undefined) this.#survive(this.#turn, this.#arrivals.last(), SURVIVALS);
  }

  #survive(turn: number, before: number, times: number): void {
    this.#survival = setTimeout(() => {
      this.#survival = undefined;
      const last = this.#arrivals.last();
      if (turn !== this.#turn) return;
      if (last === before) this.#renew();
      else if (times > 1) this.#survive(turn, last, times - 1);
    }, SURVIVAL_MS);
  }

  /**
   * The page slept. Its connection may live, but the browser would now play what has come meanwhile, and what is said after
   * that as late as that takes.
   */
  woke(): void {
    if (this.#call === "talking" && this.#connection !== null) this.#renew();
  }

  /** The server's word about this page's softphone, and about its call, from each snapshot. */
  heard(word: ServerSoftphone, call: Call): void {
    this.#call = call;
    this.#retire();
    const news = word !== this.#word || !this.#wordKnown;
    this.#word = word;
    this.#wordKnown = true;
    // While we offer, a word may still be about the connection before.
    if (this.#closed || this.#trying) return;
    if (word === "replaced" && (this.#connection !== null || this.#wasReady)) {
      this.#replaced();
      return;
    }
    if (news && this.#connection?.connectionState === "connected") this.#unwatch();
    this.#judge();
    this.#consider();
  }

  /** Take the softphone back from another page. */
  takeOver(): void {
    this.#wasReady = false;
    this.#failures = 0;
    this.#set({ phase: "connecting" });
    this.#consider();
  }

  /** The user's click that a browser waits for before it plays sound. */
  play(): void {
    this.#audio?.play().then(
      () => this.#set({ blocked: false }),
      () => this.#set({ blocked: true }),
    );
  }

  /** Offer a softphone if one is missing and everything that it needs is there. */
  #consider(): void {
    if (this.#closed || this.#view.phase === "replaced" || this.#trying || this.#connection !== null) return;
    if (this.#track === null || (!this.#usable && this.#call === "none")) return;
    if (this.link.state !== "open" || this.#redial !== undefined) return;
    this.#redial = setTimeout(
      () => {
        this.#redial = undefined;
        void this.#try();
      },
      this.#wasReady && this.#word === "ready"
        ? Math.max(REPLACED_MS, redialDelay(this.#failures))
        : redialDelay(this.#failures),
    );
  }

  async #try(): Promise<void> {
    if (this.#closed || this.#connection !== null || this.#track === null || this.link.state !== "open") return;
    this.#turn += 1;
    const turn = this.#turn;
    this.#trying = true;
    this.#failures += 1;
    this.#set({ phase: this.#wasReady ? "lost" : "connecting" });
    try {
      await this.#dial(turn, this.#track);
      if (turn !== this.#turn) return;
      this.#trying = false;
      this.#answeredAt = performance.now();
      this.#set({ problem: "" });
      this.#judge();
      if (this.#view.phase !== "ready") this.#expect(CONNECT_MS);
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#set({ problem: error instanceof Error ? error.message : String(error) });
      this.#lost(turn);
    }
  }

  /** One offer and its answer, without trickling. */
  async #dial(turn: number, track: MediaStreamTrack): Promise<void> {
    const iceServers = await this.#iceServers();
    if (turn !== this.#turn) return;
    const connection = new RTCPeerConnection({ iceServers });
    this.#connection = connection;
    this.#arrivals.watch(connection);
    connection.ontrack = (event) => this.#remote(event.streams[0] ?? new MediaStream([event.track]));
    connection.onconnectionstatechange = () => this.#connectionChanged(turn, connection);
    // The microphone may have been changed while we asked for the servers.
    connection.addTransceiver(this.#track ?? track, { direction: "sendrecv" });
    await connection.setLocalDescription();
    await gathered(connection, iceServers.length > 0);
    if (turn !== this.#turn) return;
    const answer = await this.link.request("softphone", { sdp: connection.localDescription?.sdp ?? "" });
    if (turn !== this.#turn) return;
    if (typeof answer.sdp !== "string") throw new Error("The exchange's answer has no session description.");
    await connection.setRemoteDescription({ type: "answer", sdp: answer.sdp });
  }

  /** What the server told a while ago is good enough: who has to come back is in a hurry. */
  async #iceServers(): Promise<IceServers["ice_servers"]> {
    const known = this.#ice;
    // After a failure they are asked for again: perhaps it was theirs.
    if (known !== null && this.#failures <= 1 && performance.now() - known.at < ICE_SERVERS_MS) return known.servers;
    const at = performance.now();
    const { ice_servers: servers } = await get<IceServers>("/api/v1/ice");
    this.#ice = { servers, at };
    return servers;
  }

  #connectionChanged(turn: number, connection: RTCPeerConnection): void {
    if (turn !== this.#turn) return;
    switch (connection.connectionState) {
      case "connected":
        this.#unwatch();
        this.#judge();
        break;
      case "disconnected":
        this.#unwatch();
        this.#set({ phase: "lost" });
        this.#expect(DISCONNECTED_MS);
        this.#doubt();
        break;
      case "failed":
      case "closed":
        this.#lost(turn);
        break;
      default:
        this.#expect(CONNECT_MS);
    }
  }

  /** Compare what the connection says with what the server says of it. */
  #judge(): void {
    if (this.#trying || !this.#wordKnown || this.#connection?.connectionState !== "connected") return;
    if (this.#word === "ready") {
      this.#unwatch();
      this.#failures = 0;
      this.#wasReady = true;
      this.#set({ phase: "ready" });
      return;
    }
    if (this.#view.phase === "ready") this.#set({ phase: "lost" });
    const now = performance.now();
    this.#expect(patience(this.#word, now - this.#answeredAt, now - this.#linkAt) ?? CONNECT_MS);
  }

  /** Give the connection so much time to become ready, unless a limit is set already. */
  #expect(ms: number): void {
    if (this.#watch !== undefined) return;
    this.#watchedAt = performance.now();
    this.#expire(ms, this.#turn);
  }

  #expire(ms: number, turn: number): void {
    this.#watch = setTimeout(() => {
      this.#watch = undefined;
      const now = performance.now();
      const sounds = this.#connection?.connectionState === "connected" && now - this.#arrivals.last() < SILENCE_MS;
      if (sounds && this.#word === "lost" && now - this.#watchedAt < HEARD_AGAIN_MS) this.#expire(LOOK_MS, turn);
      else this.#lost(turn);
    }, ms);
  }

  /** While a call is on sound arrives all the time. */
  #look(): void {
    const last = this.#arrivals.last();
    if (this.#call !== "talking" || this.#view.phase !== "ready") return;
    if (performance.now() - Math.max(last, this.#answeredAt) > SILENCE_MS) this.#doubt();
  }

  #doubt(): void {
    const now = performance.now();
    if (now - this.#doubtedAt < DOUBT_EVERY_MS) return;
    this.#doubtedAt = now;
    this.onDoubt();
  }

  /** This connection is of no use any more: another one, at once. */
  #renew(): void {
    this.#word = this.#word === "replaced" ? "replaced" : "lost";
    this.#failures = 0;
    this.#lost(this.#turn);
  }

  #unwatch(): void {
    clearTimeout(this.#watch);
    this.#watch = undefined;
  }

  /** Drop this connection and offer a new one, unless another page has it now. */
  #lost(turn: number): void {
    if (turn !== this.#turn || this.#closed) return;
    if (this.#word === "replaced") {
      this.#replaced();
      return;
    }
    this.#hangUp();
    if (this.#wasReady) this.#set({ phase: "lost" });
    this.#consider();
  }

  #replaced(): void {
    this.#hangUp();
    this.#set({ phase: "replaced" });
  }

  #hangUp(): void {
    this.#turn += 1;
    this.#trying = false;
    this.#unwatch();
    clearTimeout(this.#survival);
    this.#survival = undefined;
    clearTimeout(this.#redial);
    this.#redial = undefined;
    const connection = this.#connection;
    this.#connection = null;
    this.#arrivals.watch(null);
    if (connection !== null) {
      connection.ontrack = connection.onconnectionstatechange = null;
      connection.close();
    }
    this.meter.watch(null);
    if (this.#audio !== null) this.#audio.srcObject = null;
  }

  #remote(stream: MediaStream): void {
    if (this.#audio === null) return;
    this.#audio.srcObject = stream;
    this.meter.watch(stream);
    this.#audio.play().then(
      () => this.#set({ blocked: false }),
      (error: unknown) => {
        // AbortError only says that a newer stream took this one's place.
        if (error instanceof DOMException && error.name === "NotAllowedError") this.#set({ blocked: true });
      },
    );
  }

  #set(change: Partial<SoftphoneView>): void {
    this.#view = { ...this.#view, ...change };
    this.onChange();
  }
}
