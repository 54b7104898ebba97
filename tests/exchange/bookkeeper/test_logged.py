"""A contact's decisions, from a real log: found by pointers, read from the effects, no engine run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import acd.events as routing
from acd.effects import NobodyFor, OfferMade
from exchange.brain import logged, records
from exchange.brain.clock import EngineClock
from exchange.brain.ledger import Ledger
from storage.database import Database
from storage.errors import BadSearch
from storage.log import EventLog
from storage.queries import Queries
from tests.exchange.brain.story import CONFIGURED, contact_id, new_house

pytestmark = [pytest.mark.interop, pytest.mark.asyncio(loop_scope="session")]


async def test_decisions_of_a_contact(dsn: str, tmp_path: Path) -> None:
    async with Database(dsn) as database, EventLog(database, tmp_path / "spool") as events:
        house = new_house()
        ledger = Ledger(house, events, EngineClock(), lambda r, o: [], lambda r, o: None, lambda: None)
        running = asyncio.create_task(ledger.run())
        for event in (
            CONFIGURED,
            routing.AgentLoggedIn(0.0, "agent1"),
            routing.AgentReachable(0.0, "agent1", True),
            routing.ContactArrived(0.0, contact_id(1)),
            routing.ContactQueued(0.0, contact_id(1), "sales"),
            routing.ContactArrived(0.0, contact_id(2)),
            routing.ContactQueued(0.0, contact_id(2), "sales"),
            routing.AgentStateChosen(0.0, "agent1", "available"),
        ):
            await ledger.put(records.Routing(event))
        running.cancel()
        queries = Queries(database)
        nobody, offer = await logged.decisions_of(queries, contact_id(1))
        assert isinstance(nobody.effect, NobodyFor)
        assert isinstance(offer.effect, OfferMade)
        assert (offer.effect.agent, offer.effect.decision.agent is not None) == ("agent1", True)
        assert offer.id[:2] == events.position
        assert nobody.id < offer.id
        assert len(await logged.decisions_of(queries, contact_id(2))) == 1
        with pytest.raises(BadSearch):
            await logged.decisions_of(queries, "no id")
