"""Telephone numbers that callers key in: whether they can be called, and how they are written."""

from __future__ import annotations

import phonenumbers

COUNTRIES = frozenset(phonenumbers.SUPPORTED_REGIONS)
"""Two letters each (ISO 3166)."""


def callable_number(digits: str, country: str = "") -> str | None:
    """The number in E.164 with its plus; None for one that nobody has. Without a country it must begin with 00 or its code."""
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
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
