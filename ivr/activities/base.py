"""What every activity of the language has: settings, exits, and its behaviour as answers to inputs.

A settings Struct is the activity: the document holds one for each activity, the runner calls its methods with a Step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec

from ivr.effects import Command
from ivr.inputs import CommandResult, QueueChanged, Refusal
from ivr.step import Step

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
Prompt = Text | Annotated[list[Text], msgspec.Meta(min_length=1, max_length=20)]
"""One text, or several that are spoken one after the other."""

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86400)]
Digits = Annotated[str, msgspec.Meta(pattern=r"^[0-9*#]{1,8}$")]
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Exit(msgspec.Struct, frozen=True):
    """A way out. `required`: it must be connected. `waits`: taking it needs the caller's doing or a stretch of waiting."""

    name: str
    required: bool = True
    waits: bool = False


class Activity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """Settings common to all: `exits` joins exit names to activities, `note` is for people."""

    exits: dict[str, Name] = {}
    note: str = ""

    # --- the language ---------------------------------------------------------------------------------------------

    def outlets(self) -> tuple[Exit, ...]:
        """The exits that this activity has with these settings."""
        return (Exit("done"),)

    def prompts(self) -> Iterator[tuple[str, str]]:
        """All templates: the setting's name and the text."""
        return iter(())

    def faults(self) -> Iterator[tuple[str, str]]:
        """What is wrong within the settings themselves: code and sentence."""
        return iter(())

    def needs_answer(self) -> bool:
        """The caller must be answered before this activity."""
        return True

    def keeps_place(self, queue: str) -> bool:
        """A caller who still waits in this queue goes on waiting here: an agent may take them at any moment."""
        return True

    # --- the behaviour --------------------------------------------------------------------------------------------

    def enter(self, step: Step) -> None:
        """The caller arrives."""
        raise NotImplementedError

    def done(self, step: Step, command: Command, result: CommandResult) -> None:
        """A command of this activity is over."""

    def failed(self, step: Step, command: Command, code: str) -> None:
        """A command of this activity could not be carried out."""
        step.fail(code)

    def due(self, step: Step, names: list[str]) -> None:
        """Deadlines of this activity have come."""

    def queue_changed(self, step: Step, change: QueueChanged) -> None:
        """The contact's place has changed; the variables have it already."""

    def unavailable(self, step: Step, why: Refusal) -> None:
        """The contact is not in the queue, or no more."""

    def unassigned(self, step: Step) -> None:
        """The agent is lost; what cannot be gone on with begins again."""
        step.enter(step.activity)
        self.enter(step)

    def left(self, step: Step) -> None:
        """The caller is gone; a last word before the end."""


def named(setting: str, prompt: Prompt | None) -> Iterator[tuple[str, str]]:
    """The texts of one prompt with the setting's name."""
    if prompt is not None:
        for text in [prompt] if isinstance(prompt, str) else prompt:
            yield setting, text
