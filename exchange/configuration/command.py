"""What `switchroom config` does: reads files, asks the running exchange, prints sentences."""

from __future__ import annotations

import asyncio
import getpass
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from acd import document
from acd.errors import BadDocument, Problem
from exchange.brain.messages import ConfigApply, ConfigExport, ConfigInForce, ConfigPlan, ConfigPlanned
from exchange.configuration import changes, text
from exchange.configuration.keeper import check
from exchange.configuration.text import Lines
from exchange.rundir import run_directory
from exchange.supervisor import ask
from media.control.envelope import ControlError, FrameError

T = TypeVar("T")

SECONDS = 120.0
"""How long an answer may take: 10,000 agents are checked and taken in a few."""

NOTHING_RUNS = "No exchange runs on {data}: start it with 'switchroom serve', then say this again."


class CommandError(Exception):
    """Something that cannot be done, in a sentence."""


def read(file: Path) -> tuple[Any, Lines]:
    """Plain data and lines of a file that can be read as a document; raises CommandError, BadDocument."""
    parsed, lines = text.parse(_text(file))
    return document.plain(parsed), lines


def _text(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CommandError(f"{file} is not text in UTF-8: {error.reason} at byte {error.start}.") from error
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from error


def export(data: Path) -> str:
    """The document in force as YAML."""
    return text.write(document.parse(_ask(data, ConfigExport(), ConfigInForce).data))


def plan(data: Path, wanted: Any) -> ConfigPlanned:
    """What a document would change."""
    return _ask(data, ConfigPlan(wanted), ConfigPlanned)


def apply(data: Path, wanted: Any) -> ConfigPlanned:
    """Take a document."""
    return _ask(data, ConfigApply(wanted, f"cli:{getpass.getuser()}"), ConfigPlanned)


def checked(file: Path) -> list[Problem]:
    """What is to be said of a file without asking an exchange; its flows may be any."""
    parsed, lines = text.parse(_text(file))
    return [text.located(problem, lines) for problem in check(parsed, None)]


def report(planned: ConfigPlanned, lines: Lines) -> Iterator[str]:
    """A plan as a person reads it."""
    yield from changes.lines(planned.changes)
    for problem in planned.problems:
        found = text.located(problem, lines)
        yield f"{'error' if found.blocks else 'warning'}: {found}"
    counts = {what: sum(change.what == what for change in planned.changes) for what in ("added", "changed", "removed")}
    if planned.changes:
        yield ", ".join(f"{count} {what}" for what, count in counts.items()) + "."
    elif not planned.refused:
        yield "Nothing changes."


def blocked(planned: ConfigPlanned) -> bool:
    """Whether the document cannot be taken, or not now."""
    return bool(planned.refused or any(p.blocks for p in planned.problems) or any(change.refused for change in planned.changes))


def problems(error: BadDocument) -> Iterator[str]:
    """The sentences of a document that cannot be read."""
    yield from (f"error: {problem}" for problem in error.problems)


def _ask(data: Path, command: Any, reply: type[T]) -> T:
    path = run_directory(data) / "exchange.ctl"
    try:
        return asyncio.run(ask.ask(path, command, reply, timeout=SECONDS))
    except FrameError as error:
        raise CommandError("The document is too big for one message of 4 MiB: leave out what is not needed.") from error
    except ControlError as error:
        message = NOTHING_RUNS.format(data=data) if error.code == "card-gone" else error.message
        raise CommandError(message) from error
