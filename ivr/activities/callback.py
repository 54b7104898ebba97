"""Activity `callback`: offer to call back instead of having the caller wait."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec

from ivr.activities.base import Activity, Exit, Name, Prompt, Seconds, named
from ivr.activities.queue import Digit
from ivr.effects import AskNumber, CollectDigits, Command, OfferCallback, TakeCallback
from ivr.inputs import CallbackOffer, CommandResult, Digits, NumberKeyed
from ivr.numbers import is_country
from ivr.step import Step


class OtherNumber(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How another number is asked for: the digit that chooses it, what is said then, and what after a bad one."""

    prompt: Prompt
    digit: Digit = "2"
    invalid_prompt: Prompt | None = None
    retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 2
    country: Annotated[str, msgspec.Meta(pattern=r"^([A-Z]{2})?$")] = ""
    first_timeout: Seconds = 8.0
    digit_timeout: Seconds = 5.0


class Callback(Activity, frozen=True, kw_only=True, tag="callback"):
    """Offers to call the contact back when its turn in `queue` comes; who waits in that queue keeps the place.

    `accept` takes the number that the caller calls from; with `other`, another one can be keyed in. A caller whose own number
    is not known is asked for one at once. Exits: `taken` (say goodbye then), `declined` (anything else was pressed, or
    nothing), `refused` (the queue calls nobody back, is closed, or nobody could be dialled). Until it is taken, an agent may
    take the call.

    Resumes: the same question again with the same id; a callback that was taken stays taken.
    """

    queue: Name
    prompt: Prompt
    accept: Digit = "1"
    other: OtherNumber | None = None
    within: Annotated[float, msgspec.Meta(ge=0, le=604800)] = 0.0
    first_timeout: Seconds = 5.0

    def outlets(self) -> tuple[Exit, ...]:
        return (Exit("taken", waits=True), Exit("declined"), Exit("refused"))

    def prompts(self) -> Iterator[tuple[str, str]]:
        yield from named("prompt", self.prompt)
        if self.other is not None:
            yield from named("other.prompt", self.other.prompt)
            yield from named("other.invalid_prompt", self.other.invalid_prompt)

    def faults(self) -> Iterator[tuple[str, str]]:
        if self.other is not None and self.other.digit == self.accept:
            yield "bad-setting", f"other.digit and accept are both {self.accept}; one digit can mean one thing only."
        if self.other is not None and self.other.country and not is_country(self.other.country):
            yield "bad-setting", f"other.country: there is no country {self.other.country} (two letters, like DE)."

    def keeps_place(self, queue: str) -> bool:
        return queue == self.queue

    def enter(self, step: Step) -> None:
        step.phase = "checking"
        step.issue(OfferCallback(step.next_id(), self.queue))

    def done(self, step: Step, command: Command, result: CommandResult) -> None:
        match result:
            case CallbackOffer(own_number=True):
                step.phase = "asking"
                texts = step.render(self.prompt)
                step.issue(CollectDigits(step.next_id(), texts, first_timeout=self.first_timeout))
            case CallbackOffer():
                self._ask_number(step, again=False)
            case Digits(digits=digits) if digits == self.accept:
                self._take(step)
            case Digits(digits=digits) if self.other is not None and digits == self.other.digit:
                self._ask_number(step, again=False)
            case NumberKeyed(why="good"):
                self._take(step)
            case NumberKeyed(why="bad"):
                self._ask_number(step, again=True)
            case _ if isinstance(command, TakeCallback):
                step.queued = ""
                step.leave("taken")
            case _:
                step.leave("declined")

    def failed(self, step: Step, command: Command, code: str) -> None:
        step.leave("refused" if isinstance(command, (OfferCallback, TakeCallback)) else "declined")

    def _take(self, step: Step) -> None:
        step.phase = "taking"
        step.issue(TakeCallback(step.next_id(), self.queue, self.within))

    def _ask_number(self, step: Step, *, again: bool) -> None:
        other, bad = self.other, step.memory.get("bad", 0)
        if other is None:
            step.leave("refused")
            return
        if again and bad >= other.retries:
            step.leave("declined")
            return
        step.memory["bad"] = bad + again
        before = step.render(other.invalid_prompt) if again and other.invalid_prompt is not None else []
        texts = [*before, *step.render(other.prompt)]
        step.phase = "keying"
        step.issue(AskNumber(step.next_id(), texts, other.country, other.first_timeout, other.digit_timeout))
