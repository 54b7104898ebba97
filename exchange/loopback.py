"""`switchroom loopback SCRIPT`: customers who chat by a script, against a running exchange, over the public interface."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

from api.client import RemoteContacts
from api.errors import ApiError
from channels.loopback.channel import Loopback, Visit
from channels.loopback.script import Script, ScriptError, parse

REFUSED, UNREACHABLE, USAGE = 1, 2, 2


def main(arguments: list[str]) -> int:
    """Parse the command line and run; the exit code."""
    flags = _parser().parse_args(arguments)
    try:
        script = parse(flags.script.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ScriptError) as error:
        print(f"switchroom: {flags.script}: {error}", file=sys.stderr)
        return USAGE
    return asyncio.run(_run(flags, script))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="switchroom loopback", description="Customers who chat by a script.")
    parser.add_argument("script", type=Path, help="YAML, see docs/channels.md")
    parser.add_argument("--server", default="http://127.0.0.1:8080", metavar="URL", help="default %(default)s")
    parser.add_argument(
        "--user", default="supervisor", help="who creates the contacts: a supervisor or admin; default %(default)s"
    )
    parser.add_argument("--password", required=True)
    parser.add_argument("--customers", type=int, default=1, metavar="N", help="default %(default)s")
    parser.add_argument(
        "--every", type=float, default=0.0, metavar="S", help="seconds between two customers; default %(default)s"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--no-verify", action="store_true", help="take any certificate")
    return parser


async def _run(flags: argparse.Namespace, script: Script) -> int:
    def report(event: str, fields: dict[str, Any]) -> None:
        found = {"event": event, "t": round(time.monotonic(), 4), **fields}
        words = " ".join(f"{name}={value}" for name, value in fields.items() if value not in (None, ""))
        print(json.dumps(found) if flags.json else f"{event:<12} {words}", flush=True)

    visits: list[Visit] = []
    code = 0
    try:
        async with RemoteContacts(flags.server, verify=not flags.no_verify) as contacts:
            user = await contacts.log_in(flags.user, flags.password)
            running = asyncio.ensure_future(Loopback(contacts, user, script, report).run(flags.customers, flags.every))
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, running.cancel)
            visits = await running
    except* ApiError as errors:
        first = _first(errors)
        report("error", {"code": first.code, "message": first.message})
        code = UNREACHABLE if first.code == "unreachable" else REFUSED
    except* asyncio.CancelledError:
        code = REFUSED
    finals: dict[str, int] = {}
    for visit in visits:
        finals[visit.final] = finals.get(visit.final, 0) + 1
    report("summary", {"customers": len(visits), "finals": finals, "exit": code})
    return code


def _first(errors: BaseExceptionGroup[ApiError]) -> ApiError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, ApiError)  # noqa: S101  the group holds nothing else
    return error
