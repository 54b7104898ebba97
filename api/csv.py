"""Tables as CSV (RFC 4180), which no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime

Cell = str | int | float | bool | datetime | None

FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a text may not begin with: spreadsheets would compute it (OWASP, CSV injection)."""


def table(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """One line of names, then one for each row; an empty cell is what is not known."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return text.getvalue()


def _cell(value: Cell) -> str | int | float:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        value = value.replace("\0", "")
        return f"'{value}" if value.startswith(FORMULAS) else value
    return value
