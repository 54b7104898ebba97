"""Digits of a party: what was dialled ahead, and the rules by which a collection ends. Pure: time comes in."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

AHEAD_SECONDS = 10.0
"""A digit dialled ahead counts so long; what is older was meant for something else."""
AHEAD_MOST = 32

Why = Literal["enough", "timeout", "no-input", "stopped", "ended"]


class TypeAhead:
    """Digits that nobody has asked for yet."""

    def __init__(self) -> None:
        self._digits: deque[tuple[float, str]] = deque(maxlen=AHEAD_MOST)

    def put(self, digit: str, now: float) -> None:
        self._digits.append((now, digit))

    def take(self, now: float) -> str | None:
        """The oldest digit that still counts."""
        while self._digits:
            at, digit = self._digits.popleft()
            if now - at <= AHEAD_SECONDS:
                return digit
        return None


@dataclass(frozen=True, slots=True)
class Rules:
    """When a collection ends."""

    min_digits: int
    max_digits: int
    terminators: str
    first_timeout: float
    digit_timeout: float


class Collector:
    """Gathers digits; `done` says why it ended, `deadline` when it must be asked again."""

    def __init__(self, rules: Rules) -> None:
        self.digits = ""
        self.done: Why | None = None
        self.deadline: float | None = None
        self._rules = rules

    def listen(self, now: float) -> None:
        """The prompt is over (or there was none): the first timeout begins, unless digits came already."""
        if self.done is None and not self.digits:
            self.deadline = now + self._rules.first_timeout

    def digit(self, digit: str, now: float) -> None:
        """A digit came."""
        if self.done is not None:
            return
        if digit in self._rules.terminators:
            # Fewer than wanted with a terminator is no answer, and says so by the digits that it has.
            self._end("enough" if len(self.digits) >= self._rules.min_digits else "no-input" if not self.digits else "timeout")
            return
        self.digits += digit
        if len(self.digits) >= self._rules.max_digits:
            self._end("enough")
        else:
            self.deadline = now + self._rules.digit_timeout

    def expire(self, now: float) -> None:
        """The deadline has come."""
        if self.done is None and self.deadline is not None and now >= self.deadline:
            self._end("timeout" if self.digits else "no-input")

    def stop(self, why: Why) -> None:
        if self.done is None:
            self._end(why)

    def _end(self, why: Why) -> None:
        self.done = why
        self.deadline = None
