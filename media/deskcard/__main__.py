"""`python -m media.deskcard`: one desk card, started by the supervisor."""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path

import structlog
import uvloop

from media.control import logs
from media.deskcard.card import CardSettings, DeskCard
from media.patch import RATES

log = structlog.get_logger()


def main() -> None:
    """Run until told to leave: SIGTERM drains, a second one or SIGINT stops at once."""
    parser = argparse.ArgumentParser(prog="python -m media.deskcard", description="WebRTC connections of agents")
    parser.add_argument("--run", type=Path, required=True, help="the run directory")
    parser.add_argument("--name", default="deskcard0", help="the card's name")
    parser.add_argument("--rate", type=int, default=16000, choices=sorted(RATES), help="samples a second of the bridges")
    parser.add_argument("--public", default="", help="the address that ICE announces")
    parser.add_argument("--rtp", type=port_range, default=None, metavar="FIRST-LAST", help="UDP ports for media")
    given = parser.parse_args()
    logs.configure_child()
    uvloop.run(_run(CardSettings(given.run, given.name, given.public, given.rtp)))


def port_range(text: str) -> range:
    """`FIRST-LAST` as a range; raises ValueError."""
    first, dash, last = text.partition("-")
    ports = range(int(first), int(last if dash else first) + 1)
    if not 0 < ports.start < ports.stop <= 65536:
        raise ValueError(f"{text} is not a range of ports")
    return ports


async def _run(settings: CardSettings) -> None:
    loop = asyncio.get_running_loop()
    async with DeskCard(settings) as card:
        draining = False

        def terminate() -> None:
            nonlocal draining
            if draining:
                card.leaving.set()
            else:
                draining = True
                card.drain()

        loop.add_signal_handler(signal.SIGTERM, terminate)
        loop.add_signal_handler(signal.SIGINT, card.leaving.set)
        log.info("desk card ready", card=settings.name, run=str(settings.run), public=settings.public)
        await card.leaving.wait()
        log.info("desk card leaves", card=settings.name)


if __name__ == "__main__":
    main()
