"""What whole calls cost, how long they take, and what they leave behind: a real system, SIP callers and WebRTC agents.

    python -m bench calls [--only load,costs,latency,growth] [--quick]

Prints the sections that docs/performance.md shows. It takes about twelve minutes; the machine should have nothing else to do.
Exit code 1: more than 0.5 % of the frames were late or lost, a call failed, or a process kept descriptors or threads.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
import uvloop

from bench.tools.growth import growth
from bench.tools.house import running, seed
from bench.tools.latency import Latencies, answers, conversations
from bench.tools.load import Costs, Floor, costs, costs_section, floor, load
from bench.tools.processes import BENCH, quiet
from bench.tools.rate import staffed

SECTIONS = ("load", "costs", "latency", "growth")
LINES = 64
AGENTS = 20
MOST_LOST = 0.005
WAITING_CALLERS = 10
"""While an agent becomes free again and again."""


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    window: float
    load_window: float
    loads: tuple[tuple[int, int], ...]
    """Talking and waiting at the same time."""
    each: tuple[int, ...]
    offers: int
    answers: int
    conversations: int
    bursts: int
    warm: int
    calls: int
    at_once: int


FULL = Sizes(6.0, 25.0, ((5, 10), (20, 40)), (5, 10, 20), 200, 50, 30, 2, 200, 500, 4)
QUICK = Sizes(4.0, 8.0, ((5, 10),), (4,), 20, 20, 4, 2, 10, 40, 4)


def say(text: str) -> None:
    """To the record, at once."""
    print(text, flush=True)


def note(text: str) -> None:
    """Progress, for whoever waits."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


async def _wideband(at: Floor, wanted: Sequence[str], sizes: Sizes, found: list[Costs]) -> bool:
    """Everything on the default bridge of 16 kHz; whether it is as it must be."""
    good = True
    if "load" in wanted:
        for talking, waiting in sizes.loads:
            note(f"load of {talking} and {waiting}")
            await quiet(at.system.data)
            carried = await load(at, talking=talking, waiting=waiting, seconds=sizes.load_window)
            say(f"#### Load: {talking} talk, {waiting} wait\n\n{carried.section()}\n")
            good &= carried.worst < MOST_LOST
    if "latency" in wanted:
        note("latencies")
        times = Latencies(await answers(at, sizes.answers))
        async with staffed(at, 1, quiet=True) as made:
            times.offers = await made.next_offers(sizes.offers, WAITING_CALLERS)
        for codec in ("PCMU", "opus"):
            await conversations(at, times, codec, calls=sizes.conversations, bursts=sizes.bursts)
        say(f"#### Latencies\n\n{times.section()}\n")
        good &= not times.failed
    if "growth" in wanted:
        note("growth")
        grown = await growth(at, warm=sizes.warm, calls=sizes.calls, at_once=sizes.at_once)
        say(f"#### Growth\n\n{grown.section()}\n")
        good &= not grown.kept() and not grown.failed
    if "costs" in wanted:
        await _costs(at, 16000, sizes, found)
    return good


async def _costs(at: Floor, rate: int, sizes: Sizes, found: list[Costs]) -> None:
    for count in sizes.each:
        note(f"costs of {count} at {rate} Hz")
        found.append(await costs(at, rate=rate, count=count, seconds=sizes.window, prompts=True))


async def measure(wanted: Sequence[str], sizes: Sizes) -> bool:
    """All sections; whether they are as they must be."""
    found: list[Costs] = []
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        data = Path(folder) / "data"
        note("seeding")
        await seed(data, AGENTS)
        async with running(data, lines=LINES) as system, floor(system) as at:
            good = await _wideband(at, wanted, sizes, found)
        if "costs" in wanted:
            async with running(data, lines=LINES, rate=8000) as system, floor(system) as at:
                await _costs(at, 8000, sizes, found)
            generator = max(one.of(BENCH) for each in found for one in each.kinds.values())
            say(f"#### What a call costs\n\n{costs_section(found, generator)}\n")
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, with commas between")
    parser.add_argument("--quick", action="store_true", help="short windows and few samples: to see that it works")
    given = parser.parse_args()
    wanted = given.only.split(",")
    if unknown := set(wanted) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    load_before = os.getloadavg()[0]
    say(
        f"{time.strftime('%Y-%m-%d')}, {len(os.sched_getaffinity(0))} cores ({_processor()}), "
        f"Python {platform.python_version()}; load average before: {load_before:.1f}.\n"
    )
    start = time.monotonic()
    good = uvloop.run(measure(wanted, QUICK if given.quick else FULL))
    note(f"done in {time.monotonic() - start:.0f} s")
    sys.exit(0 if good else 1)


def _processor() -> str:
    for text in Path("/proc/cpuinfo").read_text().splitlines():
        if text.startswith("model name"):
            return text.split(":", 1)[1].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
