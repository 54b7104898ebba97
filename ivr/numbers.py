"""Telephone numbers that callers key in: whether they can be called, and how they are written."""

from __future__ import annotations

from functools import cache
from types import ModuleType


@cache
def load() -> ModuleType:
    """The library that knows all numbers; a tenth of a second, for which a start has better uses."""
    import phonenumbers

    return phonenumbers


def is_country(code: str) -> bool:
    """Whether these two letters (ISO 3166) are a country with telephone numbers."""
    return code in load().SUPPORTED_REGIONS


def callable_number(digits: str, country: str = "") -> str | None:
    """The number in E.164 with its plus; None for one that nobody has. Without a country it must begin with 00 or its code."""
    phonenumbers = load()
    digits = digits.strip().rstrip("#")
    if digits.startswith("00"):
        digits, country = f"+{digits[2:]}", ""
    elif not country and not digits.startswith("+"):
        digits = f"+{digits}"
    try:
        number = phonenumbers.parse(digits, country or None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    written: str = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return written
