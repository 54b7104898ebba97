"""What happens to a simulated call, as a story: the steps of a script, carried out one after the other in virtual time."""

from __future__ import annotations

from typing import Literal

import msgspec

from ivr.inputs import Refusal


class Press(msgspec.Struct, frozen=True, tag="press"):
    """The caller answers the next question a second after its end, or `early`: a second into whatever is being said."""

    digits: str
    early: bool = False


class Silence(msgspec.Struct, frozen=True, tag="silence"):
    """The caller lets the next question pass without a digit."""


class Wait(msgspec.Struct, frozen=True, tag="wait"):
    """Time passes."""

    seconds: float


class Place(msgspec.Struct, frozen=True, tag="place"):
    """The queue says where the caller stands (first the call goes on until it is in a queue)."""

    position: int
    waiting: int
    ewt: float = -1.0


class Refuse(msgspec.Struct, frozen=True, tag="refuse"):
    """The queue does not take the caller, or keeps it no longer."""

    why: Refusal


class Agent(msgspec.Struct, frozen=True, tag="agent"):
    """An agent takes the call now."""

    agent: str = "agent1"


class AgentLost(msgspec.Struct, frozen=True, tag="agent_lost"):
    """The agent's connection is gone, the caller is back in the queue."""


class TalkOver(msgspec.Struct, frozen=True, tag="talk_over"):
    """The talk with the agent ends."""

    by: Literal["agent", "caller", "system"] = "agent"


class Message(msgspec.Struct, frozen=True, tag="message"):
    """The caller leaves a message of so many seconds at the next beep, and ends it with #."""

    seconds: float


class Fail(msgspec.Struct, frozen=True, tag="fail"):
    """What is being done right now fails."""

    code: str = "error"


class Leave(msgspec.Struct, frozen=True, tag="leave"):
    """The caller hangs up now."""


class Restart(msgspec.Struct, frozen=True, tag="restart"):
    """The exchange is away for so many seconds; media goes on."""

    seconds: float = 2.0


ScriptStep = Press | Silence | Wait | Place | Refuse | Agent | AgentLost | TalkOver | Message | Fail | Leave | Restart


class ScriptError(Exception):
    """The story does not fit the flow: the step cannot happen where the call is."""
