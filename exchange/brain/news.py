"""The cards' news: what line cards and desk cards tell becomes inputs of the house."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
import structlog

from acd.errors import Refused
from exchange.brain import callbacks, records, tables
from exchange.brain.cards import Listener
from exchange.brain.details import Details
from exchange.brain.ids import uuid7
from exchange.brain.keyed import number_keyed
from exchange.brain.ledger import BrokenHouse
from exchange.brain.outdial import reachable
from exchange.brain.records import Source
from ivr import effects as flow
from ivr.inputs import CommandDone, Digits, Played
from media.control import desk, line
from media.control.envelope import Event
from storage.log import RowWrite

if TYPE_CHECKING:
    from exchange.brain.shell import Exchange

log = structlog.get_logger()


class News(Listener):
    """Knows the exchange, and which call each desk card's connection is patched to."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._patches: dict[str, dict[str, tuple[str, str]]] = {}

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
        contact = self.exchange.house.contact_of(card, body.call)
        if isinstance(body, line.CallEnded):
            self.exchange.forget_call(card, body.call)
            return
        if contact is None:
            if isinstance(body, line.PartyChanged) and body.state != "ended" and callbacks.is_dialled(body.call):
                self.exchange.order(card, line.EndCall(body.call))  # nobody waits for this customer any more
            return
        match body:
            case line.PartyChanged():
                self._party(contact, body, source, event.at)
            case line.PlayEnded(player=player, why=why):
                self._played(contact, player, why, source)
            case line.Collected():
                self._collected(contact, body, source)
            case line.TransferRequested(call=call, party=party):
                self.exchange.order(card, line.AnswerTransfer(call, party, False))
            case _:
                log.debug("line event", card=card, body=type(body).__name__, contact=contact)

    def _arrived(self, card: str, generation: str, call: line.CallArrived, at: float, source: Source | None) -> None:
        if self.exchange.house.contact_of(card, call.call) is not None:
            return
        entry = self.exchange.entry_points().get(call.dnis)
        if entry is None:
            self.exchange.refused_calls += 1
            log.info("no such entry point", card=card, call=call.call, **{"pii.dnis": call.dnis})
            self.exchange.order(card, line.Reject(call.call, call.party, 404, "not-found"))
            return
        contact = uuid7()
        detail = Details(call.ani, call.dnis, call.display, dict(call.headers), trunk=call.trunk, source=call.source)
        self.exchange.details[contact] = detail
        customer = self.exchange.customers.of("voice", call.ani)
        arrived = records.Arrived(
            contact,
            card,
            generation,
            call.call,
            call.party,
            entry.id,
            entry.flow,
            version=self.exchange.house.runner.newest(entry.flow),
            customer=customer,
            reachable=reachable(detail, self.exchange.dialler.trunks(), web=False),
        )
        rows = [
            tables.contact_arrived(contact, entry.id, detail, at),
            tables.contact_came(contact, customer, detail),
            tables.leg_started(contact, call.call, call.party, at),
        ]
        log.info("call arrived", contact=contact, card=card, call=call.call, **{"pii.ani": call.ani, "pii.dnis": call.dnis})
        self.exchange.put(arrived, source, rows)

    def _party(self, contact: str, change: line.PartyChanged, source: Source, at: float) -> None:
        talk = self.exchange.house.talks[contact]
        worker = self.exchange.workers.get(contact)
        if change.party == talk.party:
            if change.state == "connected":
                row = tables.leg_connected(contact, change.party, at)
                if talk.callback == "dialling":
                    self.exchange.put(records.CustomerThere(contact, talk.call), source, [row])
                else:
                    self.exchange.filing.write(row)
            elif change.state == "early" and worker is not None:
                worker.early = True
                worker.touch()
            elif change.state == "ended":
                reason = change.termination.reason if change.termination is not None else "error"
                log.info("customer's leg ended", contact=contact, reason=reason)
                rows = [tables.leg_ended(contact, change, at, web=talk.web)]
                self.exchange.put(records.CustomerGone(contact, reason), source, rows)
        elif change.state == "ended" and worker is not None and change.party == worker.party:
            if worker.desk is not None:
                self.exchange.send(self.exchange.cards.desk, worker.desk[0], desk.Unpatch(worker.desk[1], worker.party))
            worker.party, worker.desk, worker.links = "", None, None
            worker.touch()

    def _played(self, contact: str, player: str, why: str, source: Source) -> None:
        if player.endswith("/prompt"):
            self.exchange.voicemail.prompted(contact, player.removesuffix("/prompt"), why)
            return
        if self._outstanding(contact, player) is not None:
            played = msgspec.convert({"type": "played", "why": why}, Played)
            self.exchange.put(records.FlowAnswer(contact, CommandDone(player, played)), source)

    def _collected(self, contact: str, body: line.Collected, source: Source) -> None:
        if body.collect.endswith("/end"):
            self.exchange.voicemail.stopped(contact, body.collect.removesuffix("/end"), body.why)
            return
        command = self._outstanding(contact, body.collect)
        if isinstance(command, flow.AskNumber):
            result, number = number_keyed(command, body.digits, body.why)
            written: list[RowWrite] = []
            if number:
                self.exchange.details[contact].callback = number
                written = [tables.number_keyed(contact, number)]
            self.exchange.put(records.FlowAnswer(contact, CommandDone(body.collect, result)), source, written)
        elif command is not None:
            answer = CommandDone(body.collect, Digits(body.digits, body.why))
            secret = isinstance(command, flow.CollectDigits) and command.secret
            try:
                self.exchange.ledger.put(records.FlowAnswer(contact, answer), source, secret=secret)
            except (Refused, BrokenHouse) as error:
                log.warning("digits lost", contact=contact, error=str(error))

    def _outstanding(self, contact: str, id: str) -> flow.Command | None:
        talk = self.exchange.house.talks.get(contact)
        return next((c for c in talk.flow.outstanding if c.id == id), None) if talk is not None else None

    def _recording_ended(self, card: str, body: line.RecordingEnded, source: Source) -> None:
        message = self.exchange.voicemail.of_recording(body.recording)
        contact = self.exchange.house.contact_of(card, body.call) or self.exchange.filing.contact_of(body.recording)
        if contact is None:
            log.warning("recording of an unknown contact", card=card, recording=body.recording)
            return
        seconds = max(0.0, body.seconds - body.quiet)
        kept = message is None or seconds >= message.effect.min_seconds
        if message is not None:
            # Before the recording's own record, whose source says that this event is dealt with.
            self.exchange.voicemail.ended(card, message, body, seconds)
        rows = self.exchange.filing.closed(contact, body, "voicemail" if message else "call", kept=kept)
        if body.failed:
            log.error("recording failed", contact=contact, recording=body.recording, reason=body.failed)
        closed = records.RecordingClosed(contact, body.recording, body.seconds, body.failed)
        done = self.exchange.put(closed, source, rows)
        if kept and done is not None:
            done.add_done_callback(lambda _: self.exchange.filing.start())

    def line_ready(self, card: str, inventory: line.Inventory, resumed: bool) -> None:
        """A line card is there: compare what it holds with what the house knows."""
        held = {c.call: c for c in inventory.calls if c.ended is None}
        for talk in list(self.exchange.house.talks.values()):
            if talk.card != card:
                continue
            if talk.generation != inventory.generation:
                self.exchange.put(records.CardDied(card, talk.generation))
                self.exchange.filing.salvage()
            elif talk.callback == "dialling" and talk.call not in held:
                self.exchange.dialler.recall(talk, next((c for c in inventory.calls if c.call == talk.call), None))
            elif talk.call not in held:
                if not resumed:
                    self.exchange.put(records.CustomerGone(talk.contact, "error"))
            else:
                worker = self.exchange.worker(talk.contact)
                if worker is not None:
                    self.exchange.bridge.recall(worker, held[talk.call], self._patches_of())
                    worker.touch()
                if talk.callback == "dialling":
                    self.exchange.dialler.recall(talk, held[talk.call])
                self.exchange.put(records.LineBack(talk.contact))
        for record in inventory.calls:
            if record.ended is not None:
                self.exchange.forget_call(card, record.call)
            elif self.exchange.house.contact_of(card, record.call) is None:
                if record.arrived is not None and not resumed and record.answered == 0:
                    self._arrived(card, inventory.generation, record.arrived, record.started, None)
                elif record.arrived is None or record.answered:
                    self.exchange.order(card, line.EndCall(record.call))

    def line_dead(self, card: str, generation: str) -> None:
        self.exchange.line_dead(card, generation)

    # --- desk cards -----------------------------------------------------------------------------------------------

    def desk_event(self, card: str, body: desk.DeskEvent) -> None:
        match body:
            case desk.ConnectionChanged():
                if body.owner.startswith("web:"):
                    self.exchange.web.connection_changed(body)
                else:
                    self.exchange.desks.connection_changed(card, body)
            case desk.LegQuality():
                contact = self.exchange.bridge.contacts.get(body.patch)
                if contact is not None:
                    self.exchange.filing.write(tables.desk_leg(contact, body, time.time()))
            case _:
                log.debug("desk event", card=card, body=type(body).__name__)

    def desk_ready(self, card: str, inventory: desk.Inventory) -> None:
        self._patches[card] = {c.patch: (card, c.connection) for c in inventory.connections if c.patch}
        self.exchange.desks.desk_ready(card, inventory)
        self.exchange.web.desk_ready(inventory)

    def desk_dead(self, card: str) -> None:
        self._patches.pop(card, None)
        self.exchange.desks.desk_dead(card)
        self.exchange.web.desk_dead(card)
        for worker in self.exchange.workers.values():
            if worker.desk is not None and worker.desk[0] == card:
                worker.touch()

    def _patches_of(self) -> dict[str, tuple[str, str]]:
        return {party: seat for patches in self._patches.values() for party, seat in patches.items()}
