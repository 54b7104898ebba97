"""Voicemail: a prompt, a recording that ends by a key, by silence or by its length, and the answer to the flow."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from exchange.brain import records, tables
from exchange.brain.lines import Worker, message_collect, message_recording
from ivr import effects as flow
from ivr.inputs import CommandDone, Recorded
from media.control import line

if TYPE_CHECKING:
    from exchange.brain.shell import Exchange

RECORD_ENDS = {"enough": "terminator", "timeout": "limit", "no-input": "limit", "stopped": "stopped", "ended": "ended"}


class Message(msgspec.Struct):
    """A voicemail from its prompt to the end of its recording."""

    contact: str
    effect: flow.RecordMessage
    why: str = ""
    begun: bool = False


class Voicemail:
    """The messages that are being left, by the ids of their commands."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.messages: dict[str, Message] = {}

    def wanted(self, contact: str, effect: flow.RecordMessage) -> None:
        """A flow asks for one."""
        self.messages.setdefault(effect.id, Message(contact, effect))

    def prompted(self, contact: str, id: str, why: str) -> None:
        """The prompt was played."""
        message, worker = self.messages.get(id), self._exchange.workers.get(contact)
        if message is not None and worker is not None and why in {"finished", "failed"}:
            message.begun = True
            self._exchange.group.create_task(self._record(worker, message))

    async def _record(self, worker: Worker, message: Message) -> None:
        """The row first: should the card or we die now, the recording is still found and filed."""
        recording = message_recording(message.contact, message.effect.id)
        filing = self._exchange.filing
        filing.opened(recording, message.contact)
        filing.write(tables.message_opened(recording, message.contact, message.effect.queue, time.time()))
        await worker.prompted(message.effect)

    def stopped(self, contact: str, id: str, why: str) -> None:
        """The customer has pressed the key that ends it, or its time is over."""
        message = self.messages.get(id)
        if message is not None:
            message.why = RECORD_ENDS[why]
            talk = self._exchange.house.talks[contact]
            self._exchange.order(talk.card, line.StopRecord(talk.call, message_recording(contact, id)))

    def of_recording(self, recording: str) -> Message | None:
        """The message that is recorded in this recording."""
        return next((m for id, m in self.messages.items() if message_recording(m.contact, id) == recording), None)

    def ended(self, card: str, message: Message, body: line.RecordingEnded, seconds: float) -> None:
        """Its recording is over: the flow goes on."""
        id = message.effect.id
        del self.messages[id]
        talk = self._exchange.house.talks.get(message.contact)
        if body.quiet and talk is not None:
            self._exchange.order(card, line.StopCollect(body.call, talk.party, message_collect(id)))
        why = "silence" if body.quiet else message.why or "ended"
        ended = msgspec.convert({"type": "recorded", "seconds": seconds, "why": why}, Recorded)
        self._exchange.put(records.FlowAnswer(message.contact, CommandDone(id, ended)))

    def over(self, contact: str, *, dead: bool) -> None:
        """The contact is over: no recording will end that has not begun, or whose card is dead."""
        for id in [id for id, m in self.messages.items() if m.contact == contact and (dead or not m.begun)]:
            del self.messages[id]
