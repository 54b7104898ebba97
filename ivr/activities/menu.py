"""Activity `menu`: ask for a choice by digit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec

from ivr.activities import base
from ivr.activities.base import Activity, Exit, Name, Prompt, Seconds, named
from ivr.effects import CollectDigits, Command
from ivr.inputs import CommandResult, Digits
from ivr.step import Step

OWN_EXITS = ("invalid", "no_input")


class Retry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often the menu asks again, and what it says before it does."""

    retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 2
    prompt: Prompt | None = None


class Menu(Activity, frozen=True, kw_only=True, tag="menu"):
    """Speaks `prompt` and takes the exit that `choices` gives for the digits pressed.

    Digits that are no choice count as `invalid`, none at all as `no_input`: each has its own retries and its own prompt,
    which is spoken before the menu's. When the retries are used up, the exit of that name is taken. A question that
    cannot be asked counts as `no_input`.
    Resumes: the same question again with the same id; the card goes on waiting, a digit pressed meanwhile counts.
    """

    prompt: Prompt
    choices: Annotated[dict[base.Digits, Name], msgspec.Meta(min_length=1, max_length=50)]
    invalid: Retry = Retry()
    no_input: Retry = Retry()
    first_timeout: Seconds = 5.0
    digit_timeout: Seconds = 3.0
    barge_in: bool = True

    def outlets(self) -> tuple[Exit, ...]:
        chosen = dict.fromkeys(exit for exit in self.choices.values() if exit not in OWN_EXITS)
        return (*(Exit(exit, waits=True) for exit in chosen), Exit("invalid", waits=True), Exit("no_input"))

    def prompts(self) -> Iterator[tuple[str, str]]:
        yield from named("prompt", self.prompt)
        yield from named("invalid.prompt", self.invalid.prompt)
        yield from named("no_input.prompt", self.no_input.prompt)

    def faults(self) -> Iterator[tuple[str, str]]:
        for digits, exit in self.choices.items():
            if exit in OWN_EXITS:
                yield (
                    "reserved-exit",
                    f"Choice {digits} cannot be called '{exit}': the menu has an exit of its own by that name.",
                )

    def enter(self, step: Step) -> None:
        self._ask(step, None)

    def done(self, step: Step, command: Command, result: CommandResult) -> None:
        pressed = result.digits if isinstance(result, Digits) else ""
        chosen = self.choices.get(pressed) or self.choices.get(pressed.rstrip("#"))
        if chosen is not None:
            step.leave(chosen)
        elif pressed:
            self._again(step, "invalid", self.invalid)
        else:
            self._again(step, "no_input", self.no_input)

    def failed(self, step: Step, command: Command, code: str) -> None:
        self._again(step, "no_input", self.no_input)

    def _again(self, step: Step, kind: str, retry: Retry) -> None:
        tries = step.memory.get(kind, 0)
        if tries >= retry.retries:
            step.leave(kind)
            return
        step.memory[kind] = tries + 1
        self._ask(step, retry.prompt)

    def _ask(self, step: Step, before: Prompt | None) -> None:
        longest = max(map(len, self.choices))
        terminated = longest > 1 and not any("#" in digits for digits in self.choices)
        step.phase = "asking"
        step.issue(
            CollectDigits(
                step.next_id(),
                [*(step.render(before) if before is not None else []), *step.render(self.prompt)],
                max_digits=longest,
                terminators="#" if terminated else "",
                first_timeout=self.first_timeout,
                digit_timeout=self.digit_timeout,
                barge_in=self.barge_in,
            )
        )
