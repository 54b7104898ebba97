"""How long the garbage collector holds the exchange up on a big floor: as Python comes, and by exchange/brain/garbage.py.

    python -m bench.pauses [--events N] [--json]

10,000 agents, 50,000 contacts waiting, the records of a busy day, with what the exchange makes of each (log row, effects). One
of our rounds comes after every 100 records. Pauses are the thread's own time: other processes on the machine do not count.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections import deque
from typing import Any

import exchange.brain.process  # noqa: F401  all that lives in the real process, too
from bench.tools.busy import BusyHouse
from exchange.brain import logged, records
from exchange.brain.garbage import Garbage, put_off

ROUND = 100


class Pauses:
    """What the collector takes, by generation."""

    def __init__(self) -> None:
        self.seconds: dict[int, list[float]] = {}
        self._began = 0.0

    def note(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._began = time.thread_time()
        else:
            self.seconds.setdefault(info["generation"], []).append(time.thread_time() - self._began)


def day(floor: BusyHouse, events: int, garbage: Garbage | None) -> float:
    """So many records; the seconds of computing they took."""
    kept: deque[Any] = deque(maxlen=2_000)
    begun, done = time.process_time(), 0
    while done < events:
        floor.step()
        for record, outcome in floor.log:
            kept.append((records.encode(record), logged.encode(outcome.decided), outcome))
        before, done = done, done + len(floor.log)
        floor.log.clear()
        if garbage is not None and before // ROUND != done // ROUND:
            garbage.round()
    return time.process_time() - begun


def main() -> None:
    """Print one line for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with put_off():
        floor = BusyHouse()
    gc.unfreeze()
    for way in ("as Python comes", "ours"):
        gc.collect()
        pauses = Pauses()
        if way == "ours":
            with Garbage(lambda: 0) as garbage:
                gc.callbacks.append(pauses.note)
                seconds = day(floor, options.events, garbage)
                gc.callbacks.remove(pauses.note)
        else:
            gc.callbacks.append(pauses.note)
            seconds = day(floor, options.events, None)
            gc.callbacks.remove(pauses.note)
        taken = [pause for found in pauses.seconds.values() for pause in found]
        point = {
            "way": way,
            "pauses": len(taken),
            "longest_ms": round(max(taken) * 1000, 1),
            "mean_ms": round(sum(taken) / len(taken) * 1000, 2),
            "share": round(sum(taken) / seconds, 3),
        }
        told = f"{way}: {point['pauses']} pauses, the longest {point['longest_ms']} ms, mean {point['mean_ms']} ms"
        print(json.dumps(point) if options.json else f"{told}, {point['share']:.1%} of the time", flush=True)


if __name__ == "__main__":
    main()
