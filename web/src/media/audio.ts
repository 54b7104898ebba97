/** What the page does with sound besides the call itself: one audio context, levels, a tone finder, the ring tone. */

let shared: AudioContext | null = null;

/** The page's audio context; browsers let it run once the user has touched the page or the microphone is on. */
export function audioContext(): AudioContext {
  if (shared === null) {
    const context = new AudioContext();
    shared = context;
    const wake = () => {
      if (context.state === "suspended") void context.resume();
    };
    for (const event of ["pointerdown", "keydown"]) window.addEventListener(event, wake, { passive: true });
  }
  return shared;
}

/** Root mean square of samples in dB below full scale, -100 for silence. */
export function decibels(samples: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < samples.length; i += 1) sum += (samples[i] ?? 0) ** 2;
  const rms = Math.sqrt(sum / Math.max(1, samples.length));
  return rms > 1e-5 ? 20 * Math.log10(rms) : -100;
}

/** Frequency of the strongest bin in Hz, refined by a parabola through its neighbours; 0 below `floor` dB. */
export function strongest(bins: ArrayLike<number>, binWidth: number, floor = -80): number {
  let best = 1;
  for (let i = 2; i < bins.length - 1; i += 1) if ((bins[i] ?? -200) > (bins[best] ?? -200)) best = i;
  const peak = bins[best] ?? -200;
  if (!(peak > floor)) return 0;
  const left = Math.max(-200, bins[best - 1] ?? -200);
  const right = Math.max(-200, bins[best + 1] ?? -200);
  const curve = left - 2 * peak + right;
  const shift = curve < 0 ? (0.5 * (left - right)) / curve : 0;
  return (best + shift) * binWidth;
}

/** Measures a stream: its level now, and its strongest tone over the last 0.7 s. */
export class Meter {
  #source: MediaStreamAudioSourceNode | null = null;
  #level: AnalyserNode | null = null;
  #tone: AnalyserNode | null = null;
  #samples = new Float32Array(2048);
  #bins = new Float32Array(0);

  constructor(private readonly tones = false) {}

  watch(stream: MediaStream | null): void {
    this.#source?.disconnect();
    this.#source = null;
    if (stream === null || stream.getAudioTracks().length === 0) return;
    const context = audioContext();
    this.#level ??= new AnalyserNode(context, { fftSize: 2048, smoothingTimeConstant: 0 });
    this.#source = new MediaStreamAudioSourceNode(context, { mediaStream: stream });
    this.#source.connect(this.#level);
    if (!this.tones) return;
    this.#tone ??= new AnalyserNode(context, { fftSize: 32768, smoothingTimeConstant: 0, minDecibels: -120 });
    this.#source.connect(this.#tone);
  }

  /** dBFS, -100 for silence or nothing to measure. */
  level(): number {
    if (this.#source === null || this.#level === null) return -100;
    this.#level.getFloatTimeDomainData(this.#samples);
    return decibels(this.#samples);
  }

  /** Hz of the strongest tone, 0 for silence. */
  tone(): number {
    if (this.#source === null || this.#tone === null) return 0;
    if (this.#bins.length === 0) this.#bins = new Float32Array(this.#tone.frequencyBinCount);
    this.#tone.getFloatFrequencyData(this.#bins);
    return strongest(this.#bins, this.#tone.context.sampleRate / this.#tone.fftSize);
  }
}

const RING_EVERY_MS = 2_400;

/** Two soft bursts every 2.4 s, while an offer is out. */
export class Ring {
  #timer: ReturnType<typeof setInterval> | undefined;
  #gain: GainNode | null = null;

  start(): void {
    if (this.#timer !== undefined) return;
    const context = audioContext();
    this.#gain = new GainNode(context, { gain: 0.16 });
    this.#gain.connect(context.destination);
    this.#burst();
    this.#timer = setInterval(() => this.#burst(), RING_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#gain?.disconnect();
    this.#gain = null;
  }

  #burst(): void {
    const gain = this.#gain;
    if (gain === null) return;
    if (gain.context.state !== "running") {
      void audioContext().resume();
      return;
    }
    const now = gain.context.currentTime + 0.02;
    for (const offset of [0, 0.5]) {
      const envelope = new GainNode(gain.context, { gain: 0 });
      envelope.gain.setValueAtTime(0, now + offset);
      envelope.gain.linearRampToValueAtTime(1, now + offset + 0.03);
      envelope.gain.setValueAtTime(1, now + offset + 0.32);
      envelope.gain.linearRampToValueAtTime(0, now + offset + 0.4);
      envelope.connect(gain);
      for (const frequency of [523.25, 659.25]) {
        const tone = new OscillatorNode(gain.context, { frequency });
        tone.connect(envelope);
        tone.start(now + offset);
        tone.stop(now + offset + 0.42);
      }
    }
  }
}
