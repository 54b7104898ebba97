"""An exchange that is killed between log, commit and effect, at every point of that way: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from exchange.brain import records
from exchange.brain.recovery import recover
from storage.database import Database
from storage.log import EventLog
from tests.exchange.brain.story import new_house

pytestmark = [pytest.mark.adversity, pytest.mark.asyncio(loop_scope="session")]

ROUNDS = 24
"""Two for each point."""


async def test_nothing_is_lost_or_done_twice_wherever_it_is_killed(dsn: str, tmp_path: Path) -> None:
    module = "tests.exchange.bookkeeper.killed_exchange"
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", module, dsn, str(tmp_path), str(ROUNDS), "7")
    assert await asyncio.wait_for(process.wait(), 150) == 0
    out = (tmp_path / "out").read_text().split()
    async with Database(dsn) as database, EventLog(database, tmp_path / "spool") as log:
        assert log.epoch == ROUNDS + 1
        rows = [row async for row in log.read()]
        house = new_house()
        await recover(house, log)
    logged = [input.contact for row in rows if isinstance(input := records.decode(row.body).input, records.Arrived)]
    assert len(out) > ROUNDS, "some were let out"
    assert len(set(out)) == len(out), "none twice"
    assert set(out) <= set(logged), "whatever was let out is in the log"
    positions = {contact: place for place, contact in enumerate(logged)}
    assert out == sorted(out, key=positions.__getitem__), "in the log's order"
    assert list(house.talks) == logged, "and in the state of the next exchange, in order"
    for epoch in range(1, ROUNDS + 1):
        offsets = [row.offset for row in rows if row.epoch == epoch]
        assert offsets == list(range(1, len(offsets) + 1)), "without a gap"
