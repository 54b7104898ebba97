"""What a flow wants done: the effects of the runner, carried out by the exchange in their order.

A *command* has an id (`<contact>.<n>`, the same for the same history) and ends with CommandDone or CommandFailed of that id;
sent twice it must act once. The others are idempotent by nature. Texts are rendered: they are spoken one after the other.
"""

from __future__ import annotations

from typing import Literal

import msgspec

HangUpReason = Literal["goodbye", "talk-ended", "error"]
LeaveReason = Literal["timeout", "caller-left", "moved-on", "error"]


# --- commands -----------------------------------------------------------------------------------------------------


class AnswerCall(msgspec.Struct, frozen=True, tag="answer_call"):
    """Answer the call; ends with Done."""

    id: str


class Speak(msgspec.Struct, frozen=True, tag="speak"):
    """Say the texts; ends with Played. With `barge_in` any digit stops it and stays for the next CollectDigits."""

    id: str
    texts: list[str]
    barge_in: bool = False


class CollectDigits(msgspec.Struct, frozen=True, tag="collect_digits"):
    """Say the texts, then wait for digits; ends with Digits. The settings are those of the line card's Collect."""

    id: str
    texts: list[str]
    min_digits: int = 1
    max_digits: int = 1
    terminators: str = ""
    first_timeout: float = 5.0
    digit_timeout: float = 3.0
    barge_in: bool = True
    secret: bool = False


class RecordMessage(msgspec.Struct, frozen=True, tag="record_message"):
    """Say the texts, beep, record the caller until the limit, silence or a terminator; ends with Recorded.

    A message of at least `min_seconds` is kept for `queue` (empty: for nobody in particular), a shorter one is thrown away;
    the same holds when the caller hangs up in the middle of it.
    """

    id: str
    texts: list[str]
    beep: bool = True
    min_seconds: float = 1.0
    max_seconds: float = 120.0
    silence_seconds: float = 4.0
    terminators: str = "#"
    queue: str = ""


class EnterQueue(msgspec.Struct, frozen=True, tag="enter_queue"):
    """Put the contact into the queue; answered by QueueChanged (it waits), Assigned, Unavailable, or CommandFailed."""

    id: str
    queue: str
    priority: int = 5


class OfferCallback(msgspec.Struct, frozen=True, tag="offer_callback"):
    """Ask whether the queue would call the contact back; ends with CallbackOffer, or with CommandFailed when it would not."""

    id: str
    queue: str


class AskNumber(msgspec.Struct, frozen=True, tag="ask_number"):
    """Say the texts, then have the caller key in a telephone number, up to `#`; ends with NumberKeyed.

    The number is personal: it is kept with the contact by whoever carries this out, and reaches neither flow nor log. `country`
    is where numbers without a country code belong.
    """

    id: str
    texts: list[str]
    country: str = ""
    first_timeout: float = 8.0
    digit_timeout: float = 5.0


class TakeCallback(msgspec.Struct, frozen=True, tag="take_callback"):
    """The contact is called back, in its place of the queue; ends with Done, or with CommandFailed when the queue refuses.

    `within` seconds; 0 is whenever its turn comes. The caller may hang up then.
    """

    id: str
    queue: str
    within: float = 0.0


# --- idempotent by nature -----------------------------------------------------------------------------------------


class StopSpeaking(msgspec.Struct, frozen=True, tag="stop_speaking"):
    """Stop the Speak or CollectDigits with this id now (empty: whatever is said or asked); its end needs no report."""

    id: str


class StopRecording(msgspec.Struct, frozen=True, tag="stop_recording"):
    """Stop the RecordMessage with this id now, and keep or throw away what there is by its rule."""

    id: str


class MusicOn(msgspec.Struct, frozen=True, tag="music_on"):
    """Music to the caller until MusicOff; `file` empty: the house's own."""

    file: str = ""


class MusicOff(msgspec.Struct, frozen=True, tag="music_off"):
    """No more music."""


class LeaveQueue(msgspec.Struct, frozen=True, tag="leave_queue"):
    """Take the contact out of its queue. If an agent accepted meanwhile, send Assigned: the flow then falls silent."""

    why: LeaveReason


class HangUp(msgspec.Struct, frozen=True, tag="hang_up"):
    """End the call; the flow is over."""

    reason: HangUpReason


class WakeAt(msgspec.Struct, frozen=True, tag="wake_at"):
    """Send DeadlineReached at this time; replaces the WakeAt before."""

    at: float


Command = AnswerCall | Speak | CollectDigits | RecordMessage | EnterQueue | OfferCallback | AskNumber | TakeCallback
FlowEffect = Command | StopSpeaking | StopRecording | MusicOn | MusicOff | LeaveQueue | HangUp | WakeAt
