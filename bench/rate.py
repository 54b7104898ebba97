"""How many calls a second: each is answered, queued, connected to an agent for a second, and hung up by the caller.

    python -m bench rate [--seconds 20] [--rates 10,20,40] [--search] [--rtp] [--lines 80] [--agents 70]

Without any of `--rates`, `--search` and `--rtp` it offers 10, 20 and 40 a second without audio and searches, then searches with
audio.
Without `--rtp` callers and agents send no audio (agents one packet a second, so that they count as there) and nothing is
recorded: what is measured is signalling, flow, routing and the desk. With it both send, and every talk is recorded. `--search`
looks for the highest rate of which at most 1 % fail or are refused, then offers twice that: at least 80 % of it must still be
completed, and the rest be refused at once. Exit code 1: it was not, or a rate of `--rates` failed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import structlog
import uvloop

from bench.calls import note, say
from bench.tools.house import running, seed
from bench.tools.load import floor
from bench.tools.rate import Exchange, Offered, rate_table, staffed

FIRST = 8.0
STEP = 1.5
NARROWINGS = 3
MOST_LOST = 0.01
LEAST_KEPT = 0.8
"""Share of its limit that a system completes when it is offered twice as much."""


class Runs:
    """What was offered so far."""

    def __init__(self, made: Exchange, seconds: float, *, rtp: bool) -> None:
        self.done: list[Offered] = []
        self._made = made
        self._seconds = seconds
        self._rtp = rtp

    async def offer(self, rate: float) -> Offered:
        """So many calls a second; every agent is free again after."""
        note(f"{rate:g} calls a second")
        run = await self._made.offer(rate, self._seconds, quiet=not self._rtp)
        self.done.append(run)
        note(" | ".join(run.row()))
        await self._made.settled()
        return run

    async def search(self) -> bool:
        """Find the limit and offer twice that; whether what must hold then does."""
        good, bad = 0.0, FIRST
        while _carried(await self.offer(bad)):
            good, bad = bad, bad * STEP
        for _ in range(NARROWINGS):
            middle = round((good + bad) / 2, 1)
            if _carried(await self.offer(middle)):
                good = middle
            else:
                bad = middle
        over = await self.offer(2 * good)
        kept = over.throughput / good
        say(
            f"Limit: {good:g} calls a second. Offered twice that, it completed {over.throughput:.1f} a second, {kept:.0%} of"
            f" the limit, and refused {over.refused} of {over.calls} by 503.\n"
        )
        return kept >= LEAST_KEPT and over.lost <= MOST_LOST


def _carried(run: Offered) -> bool:
    return run.completed >= (1 - MOST_LOST) * run.calls


async def measure(given: argparse.Namespace) -> bool:
    """All rates, one after the other; whether they are as they must be."""
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        data = Path(folder) / "data"
        note("seeding")
        await seed(data, given.agents)
        environment = {} if given.rtp else {"SWITCHROOM_RECORDINGS": "false"}
        async with running(data, lines=given.lines, rate=8000, environment=environment) as system, floor(system) as at:
            note("agents")
            async with staffed(at, given.agents, quiet=not given.rtp) as made:
                runs = Runs(made, given.seconds, rtp=given.rtp)
                for rate in given.rates:
                    await runs.offer(rate)
                good = all(run.lost <= MOST_LOST for run in runs.done)
                if given.search:
                    good &= await runs.search()
    say(rate_table(runs.done))
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rates", type=lambda text: [float(word) for word in text.split(",")], default=[])
    parser.add_argument("--search", action="store_true")
    parser.add_argument("--rtp", action="store_true")
    parser.add_argument("--lines", type=int, default=80)
    parser.add_argument("--agents", type=int, default=70)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    wanted = [given]
    if not (given.rates or given.search or given.rtp):
        without = {"rates": [10.0, 20.0, 40.0], "search": True, "rtp": False}
        wanted = [argparse.Namespace(**{**vars(given), **more}) for more in (without, {"search": True, "rtp": True})]
    good = True
    for one in wanted:
        say(f"#### {'With audio both ways, recorded' if one.rtp else 'Without audio'}\n")
        good &= uvloop.run(measure(one))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
