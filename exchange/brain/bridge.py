"""Brings customer and agent together: what the house wants of a call, less what the cards have, is sent as commands."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Protocol

import structlog

from exchange.brain.cards import Cards
from exchange.brain.house import Talk
from exchange.brain.lines import Worker
from media.control import desk, line
from media.control.envelope import ControlError

log = structlog.get_logger()

MOST_REMEMBERED = 10_000
RINGING = "ringing"
"""The player of the tone that an agent hears while the customer is dialled."""
AWAY = frozenset({"card-gone", "stopping"})
"""Failures of a card that is leaving: its death, or its return, has us look at the call again."""


class Seats(Protocol):
    """Where agents are."""

    def connection_of(self, agent: str) -> tuple[str, str] | None:
        """Desk card and connection of an agent who can hear and be heard now."""

    def bridged(self, contact: str, agent: str, on: bool) -> None:
        """Customer and agent (do not) hear each other now."""


class Bridge:
    """Idempotent: called whenever anything about a talk, a desk or a card changed."""

    def __init__(
        self,
        cards: Cards,
        seats: Seats,
        talk: Callable[[str], Talk | None],
        failed: Callable[[str, str, str], None],
        recording: Callable[[str, str], None],
        unrecorded: Callable[[str, str, str], None],
    ) -> None:
        self._cards = cards
        self._seats = seats
        self._talk = talk
        self._failed = failed
        self._recording = recording
        self._unrecorded = unrecorded
        self.contacts: dict[str, str] = {}
        """Contact of each patch party, for the figures that come when it ends."""

    async def converge(self, worker: Worker) -> None:
        """Make the call of one contact what the house wants it to be."""
        if worker.card not in self._cards.rates:
            return  # After a restart the card's inventory comes first: without it a talk that goes on would be patched anew.
        talk = self._talk(worker.contact)
        if talk is not None and talk.call != worker.call:
            talk = None  # another call is that contact's by now
        if talk is None or talk.gone or talk.final or not talk.agent:
            await self._part(worker)
            if talk is not None and talk.final and talk.flow.ended and not talk.gone:
                await worker.command(line.EndCall(worker.call))
            elif talk is not None and talk.callback == "answered" and not talk.gone and not talk.final:
                await self._music(worker, True)  # called back, and the agent is lost: no flow is there to play it
            return
        seat = self._seats.connection_of(talk.agent)
        if seat is not None and seat != worker.desk:
            fresh = await self._join(worker, talk, seat)
            if not fresh:
                return
        if talk.callback == "dialling":
            await self._ring(worker)
            return
        await self._stop_ringing(worker)
        heard = seat is not None and worker.party != "" and not talk.held
        await self._music(worker, not heard and (talk.held or seat is None))
        await self._mute(worker, talk.muted)
        await self._link(worker, heard)
        await self._record(worker, talk)
        self._seats.bridged(worker.contact, talk.agent, seat is not None and worker.party != "")

    async def _join(self, worker: Worker, talk: Talk, seat: tuple[str, str]) -> bool:
        """Patch the call to the agent's connection; the patch before it, if any, goes."""
        card, connection = seat
        old_party, old_desk = worker.party, worker.desk
        party = f"agent-{secrets.token_hex(4)}"
        self.remember(party, worker.contact)
        here, there = self._cards.patch_paths(worker.card, party)
        rate = self._cards.rates.get(worker.card, 16000)
        results = await asyncio.gather(
            self._cards.line(worker.card).command(line.OpenPatch(worker.call, party, here, there)),
            self._cards.desk(card).command(desk.Patch(connection, party, there, here, rate)),
            return_exceptions=True,
        )
        wrong = [r for r in results if isinstance(r, BaseException)]
        if wrong:
            await worker.command(line.HangUp(worker.call, party))
            await self._unpatch((card, connection), party)
            for error in wrong:
                if not isinstance(error, ControlError):
                    raise error
                log.warning("patch failed", contact=worker.contact, agent=talk.agent, card=worker.card, code=error.code)
                if error.code not in AWAY:
                    self._failed(worker.contact, talk.agent, error.code)
            return False
        worker.party, worker.desk, worker.links, worker.muted = party, seat, None, False
        worker.ringing = False
        if old_party:
            await worker.command(line.HangUp(worker.call, old_party, "transferred"))
            if old_desk is not None:
                await self._unpatch(old_desk, old_party)
        return True

    async def _ring(self, worker: Worker) -> None:
        """The customer is being dialled: the agent hears it ring, or what the other side sends before it answers."""
        if not worker.party:
            return
        if worker.early:
            await self._stop_ringing(worker)
            wanted = frozenset({line.Link(worker.customer, worker.party)})
            if worker.links != wanted and await worker.command(line.SetLinks(worker.call, sorted(wanted))):
                worker.links = wanted
        elif not worker.ringing:
            tone = line.PlayTone(worker.call, worker.party, RINGING, 425, on_ms=1000, off_ms=4000)
            worker.ringing = await worker.command(tone)

    async def _stop_ringing(self, worker: Worker) -> None:
        if worker.ringing and worker.party:
            await worker.command(line.StopPlay(worker.call, worker.party, RINGING))
        worker.ringing = False

    def remember(self, party: str, contact: str) -> None:
        """Whose patch this is, until its figures come."""
        self.contacts[party] = contact
        while len(self.contacts) > MOST_REMEMBERED:
            del self.contacts[next(iter(self.contacts))]

    async def _part(self, worker: Worker) -> None:
        """Nobody talks with the customer now."""
        if not worker.party:
            return
        party, seat = worker.party, worker.desk
        worker.party, worker.desk, worker.links, worker.music = "", None, None, None
        if not worker.ended:
            await worker.command(line.SetLinks(worker.call, []))
            await worker.command(line.HangUp(worker.call, party))
        if seat is not None:
            await self._unpatch(seat, party)

    async def _unpatch(self, seat: tuple[str, str], party: str) -> None:
        try:
            await self._cards.desk(seat[0]).command(desk.Unpatch(seat[1], party))
        except ControlError as error:
            log.info("unpatch", card=seat[0], code=error.code)

    async def _link(self, worker: Worker, heard: bool) -> None:
        wanted: frozenset[line.Link] = frozenset()
        if heard:
            wanted = frozenset({line.Link(worker.customer, worker.party), line.Link(worker.party, worker.customer)})
        if worker.links != wanted and await worker.command(line.SetLinks(worker.call, sorted(wanted))):
            worker.links = wanted

    async def _music(self, worker: Worker, on: bool) -> None:
        if worker.music is not on and await worker.command(line.Music(worker.call, worker.customer, on)):
            worker.music = on

    async def _mute(self, worker: Worker, on: bool) -> None:
        if worker.party and worker.muted != on and await worker.command(line.Mute(worker.call, worker.party, on)):
            worker.muted = on

    async def _record(self, worker: Worker, talk: Talk) -> None:
        if not talk.recording or talk.recording_failed or not worker.party:
            return
        if worker.recording != talk.recording:
            record = line.Record(worker.call, talk.recording, worker.customer, str(self._cards.run / "recordings"))
            self._recording(talk.recording, worker.contact)
            try:
                await self._cards.line(worker.card).command(record, id=talk.recording)
            except ControlError as error:
                log.error("not recorded", contact=worker.contact, card=worker.card, code=error.code)
                if error.code not in AWAY | {"no-call"}:
                    self._unrecorded(talk.recording, worker.contact, error.code)
                return
            worker.recording, worker.paused = talk.recording, False
        if worker.paused != talk.paused and await worker.command(line.PauseRecord(worker.call, talk.recording, talk.paused)):
            worker.paused = talk.paused

    def recall(self, worker: Worker, record: line.CallRecord, patches: dict[str, tuple[str, str]]) -> None:
        """The card is there (again): learn from the inventories what it has for this call (`patches`: party to seat).

        What this process has patched itself it knows better than the desk cards' inventories, which are from their connecting.
        """
        if worker.party and worker.desk is not None:
            patches = {worker.party: worker.desk}
        parties = [p for p in record.parties if p.kind == "patch" and p.state == "connected" and p.party in patches]
        living = [p for p in parties if p.party != worker.customer]  # a web caller's is a patch, too
        worker.party = living[0].party if living else ""
        self.contacts.update((p.party, worker.contact) for p in living)
        worker.desk = patches[worker.party] if worker.party else None
        worker.links = frozenset(record.links)
        worker.muted = living[0].muted if living else False
        worker.ringing = bool(living) and living[0].player == RINGING
        worker.early = any(p.party == worker.customer and p.state == "early" for p in record.parties)
        worker.music = next((p.music for p in record.parties if p.party == worker.customer), None)
        worker.recording, worker.paused = record.recording, record.recording_paused
        if record.recording:
            self._recording(record.recording, worker.contact)
