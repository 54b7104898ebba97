/** A bar that moves with what a microphone hears. */

import { useEffect, useRef } from "react";
import type { Meter } from "./audio";

/** -60 dBFS and below is an empty bar, 0 dBFS a full one. */
const FLOOR_DB = -60;
const HEARD_DB = -45;
const FALL = 0.03;

interface LevelBarProps {
  meter: Meter;
  /** Called at each frame in which the meter hears more than a quiet room. */
  onHeard?: () => void;
}

export function LevelBar({ meter, onHeard }: LevelBarProps) {
  const bar = useRef<HTMLDivElement>(null);
  const heard = useRef(onHeard);
  useEffect(() => {
    heard.current = onHeard;
  });
  useEffect(() => {
    let frame = 0;
    let shown = 0;
    const draw = () => {
      const level = meter.level();
      const wanted = Math.min(1, Math.max(0, 1 - level / FLOOR_DB));
      shown = Math.max(wanted, shown - FALL);
      if (bar.current !== null) bar.current.style.clipPath = `inset(0 ${(100 * (1 - shown)).toFixed(1)}% 0 0)`;
      if (level > HEARD_DB) heard.current?.();
      frame = requestAnimationFrame(draw);
    };
    frame = requestAnimationFrame(draw);
    return () => cancelAnimationFrame(frame);
  }, [meter]);
  return (
    <div className="meter" data-testid="microphone-level" aria-hidden>
      <div className="meter-bar" ref={bar} />
    </div>
  );
}
