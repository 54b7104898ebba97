"""Numbers as a person reads them: percentiles and Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """By nearest rank; 0 without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def milliseconds(name: str, values: Sequence[float]) -> list[str]:
    """A row: samples, p50, p95, p99, highest."""
    if not values:
        return [name, "0", "–", "–", "–", "–"]
    cells = (*(percentile(values, share) for share in (0.5, 0.95, 0.99)), max(values))
    return [name, str(len(values)), *(f"{value * 1000:.1f} ms" for value in cells)]


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown, aligned; numbers to the right."""
    widths = [max(len(row[n]) for row in (heads, *rows)) for n in range(len(heads))]
    aligned = [
        "| "
        + " | ".join(cell.ljust(w) if n == 0 else cell.rjust(w) for n, (cell, w) in enumerate(zip(row, widths, strict=True)))
        + " |"
        for row in (heads, *rows)
    ]
    rule = "|" + "|".join("-" * (w + 2) if n == 0 else "-" * (w + 1) + ":" for n, w in enumerate(widths)) + "|"
    return "\n".join([aligned[0], rule, *aligned[1:]])


def percent(value: float, digits: int = 2) -> str:
    return f"{value * 100:.{digits}f} %"
