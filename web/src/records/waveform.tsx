/** The waveform as a slider: click, drag or use the arrow keys to move in the recording. */

import { useComputedColorScheme } from "@mantine/core";
import { type KeyboardEvent, type PointerEvent, useEffect, useRef, useState } from "react";
import type { RecordingDetail } from "../api/types";
import { spoken } from "../ui/format";
import { drawWaveform, gapAt, secondsAt } from "./waveform-draw";

interface WaveformProps {
  recording: RecordingDetail;
  position: number;
  onSeek(seconds: number): void;
  onToggle(): void;
}

const KEY_STEPS: Record<string, number> = {
  ArrowLeft: -5,
  ArrowDown: -5,
  ArrowRight: 5,
  ArrowUp: 5,
  PageDown: -30,
  PageUp: 30,
};

export function Waveform({ recording, position, onSeek, onToggle }: WaveformProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const scheme = useComputedColorScheme("light");

  useEffect(() => {
    const element = canvas.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context || width === 0) return;
    const ratio = window.devicePixelRatio || 1;
    const height = element.clientHeight;
    if (element.width !== Math.round(width * ratio)) element.width = Math.round(width * ratio);
    if (element.height !== Math.round(height * ratio)) element.height = Math.round(height * ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    // Read here, since the values are the colour scheme's.
    const style = getComputedStyle(element);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const cursor = scheme === "dark" ? "#ffffff" : "#1b1f23";
    drawWaveform(context, width, height, recording, position, {
      left: colour("--left"),
      right: colour("--right"),
      gap: colour("--gap"),
      cursor,
    });
  }, [recording, position, width, scheme]);

  const seek = (event: PointerEvent<HTMLCanvasElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    onSeek(secondsAt(event.clientX - box.left, box.width, recording.seconds));
  };

  const keyDown = (event: KeyboardEvent) => {
    const step = KEY_STEPS[event.key];
    if (event.key === " " || event.key === "Enter") onToggle();
    else if (event.key === "Home") onSeek(0);
    else if (event.key === "End") onSeek(recording.seconds);
    else if (step !== undefined) onSeek(Math.min(recording.seconds, Math.max(0, position + step)));
    else return;
    event.preventDefault();
  };

  const paused = gapAt(recording.paused, position) === undefined ? "" : ", recording paused here";
  return (
    <canvas
      ref={canvas}
      className="wave-canvas"
      role="slider"
      tabIndex={0}
      aria-label="Position in the recording"
      aria-valuemin={0}
      aria-valuemax={Math.round(recording.seconds)}
      aria-valuenow={Math.round(position)}
      aria-valuetext={`${spoken(position)} of ${spoken(recording.seconds)}${paused}`}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        seek(event);
      }}
      onPointerMove={(event) => {
        if (event.currentTarget.hasPointerCapture(event.pointerId)) seek(event);
      }}
      onKeyDown={keyDown}
      data-testid="waveform"
    />
  );
}
