"""The exchange itself: turns the cards' news into inputs of the house, and the house's outcomes into deeds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
import structlog

import acd.effects as decided
import acd.events as routing
from acd.errors import Refused
from exchange.brain import callbacks, records, tables
from exchange.brain.books import Books
from exchange.brain.bridge import Bridge
from exchange.brain.cards import Cards, Listener
from exchange.brain.customers import Customers
from exchange.brain.desks import Desks
from exchange.brain.details import Details
from exchange.brain.dialler import Dialler
from exchange.brain.filing import Filing
from exchange.brain.garbage import Garbage
from exchange.brain.house import House, Outcome, Talk
from exchange.brain.ids import uuid7
from exchange.brain.keyed import number_keyed
from exchange.brain.ledger import BrokenHouse, Ledger
from exchange.brain.lines import Shop, Worker, message_collect, message_recording, prompt_player
from exchange.brain.outdial import reachable
from exchange.brain.records import Record, Source
from ivr import effects as flow
from ivr.inputs import CommandDone, CommandFailed, Digits, Played, Recorded
from media.control import desk, line
from media.control.client import ControlClient
from media.control.envelope import ControlError, Event
from storage.log import RowWrite

log = structlog.get_logger()

RECORD_ENDS = {"enough": "terminator", "timeout": "limit", "no-input": "limit", "stopped": "stopped", "ended": "ended"}


class Message(msgspec.Struct):
    """A voicemail from its prompt to the end of its recording."""

    contact: str
    effect: flow.RecordMessage
    why: str = ""
    begun: bool = False


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


class Exchange(Listener):
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
        self._messages: dict[str, Message] = {}
        self._patches: dict[str, dict[str, tuple[str, str]]] = {}

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
            worker = self._worker(contact)
            if worker is not None:
                if isinstance(effect, flow.RecordMessage):
                    self._messages.setdefault(effect.id, Message(contact, effect))
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
        for contact in outcome.over:
            self._drop_messages(contact, record)
            worker = self.workers.pop(contact, None)
            if worker is not None:
                worker.finish()
            self.details.pop(contact, None)
            self.desks.over(contact)
            self.web.over(contact, "card-died" if isinstance(record.input, records.CardDied) else "ended")
        if record.source is not None and record.source.card in self.cards.line_card_names:
            self.cards.line(record.source.card).ack(record.source.seq)

    def _part(self, contact: str) -> None:
        """The call is over, and the contact goes on without one."""
        worker = self.workers.pop(contact, None)
        if worker is not None:
            worker.finish()
        self.desks.over(contact)
        self.web.over(contact, "ended")

    def _drop_messages(self, contact: str, record: Record) -> None:
        """The contact is over: no recording will end that has not begun, or whose card is dead."""
        dead = isinstance(record.input, records.CardDied)
        for id in [id for id, m in self._messages.items() if m.contact == contact and (dead or not m.begun)]:
            del self._messages[id]

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
        worker = self._worker(contact)
        if worker is not None:
            worker.touch()

    async def send_digits(self, contact: str, digits: str) -> None:
        """DTMF to the customer's leg; raises ControlError."""
        talk = self.house.talks[contact]
        await self.cards.line(talk.card).command(line.SendDigits(talk.call, talk.party, digits))

    def _worker(self, contact: str) -> Worker | None:
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

    # --- line cards -----------------------------------------------------------------------------------------------

    def line_event(self, card: str, event: Event, body: line.LineEvent) -> None:
        source = Source(card, event.generation, event.seq)
        if isinstance(body, line.CallArrived):
            self._arrived(card, event.generation, body, event.at, source)
            return
        if isinstance(body, line.Overload):
            log.warning("line card overload", card=card, on=body.on, ticks=body.ticks)
            return
        if isinstance(body, line.LinesHeld):
            return  # the edge's to know: it hands out lines
        if isinstance(body, line.RecordingEnded):
            self._recording_ended(card, body, source)
            return
        contact = self.house.contact_of(card, body.call)
        if isinstance(body, line.CallEnded):
            self._forget(card, body.call)
            return
        if contact is None:
            if isinstance(body, line.PartyChanged) and body.state != "ended" and callbacks.is_dialled(body.call):
                self.order(card, line.EndCall(body.call))  # nobody waits for this customer any more
            return
        match body:
            case line.PartyChanged():
                self._party(contact, body, source, event.at)
            case line.PlayEnded(player=player, why=why):
                self._played(contact, player, why, source)
            case line.Collected():
                self._collected(contact, body, source)
            case line.TransferRequested(call=call, party=party):
                self.order(card, line.AnswerTransfer(call, party, False))
            case _:
                log.debug("line event", card=card, body=type(body).__name__, contact=contact)

    def _arrived(self, card: str, generation: str, call: line.CallArrived, at: float, source: Source | None) -> None:
        if self.house.contact_of(card, call.call) is not None:
            return
        entry = self.entry_points().get(call.dnis)
        if entry is None:
            self.refused_calls += 1
            log.info("no such entry point", card=card, call=call.call, **{"pii.dnis": call.dnis})
            self.order(card, line.Reject(call.call, call.party, 404, "not-found"))
            return
        contact = uuid7()
        detail = Details(call.ani, call.dnis, call.display, dict(call.headers), trunk=call.trunk, source=call.source)
        self.details[contact] = detail
        customer = self.customers.of("voice", call.ani)
        arrived = records.Arrived(
            contact,
            card,
            generation,
            call.call,
            call.party,
            entry.id,
            entry.flow,
            version=self.house.runner.newest(entry.flow),
            customer=customer,
            reachable=reachable(detail, self.dialler.trunks(), web=False),
        )
        rows = [
            tables.contact_arrived(contact, entry.id, detail, at),
            tables.contact_came(contact, customer, detail),
            tables.leg_started(contact, call.call, call.party, at),
        ]
        log.info("call arrived", contact=contact, card=card, call=call.call, **{"pii.ani": call.ani, "pii.dnis": call.dnis})
        self.put(arrived, source, rows)

    def _party(self, contact: str, change: line.PartyChanged, source: Source, at: float) -> None:
        talk = self.house.talks[contact]
        worker = self.workers.get(contact)
        if change.party == talk.party:
            if change.state == "connected":
                row = tables.leg_connected(contact, change.party, at)
                if talk.callback == "dialling":
                    self.put(records.CustomerThere(contact, talk.call), source, [row])
                else:
                    self.filing.write(row)
            elif change.state == "early" and worker is not None:
                worker.early = True
                worker.touch()
            elif change.state == "ended":
                reason = change.termination.reason if change.termination is not None else "error"
                log.info("customer's leg ended", contact=contact, reason=reason)
                rows = [tables.leg_ended(contact, change, at, web=talk.web)]
                self.put(records.CustomerGone(contact, reason), source, rows)
        elif change.state == "ended" and worker is not None and change.party == worker.party:
            if worker.desk is not None:
                self._send(self.cards.desk, worker.desk[0], desk.Unpatch(worker.desk[1], worker.party))
            worker.party, worker.desk, worker.links = "", None, None
            worker.touch()

    def _played(self, contact: str, player: str, why: str, source: Source) -> None:
        if player.endswith("/prompt"):
            id = player.removesuffix("/prompt")
            message = self._messages.get(id)
            worker = self.workers.get(contact)
            if message is not None and worker is not None and why in {"finished", "failed"} and prompt_player(id) == player:
                message.begun = True
                self.group.create_task(self._record_message(worker, message))
            return
        if self._outstanding(contact, player) is not None:
            played = msgspec.convert({"type": "played", "why": why}, Played)
            self.put(records.FlowAnswer(contact, CommandDone(player, played)), source)

    async def _record_message(self, worker: Worker, message: Message) -> None:
        """The row first: should the card or we die now, the recording is still found and filed."""
        recording = message_recording(message.contact, message.effect.id)
        self.filing.opened(recording, message.contact)
        self.filing.write(tables.message_opened(recording, message.contact, message.effect.queue, time.time()))
        await worker.prompted(message.effect)

    def _collected(self, contact: str, body: line.Collected, source: Source) -> None:
        if body.collect.endswith("/end"):
            id = body.collect.removesuffix("/end")
            message = self._messages.get(id)
            if message is not None and message_collect(id) == body.collect:
                message.why = RECORD_ENDS[body.why]
                talk = self.house.talks[contact]
                self.order(talk.card, line.StopRecord(talk.call, message_recording(contact, id)))
            return
        command = self._outstanding(contact, body.collect)
        if isinstance(command, flow.AskNumber):
            result, number = number_keyed(command, body.digits, body.why)
            written: list[RowWrite] = []
            if number:
                self.details[contact].callback = number
                written = [tables.number_keyed(contact, number)]
            self.put(records.FlowAnswer(contact, CommandDone(body.collect, result)), source, written)
        elif command is not None:
            answer = CommandDone(body.collect, Digits(body.digits, body.why))
            secret = isinstance(command, flow.CollectDigits) and command.secret
            try:
                self.ledger.put(records.FlowAnswer(contact, answer), source, secret=secret)
            except (Refused, BrokenHouse) as error:
                log.warning("digits lost", contact=contact, error=str(error))

    def _outstanding(self, contact: str, id: str) -> flow.Command | None:
        talk = self.house.talks.get(contact)
        return next((c for c in talk.flow.outstanding if c.id == id), None) if talk is not None else None

    def _recording_ended(self, card: str, body: line.RecordingEnded, source: Source) -> None:
        message = next((m for id, m in self._messages.items() if message_recording(m.contact, id) == body.recording), None)
        contact = self.house.contact_of(card, body.call) or self.filing.contact_of(body.recording)
        if contact is None:
            log.warning("recording of an unknown contact", card=card, recording=body.recording)
            return
        seconds = max(0.0, body.seconds - body.quiet)
        kept = message is None or seconds >= message.effect.min_seconds
        if message is not None:
            # Before the recording's own record, whose source says that this event is dealt with.
            self._message_ended(card, message, body, seconds)
        rows = self.filing.closed(contact, body, "voicemail" if message else "call", kept=kept)
        if body.failed:
            log.error("recording failed", contact=contact, recording=body.recording, reason=body.failed)
        closed = records.RecordingClosed(contact, body.recording, body.seconds, body.failed)
        done = self.put(closed, source, rows)
        if kept and done is not None:
            done.add_done_callback(lambda _: self.filing.start())

    def _message_ended(self, card: str, message: Message, body: line.RecordingEnded, seconds: float) -> None:
        id = message.effect.id
        del self._messages[id]
        talk = self.house.talks.get(message.contact)
        if body.quiet and talk is not None:
            self.order(card, line.StopCollect(body.call, talk.party, message_collect(id)))
        why = "silence" if body.quiet else message.why or "ended"
        ended = msgspec.convert({"type": "recorded", "seconds": seconds, "why": why}, Recorded)
        self.put(records.FlowAnswer(message.contact, CommandDone(id, ended)))

    def order(self, card: str, body: line.LineCommand) -> None:
        """A command to a line card that nobody waits for."""
        self._send(self.cards.line, card, body)

    def _send(self, client: Callable[[str], ControlClient], card: str, body: line.LineCommand | desk.DeskCommand) -> None:
        async def send() -> None:
            try:
                await client(card).command(body)
            except ControlError as error:
                log.info("card refused", card=card, command=type(body).__name__, code=error.code)

        self.group.create_task(send())

    def _forget(self, card: str, call: str) -> None:
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

    def line_ready(self, card: str, inventory: line.Inventory, resumed: bool) -> None:
        """A line card is there: compare what it holds with what the house knows."""
        held = {c.call: c for c in inventory.calls if c.ended is None}
        for talk in list(self.house.talks.values()):
            if talk.card != card:
                continue
            if talk.generation != inventory.generation:
                self.put(records.CardDied(card, talk.generation))
                self.filing.salvage()
            elif talk.callback == "dialling" and talk.call not in held:
                self.dialler.recall(talk, next((c for c in inventory.calls if c.call == talk.call), None))
            elif talk.call not in held:
                if not resumed:
                    self.put(records.CustomerGone(talk.contact, "error"))
            else:
                worker = self._worker(talk.contact)
                if worker is not None:
                    self.bridge.recall(worker, held[talk.call], self._patches_of())
                    worker.touch()
                if talk.callback == "dialling":
                    self.dialler.recall(talk, held[talk.call])
                self.put(records.LineBack(talk.contact))
        for record in inventory.calls:
            if record.ended is not None:
                self._forget(card, record.call)
            elif self.house.contact_of(card, record.call) is None:
                if record.arrived is not None and not resumed and record.answered == 0:
                    self._arrived(card, inventory.generation, record.arrived, record.started, None)
                elif record.arrived is None or record.answered:
                    self.order(card, line.EndCall(record.call))

    def line_dead(self, card: str, generation: str) -> None:
        self.put(records.CardDied(card, generation))
        self.filing.salvage()

    # --- desk cards -----------------------------------------------------------------------------------------------

    def desk_event(self, card: str, body: desk.DeskEvent) -> None:
        match body:
            case desk.ConnectionChanged():
                if body.owner.startswith("web:"):
                    self.web.connection_changed(body)
                else:
                    self.desks.connection_changed(card, body)
            case desk.LegQuality():
                contact = self.bridge.contacts.get(body.patch)
                if contact is not None:
                    self.filing.write(tables.desk_leg(contact, body, time.time()))
            case _:
                log.debug("desk event", card=card, body=type(body).__name__)

    def desk_ready(self, card: str, inventory: desk.Inventory) -> None:
        self._patches[card] = {c.patch: (card, c.connection) for c in inventory.connections if c.patch}
        self.desks.desk_ready(card, inventory)
        self.web.desk_ready(inventory)

    def desk_dead(self, card: str) -> None:
        self._patches.pop(card, None)
        self.desks.desk_dead(card)
        self.web.desk_dead(card)
        for worker in self.workers.values():
            if worker.desk is not None and worker.desk[0] == card:
                worker.touch()

    def _patches_of(self) -> dict[str, tuple[str, str]]:
        return {party: seat for patches in self._patches.values() for party, seat in patches.items()}

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
