"""The exchange itself: inputs go into the house, the house's outcomes become deeds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
import structlog

import acd.effects as decided
import acd.events as routing
from acd.errors import Refused
from exchange.brain import records
from exchange.brain.books import Books
from exchange.brain.bridge import Bridge
from exchange.brain.cards import Cards
from exchange.brain.customers import Customers
from exchange.brain.desks import Desks
from exchange.brain.details import Details
from exchange.brain.dialler import Dialler
from exchange.brain.filing import Filing
from exchange.brain.garbage import Garbage
from exchange.brain.house import House, Outcome, Talk
from exchange.brain.ledger import BrokenHouse, Ledger
from exchange.brain.lines import Shop, Worker
from exchange.brain.news import News
from exchange.brain.records import Record, Source
from exchange.brain.voicemail import Voicemail
from ivr import effects as flow
from ivr.inputs import CommandDone, CommandFailed
from media.control import desk, line
from media.control.client import ControlClient
from media.control.envelope import ControlError
from storage.log import RowWrite

log = structlog.get_logger()


class EntryPoint(msgspec.Struct, frozen=True):
    """The number where contacts land, and the flow it names."""

    id: str
    flow: str
    web: bool = False


class WebCallers(Protocol):
    """What the exchange tells those who look after web callers."""

    def connection_changed(self, change: desk.ConnectionChanged) -> None: ...

    def talk_changed(self, contact: str) -> None: ...

    def over(self, contact: str, reason: str) -> None: ...

    def desk_ready(self, inventory: desk.Inventory) -> None: ...

    def desk_dead(self, card: str) -> None: ...


class Outside(Protocol):
    """Channels and programs, to whom what happens matters, too."""

    def carry_out(self, record: Record, outcome: Outcome) -> None: ...


class Exchange:
    """Owns the workers; knows the house, the ledger, the cards, the desks and the filing."""

    def __init__(self, house: House, details: dict[str, Details], entry_points: Callable[[], dict[str, EntryPoint]]) -> None:
        self.house = house
        self.details = details
        self.entry_points = entry_points
        self.ledger: Ledger
        self.cards: Cards
        self.desks: Desks
        self.bridge: Bridge
        self.filing: Filing
        self.books: Books
        self.garbage: Garbage
        self.web: WebCallers
        self.dialler: Dialler
        self.doors: Outside
        self.customers: Customers
        self.shop: Shop
        self.group: asyncio.TaskGroup
        self.workers: dict[str, Worker] = {}
        self.refused_calls = 0
        self.voicemail = Voicemail(self)
        self.news = News(self)

    # --- inputs ---------------------------------------------------------------------------------------------------

    def put(
        self, input: records.Input, source: Source | None = None, rows: Sequence[RowWrite] = ()
    ) -> asyncio.Future[None] | None:
        """An input that nobody waits for; a refusal is logged."""
        try:
            return self.ledger.put(input, source, rows)
        except Refused as error:
            log.info("input refused", input=type(input).__name__, code=error.code)
        except BrokenHouse:
            log.critical("the exchange starts anew")
        return None

    def report(self, contact: str, answer: CommandDone | CommandFailed, *, secret: bool = False) -> None:
        """The end of a flow's command (exchange.brain.lines.Report)."""
        try:
            self.ledger.put(records.FlowAnswer(contact, answer), secret=secret)
        except (Refused, BrokenHouse) as error:
            log.warning("answer lost", contact=contact, error=str(error))

    def bridge_failed(self, contact: str, agent: str, reason: str) -> None:
        """Customer and agent could not be brought together."""
        self.put(records.BridgeFailed(contact, agent, reason))

    def unrecorded(self, recording: str, contact: str, reason: str) -> None:
        """The talk goes on without its recording: an alarm, no failure of the call."""
        rows = self.filing.impossible(recording, reason)
        self.put(records.RecordingClosed(contact, recording, 0.0, reason), None, rows)

    def line_dead(self, card: str, generation: str) -> None:
        """A line card and its calls are gone."""
        self.put(records.CardDied(card, generation))
        self.filing.salvage()

    def bury_lost_cards(self) -> None:
        """After a restart with fewer line cards: nobody will ever tell us of the others and their calls."""
        lost = {t.card: t.generation for t in self.house.talks.values() if t.card not in ("", *self.cards.line_card_names)}
        for card, generation in lost.items():
            log.warning("line card is no more", card=card)
            self.line_dead(card, generation)

    # --- outcomes -------------------------------------------------------------------------------------------------

    def carry_out(self, record: Record, outcome: Outcome) -> None:
        """The record is durable: let its effects out."""
        for contact, effect in outcome.flow:
            worker = self.worker(contact)
            if worker is not None:
                if isinstance(effect, flow.RecordMessage):
                    self.voicemail.wanted(contact, effect)
                worker.do(effect)
        for contact in outcome.resting:
            self._part(contact)
        for contact in outcome.talks:
            self.touch(contact)
            self.dialler.look(contact)
            self.web.talk_changed(contact)
        for agent in outcome.agents:
            self.desks.push(agent)
        self.doors.carry_out(record, outcome)
        self._end_call(record)
        if any(isinstance(e, decided.ContactChanged) for e in outcome.decided):
            self.desks.push_counts()
        dead = isinstance(record.input, records.CardDied)
        for contact in outcome.over:
            self.voicemail.over(contact, dead=dead)
            worker = self.workers.pop(contact, None)
            if worker is not None:
                worker.finish()
            self.details.pop(contact, None)
            self.desks.over(contact)
            self.web.over(contact, "card-died" if dead else "ended")
        if record.source is not None and record.source.card in self.cards.line_card_names:
            self.cards.line(record.source.card).ack(record.source.seq)

    def _part(self, contact: str) -> None:
        """The call is over, and the contact goes on without one."""
        worker = self.workers.pop(contact, None)
        if worker is not None:
            worker.finish()
        self.desks.over(contact)
        self.web.over(contact, "ended")

    def _end_call(self, record: Record) -> None:
        """Somebody outside has ended a contact that is a call: flow and agent are not asked."""
        match record.input:
            case records.Routing(routing.ContactEnded(contact=contact, by="system")):
                talk = self.house.talks.get(contact)
                if talk is not None and not talk.gone:
                    self.order(talk.card, line.EndCall(talk.call))
            case _:
                pass

    def touch(self, contact: str) -> None:
        """Something about this talk changed: its worker looks again."""
        worker = self.worker(contact)
        if worker is not None:
            worker.touch()

    async def send_digits(self, contact: str, digits: str) -> None:
        """DTMF to the customer's leg; raises ControlError."""
        talk = self.house.talks[contact]
        await self.cards.line(talk.card).command(line.SendDigits(talk.call, talk.party, digits))

    def worker(self, contact: str) -> Worker | None:
        """Who carries out what concerns this contact's call; None without one."""
        worker = self.workers.get(contact)
        talk = self.house.talks.get(contact)
        if worker is None and talk is not None and talk.card:
            worker = self.workers[contact] = Worker(contact, self.shop, talk)
            worker.task = self.group.create_task(self._work(worker), name=f"worker {contact}")
        return worker

    async def _work(self, worker: Worker) -> None:
        """A worker that fails costs its own call, not the exchange."""
        try:
            await worker.run()
        except Exception:
            log.exception("worker failed", contact=worker.contact, card=worker.card, call=worker.call)
            if self.workers.get(worker.contact) is worker:
                del self.workers[worker.contact]
            self.order(worker.card, line.EndCall(worker.call))

    # --- cards ---------------------------------------------------------------------------------------------------

    def order(self, card: str, body: line.LineCommand) -> None:
        """A command to a line card that nobody waits for."""
        self.send(self.cards.line, card, body)

    def send(self, client: Callable[[str], ControlClient], card: str, body: line.LineCommand | desk.DeskCommand) -> None:
        async def send() -> None:
            try:
                await client(card).command(body)
            except ControlError as error:
                log.info("card refused", card=card, command=type(body).__name__, code=error.code)

        self.group.create_task(send())

    def forget_call(self, card: str, call: str) -> None:
        """The call's end is logged, or will be with the events before this one: the card may forget it then."""

        async def forget() -> None:
            await self.ledger_drained()
            await self.cards.line(card).command(line.ForgetCall(call))

        async def guarded() -> None:
            try:
                await forget()
            except ControlError as error:
                log.info("card refused", card=card, command="ForgetCall", code=error.code)

        self.group.create_task(guarded())

    async def ledger_drained(self) -> None:
        """Everything that was put so far is durable."""
        await self.ledger.drained()

    # --- figures --------------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """Agents, queues and contacts, for `switchroom status`."""
        engine = self.house.engine
        queues = self.house.queue_names().items()
        return {
            "agents": [{"id": a.id, "name": a.name, "state": a.state, "code": a.code} for a in engine.agents()],
            "queues": [{"id": id, "name": name, "waiting": engine.waiting(id)} for id, name in queues],
            "contacts": [_contact(talk) for talk in self.house.talks.values()],
        }


def _contact(talk: Talk) -> dict[str, Any]:
    return {
        "id": talk.contact,
        "call": talk.call,
        "card": talk.card,
        "activity": talk.flow.activity,
        "phase": talk.flow.phase,
        "agent": talk.agent,
        "held": talk.held,
    }
