"""Who is the same customer."""

from __future__ import annotations

import pytest

from acd.model import Channel
from exchange.brain.customers import Customers

pytestmark = pytest.mark.unit

OURS = Customers(b"key")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("voice", "+49 30 123-45"), ("sms", "00493012345"), True),
        (("voice", "4930123"), ("whatsapp", "+4930123"), True),
        (("voice", "+4930123"), ("voice", "+4930124"), False),
        (("email", "Jo@Example.org "), ("email", "jo@example.org"), True),
        (("email", "jo@example.org"), ("chat", "jo@example.org"), False),
        (("voice", "alice1"), ("voice", "1"), False),
        (("voice", "Alice"), ("voice", "alice"), True),
    ],
)
def test_the_same_customer(one: tuple[Channel, str], other: tuple[Channel, str], same: bool) -> None:
    assert OURS.of(*one)
    assert (OURS.of(*one) == OURS.of(*other)) is same


def test_nobody_is_nobody_and_another_key_tells_nothing() -> None:
    assert [OURS.of("voice", text) for text in ("", "anonymous", "Unknown", " ")] == [""] * 4
    assert OURS.of("voice", "+4930123") != Customers(b"other").of("voice", "+4930123")
    assert "30123" not in OURS.of("voice", "+4930123")
