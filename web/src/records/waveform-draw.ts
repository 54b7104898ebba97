/** The two channels' loudness as bars on a canvas: customer above, agent below, paused time shaded. */

import type { Gap, RecordingDetail } from "../api/types";

export interface Colours {
  left: string;
  right: string;
  gap: string;
  cursor: string;
}

const BAR = 2;
const STEP = 3;
/** A bar that has been played is drawn in full, the rest of it so faint. */
const UNPLAYED = 0.45;

/**
 * The loudest peak under each of `columns` equal parts of `seconds`; parts beyond the peaks are 0.
 */
export function columnPeaks(peaks: ArrayLike<number>, perSecond: number, seconds: number, columns: number): number[] {
  const result = new Array<number>(columns).fill(0);
  if (seconds <= 0 || perSecond <= 0) return result;
  const span = (seconds * perSecond) / columns;
  for (let column = 0; column < columns; column += 1) {
    const first = Math.floor(column * span);
    const last = Math.min(peaks.length, Math.max(first + 1, Math.floor((column + 1) * span)));
    let top = 0;
    for (let i = first; i < last; i += 1) top = Math.max(top, peaks[i] ?? 0);
    result[column] = Math.min(100, top);
  }
  return result;
}

/** Where a click at `x` of `width` is in the recording, in seconds. */
export function secondsAt(x: number, width: number, seconds: number): number {
  if (width <= 0) return 0;
  return Math.min(1, Math.max(0, x / width)) * seconds;
}

/** The paused stretch that holds this second, if one does. */
export function gapAt(paused: Gap[], second: number): Gap | undefined {
  return paused.find((gap) => second >= gap.start && second < gap.end);
}

export function drawWaveform(
  context: CanvasRenderingContext2D,
  width: number,
  height: number,
  recording: RecordingDetail,
  position: number,
  colours: Colours,
): void {
  const { seconds, paused, peaks_left: left, peaks_right: right, peaks_per_second: rate } = recording;
  context.clearRect(0, 0, width, height);
  const scale = seconds > 0 ? width / seconds : 0;
  context.fillStyle = colours.gap;
  for (const gap of paused) context.fillRect(gap.start * scale, 0, Math.max(1, (gap.end - gap.start) * scale), height);

  const columns = Math.max(1, Math.floor(width / STEP));
  const half = height / 2;
  const played = position * scale;
  const draw = (peaks: number[], colour: string, middle: number) => {
    context.fillStyle = colour;
    columnPeaks(peaks, rate, seconds, columns).forEach((peak, column) => {
      const x = column * STEP;
      const bar = Math.max(1, (peak / 100) * (half - 10));
      context.globalAlpha = x <= played ? 1 : UNPLAYED;
      context.fillRect(x, middle - bar / 2, BAR, bar);
    });
    context.globalAlpha = 1;
  };
  draw(left, colours.left, half / 2);
  draw(right, colours.right, half + half / 2);
  context.fillStyle = colours.cursor;
  context.fillRect(Math.min(width - 2, Math.max(0, played - 1)), 0, 2, height);
}
