"""`python -m sip.linecard`: one line card."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sip.linecard.process import run_card
from sip.linecard.settings import CardSettings


def parse(arguments: Sequence[str]) -> CardSettings:
    """The card's settings from its command line; leaves with a message when they are wrong."""
    parser = argparse.ArgumentParser(prog="sip.linecard", description="One line card: SIP legs and a conference bridge.")
    parser.add_argument("--run", type=Path, required=True, help="run directory: control socket, dialog files, patches")
    parser.add_argument("--name", required=True, help="the card's name, such as linecard0")
    parser.add_argument("--rate", type=int, choices=(8000, 16000), default=16000, help="samples a second of the bridge")
    parser.add_argument("--rtp", type=_ports, default=(0, 0), metavar="FIRST-LAST", help="UDP ports for RTP and RTCP")
    parser.add_argument("--sip", type=_address, default=("127.0.0.1", 0), metavar="HOST:PORT", help="where to listen")
    parser.add_argument("--proxy", type=_address, metavar="HOST:PORT", help="the edge, where a lease names none")
    parser.add_argument("--public", default="", help="the address that our SDP says")
    parser.add_argument("--lines", type=int, default=0, help="calls at most (0: what the build allows)")
    parser.add_argument("--ring", type=float, default=10.0, help="seconds that a call rings when no exchange claims it")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds without an exchange until waiting callers go")
    parser.add_argument("--pj-log", type=int, default=2, help="pjsua2's log level")
    given = parser.parse_args(arguments)
    return CardSettings(
        run=given.run,
        name=given.name,
        proxy=given.proxy,
        rate=given.rate,
        rtp_first=given.rtp[0],
        rtp_last=given.rtp[1],
        sip=given.sip,
        public=given.public,
        lines=given.lines,
        ring=given.ring,
        patience=given.patience,
        pj_log=given.pj_log,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a card until it is told to leave."""
    return run_card(parse(sys.argv[1:] if arguments is None else arguments))


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def _ports(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    if not (first.isdigit() and last.isdigit()) or not 1024 <= int(first) < int(last) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not FIRST-LAST")
    return int(first), int(last)


if __name__ == "__main__":
    sys.exit(main())
