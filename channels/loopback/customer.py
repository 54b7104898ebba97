"""One scripted customer, step by step: what they do now, and until when they would wait; no clock, no network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from channels.loopback.script import Leave, Say, Script, Wait

Why = Literal["script", "patience"]


@dataclass(frozen=True)
class Write:
    """Send this message; `step` is the same each time for the same message."""

    step: int
    text: str


@dataclass(frozen=True)
class Go:
    """End the contact."""

    why: Why


Deed = Write | Go


class Customer:
    """Tell it what happened, then ask `deeds`. Times are seconds of one clock that the caller has."""

    def __init__(self, script: Script, now: float) -> None:
        self.over = False
        self.agent = ""
        self._script = script
        self._step = 0
        self._since = now
        """When the present step began."""
        self._alone = now
        """Since when there has been no agent."""
        self._answered = False

    def assigned(self, agent: str) -> None:
        """An agent has the conversation."""
        self.agent = agent

    def released(self, now: float) -> None:
        """No longer."""
        if self.agent:
            self.agent, self._alone = "", now

    def heard(self) -> None:
        """An agent wrote something."""
        self._answered = True

    def ended(self) -> None:
        """The contact has its final state."""
        self.over = True

    def deeds(self, now: float) -> list[Deed]:
        """All that is due."""
        found: list[Deed] = []
        while not self.over:
            deed = self._next(now)
            if deed is None:
                break
            found.append(deed)
            self.over = isinstance(deed, Go)
        return found

    def wake_at(self) -> float | None:
        """When something is due by time alone."""
        if self.over:
            return None
        times = [self._alone + self._script.patience] if self._script.patience and not self.agent else []
        step = self._current()
        if isinstance(step, Wait):
            seconds = step.wait if isinstance(step.wait, float) else step.patience
            if isinstance(step.wait, float) or seconds:
                times.append(self._since + seconds)
        return min(times, default=None)

    def _next(self, now: float) -> Deed | None:
        while True:
            if self._script.patience and not self.agent and now >= self._alone + self._script.patience:
                return Go("patience")
            step = self._current()
            match step:
                case Say():
                    number = self._step
                    self._answered = False
                    self._advance(now)
                    return Write(number, step.say)
                case Leave():
                    return Go("script")
                case Wait():
                    if not self._waited(step, now):
                        late = not isinstance(step.wait, float) and step.patience and now >= self._since + step.patience
                        return Go("patience") if late else None
                    self._advance(now)
                case None:
                    return None

    def _waited(self, step: Wait, now: float) -> bool:
        match step.wait:
            case "agent":
                return bool(self.agent)
            case "answer":
                return self._answered
            case seconds:
                return now >= self._since + seconds

    def _current(self) -> Say | Wait | Leave | None:
        return self._script.steps[self._step] if self._step < len(self._script.steps) else None

    def _advance(self, now: float) -> None:
        self._step += 1
        self._since = now
