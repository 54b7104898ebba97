"""Telephone numbers that callers key in: collected in secret, checked, kept with the contact; the flow learns only whether."""

from __future__ import annotations

from ivr.effects import AskNumber
from ivr.inputs import NumberKeyed
from ivr.numbers import callable_number
from media.control import line

MOST_DIGITS = 20


def number_collect(call: str, party: str, asked: AskNumber, files: list[str]) -> line.Collect:
    """What the card is to do for it; the digits come in its one event."""
    return line.Collect(
        call,
        party,
        asked.id,
        files,
        max_digits=MOST_DIGITS,
        first_timeout=asked.first_timeout,
        digit_timeout=asked.digit_timeout,
        secret=True,
    )


def number_keyed(asked: AskNumber, digits: str, why: str) -> tuple[NumberKeyed, str]:
    """What the flow is told, and the number that is kept."""
    if why == "ended":
        return NumberKeyed("ended"), ""
    if not digits:
        return NumberKeyed("none"), ""
    number = callable_number(digits, asked.country)
    return (NumberKeyed("good"), number) if number is not None else (NumberKeyed("bad"), "")
