"""The doors of the exchange for channels, programs and supervisors: everything behind api.ports.Contacts and Floor, wired."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import structlog

from acd.document import EntryPointConfig
from acd.model import ContactMark
from exchange.brain import records
from exchange.brain.answers import KEPT_SECONDS, Answers
from exchange.brain.broadcasts import Broadcasts
from exchange.brain.channels import ChannelWork, Following
from exchange.brain.floorwork import FloorWork
from exchange.brain.house import Outcome
from exchange.brain.intake import Intake
from exchange.brain.recall import Recall
from exchange.brain.records import Record
from exchange.brain.shell import Exchange
from storage.conversations import Conversations
from storage.errors import DatabaseAway
from storage.log import EventLog
from storage.queries import Queries

log = structlog.get_logger()

FORGET_SECONDS = 3600.0


class Doors:
    """Contacts and floor, and what keeps both up with the house."""

    def __init__(
        self,
        exchange: Exchange,
        events: EventLog,
        queries: Queries,
        stored: Conversations,
        following: Following,
        entry_points: Callable[[], dict[str, EntryPointConfig]],
        now: Callable[[], float],
        open: Sequence[ContactMark],
    ) -> None:
        """`open` are the contacts that the exchange begins with."""
        self._exchange = exchange
        self._open = open
        self._stored = stored
        self._now = now
        desks = exchange.desks
        intake = Intake(exchange.ledger.put)
        answers = Answers(stored.answer, events.write, now)

        async def existed(contact: str) -> bool:
            return await queries.contact(contact) is not None

        self.recalled = Recall(queries, stored, exchange.details, desks.conversations, self._show)
        self.contacts = ChannelWork(
            exchange.house,
            intake,
            answers,
            exchange.customers,
            stored,
            exchange.details,
            desks.conversations,
            entry_points,
            existed,
            following,
            self.recalled,
            now,
        )
        self.floor = FloorWork(exchange.house, intake, answers, desks.broadcasts, now, open)
        desks.contacts = self.contacts

    async def recall(self) -> None:
        """What is open is known again, its data as soon as `recalled` has run; raises DatabaseAway."""
        self.contacts.reopen(self._open)
        self._exchange.desks.broadcasts.recall(await self._stored.broadcasts(Broadcasts.since(self._now())))

    def take_up(self) -> None:
        """Finish what was begun."""
        self.contacts.take_up(self._open)
        self._open = ()

    def _show(self, contact: str) -> None:
        """Who has to do with this conversation sees what is new."""
        conversation = self._exchange.desks.conversations.get(contact)
        for agent in sorted(conversation.agents) if conversation is not None else ():
            self._exchange.desks.push(agent)

    async def forget(self) -> None:
        """Without end: keys that are old are free again."""
        while True:
            try:
                await self._stored.forget_answers(datetime.fromtimestamp(self._now() - KEPT_SECONDS, UTC))
            except DatabaseAway as error:
                log.info("old keys stay for now", error=str(error))
            await asyncio.sleep(FORGET_SECONDS)

    def carry_out(self, record: Record, outcome: Outcome) -> None:
        """The record is durable: who writes and who is written to learn of it."""
        self.contacts.carry_out(outcome)
        for agent in self.floor.carry_out(outcome):
            self._exchange.desks.push(agent)
        match record.input:
            case records.Message(contact=contact):
                self._show(contact)
            case _:
                pass
