"""Carries out what flows want of a line card: one worker for each contact, its effects in their order, then the bridge."""

from __future__ import annotations

import asyncio
from collections import deque
from pathlib import Path
from typing import Any, Protocol

import structlog

from exchange.brain.cards import Cards
from exchange.brain.house import Talk
from exchange.brain.ids import recording_id
from exchange.brain.keyed import number_collect
from ivr import effects as flow
from ivr.inputs import CommandDone, CommandFailed, Done
from media.control import line
from media.control.envelope import ControlError

log = structlog.get_logger()

RESTARTABLE = frozenset({"card-gone", "timeout", "stopping"})
"""Failures after which the card's return (or its death) decides, not the flow."""

LIMIT_SLACK = 10.0

Attempt = flow.AnswerCall | flow.Speak | flow.CollectDigits | flow.AskNumber | flow.RecordMessage


class Report(Protocol):
    def __call__(self, contact: str, answer: CommandDone | CommandFailed, *, secret: bool = False) -> None: ...


class Converger(Protocol):
    async def converge(self, worker: Worker) -> None: ...


class Shop:
    """What all workers share; `bridge` is set before the first worker runs."""

    bridge: Converger

    def __init__(self, cards: Cards, report: Report, beep: Path) -> None:
        self.cards = cards
        self.report = report
        self.recordings = cards.run / "recordings"
        self.beep = beep


class Worker:
    """One contact's hands: does its flow's effects one after the other and keeps its bridge as the house wants it."""

    def __init__(self, contact: str, shop: Shop, talk: Talk) -> None:
        self.contact = contact
        self.card = talk.card
        self.call = talk.call
        self.customer = talk.party
        self._web = talk.web
        self.party = ""
        self.desk: tuple[str, str] | None = None
        self.links: frozenset[line.Link] | None = None
        self.muted = False
        self.music: bool | None = None
        self.recording = ""
        self.paused = False
        self.early = False
        """The customer who is dialled sends sound already: ringing, or an announcement."""
        self.ringing = False
        """The agent hears our ringing."""
        self.ended = False
        """The card has ended the call with all its parties."""
        self.task: asyncio.Task[None] | None = None
        self._shop = shop
        self._effects: deque[flow.FlowEffect] = deque()
        self._wake = asyncio.Event()
        self._silence = asyncio.Event()
        self._speaking = ""
        self._over = False

    # --- what the shell calls -------------------------------------------------------------------------------------

    def do(self, effect: flow.FlowEffect) -> None:
        """Queue an effect; a stop overtakes the text that is still being made, and what was queued before it."""
        if isinstance(effect, flow.StopSpeaking | flow.StopRecording):
            self._unsay(effect.id)
        self._effects.append(effect)
        self._wake.set()

    def _unsay(self, id: str) -> None:
        """Drop the spoken effect with this id (empty: all of them) if the card has not heard of it yet."""
        if self._speaking and id in {"", self._speaking}:
            self._silence.set()
        spoken = flow.Speak | flow.CollectDigits | flow.AskNumber | flow.RecordMessage
        self._effects = deque(e for e in self._effects if not (isinstance(e, spoken) and id in {"", e.id}))

    def touch(self) -> None:
        """The talk changed: look at the bridge again."""
        self._wake.set()

    def finish(self) -> None:
        """The contact is over: end the call if it still lives, then stop."""
        self._over = True
        self._unsay("")
        self._wake.set()

    # --- the work -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until the contact is over."""
        while not self._over or self._effects:
            await self._wake.wait()
            self._wake.clear()
            if self.card not in self._shop.cards.rates and not self._over:
                continue  # after a restart the card's inventory comes first: what goes on must not begin again
            while self._effects:
                await self._carry_out(self._effects.popleft())
            if not self._over:
                await self._shop.bridge.converge(self)
        self.ended = await self.command(line.EndCall(self.call))
        await self._shop.bridge.converge(self)

    async def command(self, body: line.LineCommand, id: str | None = None) -> bool:
        """One command whose failure needs no more than a log line; says whether it was done."""
        try:
            await self._shop.cards.line(self.card).command(body, id=id)
        except ControlError as error:
            level = log.info if error.code in RESTARTABLE | {"no-call", "no-party"} else log.warning
            level("card refused", contact=self.contact, card=self.card, command=type(body).__name__, code=error.code)
            return False
        return True

    async def _carry_out(self, effect: flow.FlowEffect) -> None:
        call, party = self.call, self.customer
        match effect:
            case flow.MusicOn(file):
                if await self.command(line.Music(call, party, True, file)):
                    self.music = True
            case flow.MusicOff():
                if self.music is not False and await self.command(line.Music(call, party, False)):
                    self.music = False  # the bridge must know: a customer on hold gets music again
            case flow.StopSpeaking(id):
                await self.command(line.StopPlay(call, party, id))
                if id:
                    await self.command(line.StopCollect(call, party, id))
            case flow.StopRecording(id):
                await self.command(line.StopPlay(call, party, prompt_player(id)))
                await self.command(line.StopRecord(call, message_recording(self.contact, id)))
            case flow.HangUp():
                await self.command(line.EndCall(call))
            case flow.AnswerCall() | flow.Speak() | flow.CollectDigits() | flow.AskNumber() | flow.RecordMessage():
                await self._attempt(effect)
            case _:
                raise TypeError(f"{type(effect).__name__} is the house's to do")

    async def _attempt(self, effect: Attempt) -> None:
        """A command of the flow: its end comes as a card's event, or here when it fails."""
        try:
            client = self._shop.cards.line(self.card)
            match effect:
                case flow.AnswerCall(id) if self._web:
                    # A web caller's connection was there before the call was.
                    self._shop.report(self.contact, CommandDone(id, Done()))
                case flow.AnswerCall(id):
                    await client.command(line.Answer(self.call, self.customer), id=id)
                    self._shop.report(self.contact, CommandDone(id, Done()))
                case flow.Speak(id, texts, barge_in):
                    files = await self._files(id, texts)
                    if files is not None:
                        await client.command(line.Play(self.call, self.customer, id, files, False, barge_in), id=id)
                case flow.CollectDigits(id, texts):
                    files = await self._files(id, texts)
                    if files is not None:
                        await client.command(self._collect(effect, files), id=id)
                case flow.AskNumber(id, texts):
                    files = await self._files(id, texts)
                    if files is not None:
                        await client.command(number_collect(self.call, self.customer, effect, files), id=id)
                case flow.RecordMessage(id, texts):
                    files = await self._files(id, texts)
                    if files is not None:
                        await self._message(effect, files)
        except ControlError as error:
            if error.code not in RESTARTABLE or error.code == "timeout":
                log.warning("flow command failed", contact=self.contact, command=type(effect).__name__, code=error.code)
                self._shop.report(self.contact, CommandFailed(effect.id, error.code))

    def _collect(self, effect: flow.CollectDigits, files: list[str]) -> line.Collect:
        return line.Collect(
            self.call,
            self.customer,
            effect.id,
            files,
            effect.min_digits,
            effect.max_digits,
            effect.terminators,
            effect.first_timeout,
            effect.digit_timeout,
            effect.barge_in,
            effect.secret,
        )

    async def _message(self, effect: flow.RecordMessage, files: list[str]) -> None:
        """A voicemail: the end of the prompt and the beep starts the recording (see `prompted`); after a restart it goes on."""
        if self.recording == message_recording(self.contact, effect.id):
            await self.prompted(effect)
            return
        if effect.beep:
            files = [*files, str(self._shop.beep)]
        play = line.Play(self.call, self.customer, prompt_player(effect.id), files)
        await self._shop.cards.line(self.card).command(play, id=play.player)

    async def prompted(self, effect: flow.RecordMessage) -> None:
        """The prompt of a voicemail is over: record until a terminator, the limit, or the end of the call."""
        recording = message_recording(self.contact, effect.id)
        record = line.Record(
            self.call, recording, self.customer, str(self._shop.recordings), right=False, silence=effect.silence_seconds
        )
        collect = line.Collect(
            self.call,
            self.customer,
            message_collect(effect.id),
            [],
            1,
            1,
            effect.terminators or "#",
            effect.max_seconds,
            effect.max_seconds,
        )
        if await self.command(record, id=recording):
            await self.command(collect, id=message_collect(effect.id))
            # The limit again, should the collector's end have been told to an exchange that died before it could act.
            loop = asyncio.get_running_loop()
            loop.call_later(effect.max_seconds + LIMIT_SLACK, self.do, flow.StopRecording(effect.id))
        else:
            self._shop.report(self.contact, CommandFailed(effect.id, "record-failed"))

    async def _files(self, id: str, texts: list[str]) -> list[str] | None:
        """The spoken texts; None when a StopSpeaking came first."""
        self._speaking = id
        self._silence.clear()
        stop = asyncio.ensure_future(self._silence.wait())
        made = asyncio.ensure_future(self._speak(texts))
        both: set[asyncio.Future[Any]] = {stop, made}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            return made.result() if made.done() else None
        finally:
            self._speaking = ""
            stop.cancel()
            made.cancel()

    async def _speak(self, texts: list[str]) -> list[str]:
        rate = self._shop.cards.rates.get(self.card, 16000)
        return [spoken.path for spoken in await asyncio.gather(*(self._shop.cards.speak(text, rate) for text in texts))]


def prompt_player(id: str) -> str:
    """The player of a voicemail's prompt."""
    return f"{id}/prompt"


def message_collect(id: str) -> str:
    """The digit collector that ends a voicemail."""
    return f"{id}/end"


def message_recording(contact: str, id: str) -> str:
    """The recording of a voicemail, the same at every replay."""
    return recording_id(contact, int(id.rpartition(".")[2]) + 1000)
