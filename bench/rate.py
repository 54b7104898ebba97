"""How many calls a second: each is answered, queued, connected to an agent for a second, and hung up by the caller.

    python -m bench rate [--seconds 20] [--rates 10,20,40] [--rtp] [--lines 80] [--agents 70]

Without `--rtp` callers and agents send no audio (agents one packet a second, so that they count as there) and nothing is
recorded: what is measured is signalling, flow, routing and the desk. With it both send, and every talk is recorded.
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
from bench.tools.rate import Offered, rate_table, staffed


async def measure(given: argparse.Namespace) -> list[Offered]:
    """All rates, one after the other."""
    found: list[Offered] = []
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        data = Path(folder) / "data"
        note("seeding")
        await seed(data, given.agents)
        environment = {} if given.rtp else {"SWITCHROOM_RECORDINGS": "false"}
        async with running(data, lines=given.lines, rate=8000, environment=environment) as system, floor(system) as at:
            note("agents")
            async with staffed(at, given.agents, quiet=not given.rtp) as made:
                for rate in given.rates:
                    note(f"{rate:g} calls a second")
                    found.append(await made.offer(rate, given.seconds, quiet=not given.rtp))
                    note(str(found[-1].row()))
                    await made.settled()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rates", type=lambda text: [float(word) for word in text.split(",")], default=[10.0, 20.0, 40.0])
    parser.add_argument("--rtp", action="store_true")
    parser.add_argument("--lines", type=int, default=80)
    parser.add_argument("--agents", type=int, default=70)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    runs = uvloop.run(measure(given))
    say(rate_table(runs))
    sys.exit(0)


if __name__ == "__main__":
    main()
