"""Dials the customers of callbacks: a line from the edge, durable in the log, then the leg; the card tells the rest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from acd.errors import Refused
from exchange.brain import callbacks, records, tables
from exchange.brain.house import Talk
from exchange.brain.ids import uuid7
from exchange.brain.ledger import BrokenHouse
from exchange.brain.outdial import way_to
from media.control import edge, line
from media.control.envelope import ControlError

if TYPE_CHECKING:
    from exchange.brain.shell import Exchange

log = structlog.get_logger()

EDGE_PATIENCE = 10.0
RING_SECONDS = 45.0
"""How long a customer's phone may ring."""


class Dialler:
    """One task for each customer who is to be dialled."""

    def __init__(self, exchange: Exchange, trunks: Callable[[], Sequence[edge.Trunk]]) -> None:
        self.trunks = trunks
        self._exchange = exchange
        self._dialling: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def look(self, contact: str) -> None:
        """Begin, if this contact is to be dialled and nobody does it yet."""
        talk = self._exchange.house.talks.get(contact)
        if self._closed or talk is None or talk.callback != "reserved" or not talk.gone or contact in self._exchange.workers:
            return
        if self._dialling.get(contact) != talk.dials:
            self._dialling[contact] = talk.dials
            task = self._exchange.group.create_task(self._dial(contact, talk.dials), name=f"dial {contact}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """The exchange leaves: the next one takes up what was begun."""
        self._closed = True
        for task in self._tasks:
            task.cancel()

    def take_up(self) -> None:
        """After a restart: what the exchange before us had not begun."""
        for contact in list(self._exchange.house.talks):
            self.look(contact)

    def recall(self, talk: Talk, held: line.CallRecord | None) -> None:
        """What the card has of a call that is being dialled; nothing at all: the leg was never placed."""
        if talk.contact in self._dialling:
            return  # it is just being placed
        put = self._exchange.put
        leg = next((p for p in held.parties if p.party == talk.party), None) if held is not None else None
        if held is None or leg is None:  # nothing, or the agent's patch alone
            put(records.LegLost(talk.contact, talk.call))
        elif held.ended is not None:
            put(records.CustomerGone(talk.contact, held.ended.reason))
        elif leg.state == "connected":
            put(records.CustomerThere(talk.contact, talk.call))

    async def _dial(self, contact: str, dial: int) -> None:
        try:
            code = await self._leg(contact, dial)
            if code:
                log.warning("customer not dialled", contact=contact, dial=dial, code=code)
                self._exchange.put(records.NotDialled(contact, dial, code))
        finally:
            if self._dialling.get(contact) == dial:
                del self._dialling[contact]

    async def _leg(self, contact: str, dial: int) -> str:
        """Lease and place; why there was no line, or empty."""
        exchange = self._exchange
        detail = exchange.details.get(contact)
        way = way_to(detail, self.trunks()) if detail is not None else None
        if detail is None or way is None:
            return "no-way"
        lease = edge.LeaseLine(uuid7())
        try:
            given = await self._given(lease)
            generation = exchange.cards.line(given.card).generation
        except ControlError as error:
            return error.code
        call = callbacks.call_of(contact, dial)
        party = callbacks.party_of(contact, dial)
        leased = records.LineLeased(contact, dial, given.card, generation)
        try:
            durable = exchange.ledger.put(leased, None, [tables.leg_started(contact, call, party, time.time())])
        except (Refused, BrokenHouse):
            await self._release(lease.lease)  # the agent, or the exchange, is gone
            return ""
        await asyncio.wait([durable])
        if durable.cancelled():
            return ""
        place = line.PlaceLeg(
            call,
            party,
            given.lease,
            way.target,
            given.proxy,
            caller=detail.dnis,
            username=way.username,
            password=way.password,
            timeout=RING_SECONDS,
            srtp=way.srtp,
        )
        log.info("customer is dialled", contact=contact, card=given.card, call=call, dial=dial, **{"pii.target": way.target})
        try:
            await exchange.cards.line(given.card).command(place, id=call)
        except ControlError as error:
            log.warning("leg not placed", contact=contact, card=given.card, code=error.code)
            if error.code != "card-gone":  # else the card's death, or its return, decides
                exchange.put(records.CustomerGone(contact, "unavailable"))
        return ""

    async def _given(self, lease: edge.LeaseLine) -> edge.Lease:
        """A line, also from an edge that is just starting anew; raises ControlError."""
        client = self._exchange.cards.edge
        try:
            async with asyncio.timeout(EDGE_PATIENCE):
                while True:
                    await client.connected()
                    try:
                        return await client.command(lease, edge.Lease)
                    except ControlError as error:
                        if error.code not in {"card-gone", "stopping"}:
                            raise
        except TimeoutError:
            raise ControlError("edge-away", "The edge does not answer.", retryable=True) from None

    async def _release(self, lease: str) -> None:
        try:
            await self._exchange.cards.edge.command(edge.ReleaseLine(lease))
        except ControlError as error:
            log.info("line not released", code=error.code)
