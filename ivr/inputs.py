"""What can happen to a flow: the inputs of the runner. All are plain values, so that they can be logged and replayed.

Late or repeated inputs are harmless: the answer to a command that is not outstanding, or anything after the end, changes
nothing. Times are seconds.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Value = str | bool | int | float
"""What a variable can hold."""

PlayEnd = Literal["finished", "stopped", "barged", "failed"]
CollectEnd = Literal["enough", "timeout", "no-input", "stopped", "ended"]
RecordEnd = Literal["terminator", "silence", "limit", "stopped", "ended"]
KeyedEnd = Literal["good", "bad", "none", "ended"]
Refusal = Literal["nobody", "closed", "full", "overflow"]


# --- results of commands ------------------------------------------------------------------------------------------


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The command was done and has nothing to tell: the call is answered, the contact is in the queue."""


class Played(msgspec.Struct, frozen=True, tag="played"):
    """A Speak is over; the words are those of the line card's PlayEnded."""

    why: PlayEnd = "finished"


class Digits(msgspec.Struct, frozen=True, tag="digits"):
    """A CollectDigits is over; the words are those of the line card's Collected. Its repr never shows the digits."""

    digits: str
    why: CollectEnd = "enough"

    def __repr__(self) -> str:
        return f"Digits(<{len(self.digits)}>, why={self.why!r})"


class Recorded(msgspec.Struct, frozen=True, tag="recorded"):
    """A RecordMessage is over: `seconds` is the length of the message without prompt, beep and closing silence."""

    seconds: float
    why: RecordEnd = "terminator"


class CallbackOffer(msgspec.Struct, frozen=True, tag="callback_offer"):
    """The queue would call back; `own_number`: at the number that the caller calls from, too."""

    own_number: bool = True


class NumberKeyed(msgspec.Struct, frozen=True, tag="number_keyed"):
    """An AskNumber is over: the number can be called, cannot, or there was none."""

    why: KeyedEnd = "good"


CommandResult = Done | Played | Digits | Recorded | CallbackOffer | NumberKeyed


# --- inputs -------------------------------------------------------------------------------------------------------


class Started(msgspec.Struct, frozen=True, tag="started"):
    """The call is here and the flow begins; `variables` are `caller`, `called` and those that the flow declares."""

    contact: str
    variables: dict[str, Value] = {}

    def __repr__(self) -> str:
        return f"Started({self.contact!r}, variables=<{len(self.variables)}>)"


class CommandDone(msgspec.Struct, frozen=True, tag="command_done"):
    """The command with this id came to its end."""

    id: str
    result: CommandResult = Done()


class CommandFailed(msgspec.Struct, frozen=True, tag="command_failed"):
    """The command with this id could not be carried out; `code` is the card's or the engine's."""

    id: str
    code: str = "error"


class DeadlineReached(msgspec.Struct, frozen=True, tag="deadline_reached"):
    """The time of the last WakeAt has come (a call too early or too late does no harm)."""


class QueueChanged(msgspec.Struct, frozen=True, tag="queue_changed"):
    """The contact's place: `position` from 1, `waiting` in all, `ewt` the expected wait in seconds (-1: unknown).

    The first one also says that the queue has taken the contact.
    """

    position: int
    waiting: int
    ewt: float = -1.0


class Assigned(msgspec.Struct, frozen=True, tag="assigned"):
    """An agent accepted the offer: the flow falls silent and sleeps."""

    agent: str


class Unassigned(msgspec.Struct, frozen=True, tag="unassigned"):
    """The agent is lost and the engine has put the contact back to the front of its queue."""

    why: str = "agent-lost"


class Unavailable(msgspec.Struct, frozen=True, tag="unavailable"):
    """The queue does not take the contact, or keeps it no longer; it is not in the queue now.

    With `overflow` a rule of the queue says where it shall go: `kind` is voicemail, number or flow, `target` its name.
    """

    why: Refusal
    kind: str = ""
    target: str = ""


class TalkEnded(msgspec.Struct, frozen=True, tag="talk_ended"):
    """The conversation with the agent is over."""

    by: Literal["agent", "caller", "system"] = "agent"


class CallerLeft(msgspec.Struct, frozen=True, tag="caller_left"):
    """The caller hung up, or the call was lost."""


class Resumed(msgspec.Struct, frozen=True, tag="resumed"):
    """The exchange is back after `gap` seconds: deadlines move by it, outstanding effects come again with the same ids."""

    gap: float = 0.0


FlowInput = (
    Started
    | CommandDone
    | CommandFailed
    | DeadlineReached
    | QueueChanged
    | Assigned
    | Unassigned
    | Unavailable
    | TalkEnded
    | CallerLeft
    | Resumed
)
