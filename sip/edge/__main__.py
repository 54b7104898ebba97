"""`python -m sip.edge`: the edge process."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

import structlog
import uvloop

from media.control import logs
from sip.edge.certificate import CertificateError
from sip.edge.server import Edge
from sip.edge.settings import LOOPBACK, Settings
from sip.edge.sources import network
from sip.uri import split_host_port

log = structlog.get_logger()


def read_settings(arguments: list[str]) -> Settings:
    """Settings from the command line; leaves with a sentence if it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m sip.edge", description="Switchroom's SIP front door.")
    parser.add_argument("--run", type=Path, required=True, help="the run directory")
    parser.add_argument("--name", default="edge")
    parser.add_argument("--sip", type=split_host_port, action="append", metavar="HOST:PORT", help="public UDP and TCP socket")
    parser.add_argument("--sips", type=split_host_port, action="append", metavar="HOST:PORT", help="public TLS socket")
    parser.add_argument("--certificate", type=Path, metavar="FILE", help="what TLS shows (PEM, with its chain)")
    parser.add_argument("--key", type=Path, metavar="FILE", help="its key (PEM)")
    parser.add_argument("--flood", type=float, default=Settings.flood, metavar="N", help="new calls a second from one source")
    parser.add_argument("--public", default="", metavar="ADDRESS", help="what SIP says of us behind NAT")
    parser.add_argument(
        "--allow", type=network, nargs="+", action="extend", default=[], metavar="CIDR", help="sources to serve"
    )
    parser.add_argument(
        "--dns",
        type=lambda text: split_host_port(text, 53),
        action="append",
        metavar="HOST[:PORT]",
        help="a DNS server to ask instead of the system's",
    )
    found = parser.parse_args(arguments)
    return Settings(
        run=found.run,
        name=found.name,
        sip=tuple(found.sip or [("127.0.0.1", 5060)]),
        sips=tuple(found.sips or ()),
        certificate=found.certificate,
        key=found.key,
        flood=found.flood,
        public=found.public,
        allow=(*LOOPBACK, *found.allow),
        dns=tuple(found.dns or ()),
    )


async def serve(settings: Settings) -> int:
    """Run the edge; returns the exit code."""
    try:
        edge = Edge(settings)
    except CertificateError as error:
        log.error("edge has no certificate for TLS", error=str(error))
        return 1
    except OSError as error:
        log.error(
            "edge cannot have its sockets", sip=[f"{h}:{p}" for h, p in (*settings.sip, *settings.sips)], error=str(error)
        )
        return 1
    loop = asyncio.get_running_loop()
    asked = 0

    def terminate() -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            edge.drain()
        else:
            edge.stop()

    loop.add_signal_handler(signal.SIGTERM, terminate)
    loop.add_signal_handler(signal.SIGINT, edge.stop)
    await edge.run()
    return 0


def main() -> None:
    logs.configure_child()
    settings = read_settings(sys.argv[1:])
    log.info("edge starts", run=str(settings.run), sip=[f"{h}:{p}" for h, p in settings.sip])
    sys.exit(uvloop.run(serve(settings)))


if __name__ == "__main__":
    main()
