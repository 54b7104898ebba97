"""What the edge has seen, by name; the set of names is bounded by those who count."""

from __future__ import annotations

from collections import Counter

from sip.edge.rules import IN_DIALOG

KNOWN = frozenset((*IN_DIALOG, "REGISTER", "SUBSCRIBE", "MESSAGE", "PUBLISH"))


class Counters:
    """Counts since the start."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, name: str) -> None:
        self._counts[name] += 1

    def request(self, method: str, side: str) -> None:
        """A request by method; methods that nobody knows share one name."""
        self._counts[f"requests.{side}.{method if method in KNOWN else 'other'}"] += 1

    def response(self, code: int, side: str) -> None:
        self._counts[f"responses.{side}.{code}"] += 1

    def dropped(self, reason: str) -> None:
        self._counts[f"dropped.{reason}"] += 1

    def __getitem__(self, name: str) -> int:
        return self._counts[name]

    def snapshot(self) -> dict[str, float]:
        return {name: float(count) for name, count in sorted(self._counts.items())}
