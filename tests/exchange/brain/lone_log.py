"""What the log of a lone exchange says, held against what the cards and pages have seen."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, cast

import msgspec

from exchange.brain import configuration, records
from exchange.brain.house import House
from exchange.brain.messages import Standing
from exchange.brain.records import KIND, Input
from exchange.brain.recovery import recover
from exchange.brain.shell import Exchange
from ivr.runner import Runner
from media.control import line
from storage.database import Database
from storage.entries import LogRow, Position
from storage.history import History
from storage.log import EventLog
from storage.queries import Queries
from tests.exchange.brain.lone import LoneExchange


class Book:
    """The whole log, and the house that it gives."""

    def __init__(self, rows: list[LogRow], house: House) -> None:
        self.rows = rows
        self.house = house

    @classmethod
    async def read(cls, dsn: str) -> Book:
        """From the database itself, by no wire."""
        async with Database(dsn) as database:
            history = History(database)
            rows = [row async for row in history.read()]
            house = House(Runner((await configuration.load(Queries(database))).flows), recordings=False)
            await recover(house, cast(EventLog, history))
        return cls(rows, house)

    @property
    def inputs(self) -> list[Input]:
        return [records.decode(row.body).input for row in self.rows if row.kind == KIND]

    @property
    def places(self) -> list[Position]:
        return [row.position for row in self.rows]

    def contact_of(self, call: str) -> str:
        """The contact of a call, which came once."""
        (found,) = [i.contact for i in self.inputs if isinstance(i, records.Arrived) and i.call == call]
        return found

    @property
    def standing(self) -> Standing:
        """Agents, queues and contacts, as the log has them."""
        return msgspec.convert(Exchange(self.house, {}, dict).status(), Standing)

    def check(self, node: LoneExchange, calls: list[str]) -> None:
        """No event is missing or out of its order; every call is there once, and its card was told everything once."""
        for epoch in sorted({place.epoch for place in self.places}):
            offsets = [place.offset for place in self.places if place.epoch == epoch]
            assert offsets == list(range(1, len(offsets) + 1)), f"epoch {epoch}"
        assert self.places == sorted(self.places)
        arrived = [i.call for i in self.inputs if isinstance(i, records.Arrived)]
        assert arrived == calls, "every call, in the order in which they came"
        answered = [c.call for c in node.line.of(line.Answer)]
        assert sorted(answered) == sorted(calls), "answered once"
        for kind in (line.Play, line.Collect, line.OpenPatch):
            told = [msgspec.json.encode(command) for command in node.line.of(kind)]
            assert len(told) == len(set(told)), f"{kind.__name__} twice"


async def switchroom(node: LoneExchange, *words: str) -> tuple[int, str]:
    """A command of the command line, on the database itself."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "exchange.cli", *words, "--data", str(node.data)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=node.environment,
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def replay(node: LoneExchange) -> dict[str, Any]:
    """`switchroom replay`: its report."""
    code, out = await switchroom(node, "replay", "--json")
    report: dict[str, Any] = msgspec.json.decode(out.splitlines()[-1])
    assert (code, report["difference"]) == (0, None), out
    return report
