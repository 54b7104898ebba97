"""What a SIP caller (`switchroom call --listen --save`) hears: while the call is up, and exactly, afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.tools import tones
from tests.tools.switchroom import Switchroom, Tool

SURE = 0.2
"""Seconds of one tone that the caller waits for before it tells."""
EARLY = ("--digits-at", "0.5")
"""Pressed into the greeting: what follows does not wait for the menu."""
NEAR = 15
"""Hz between what is hummed and what a window of 0.1 s can tell of it."""


class Caller:
    """One call; `number` finds it again in the records."""

    def __init__(self, tool: Tool, number: str, saved: Path, hz: int) -> None:
        self.tool = tool
        self.number = number
        self.saved = saved
        self.hz = hz

    @classmethod
    async def dial(
        cls, house: Switchroom, folder: Path, number: str, *, hz: int = 440, seconds: int = 150, early: bool = True
    ) -> Caller:
        """Dial the demo's number, press 1 into the greeting, as callers do who know the menu, or after it, and hum."""
        saved = folder / f"caller-{number}.wav"
        words = ["--tone", str(hz), "--caller", number, "--seconds", str(seconds), "--save", str(saved), "--listen"]
        return cls(await house.call("--digits", "1", *(EARLY if early else ()), *words), number, saved, hz)

    async def hears(self, hz: int, *, after: float = 0.0, timeout: float = 15.0) -> dict[str, Any]:
        """Wait until this is the strongest tone (0: silence), told later than `after`; the event."""
        return await self._hears(lambda e: abs(e["hz"] - hz) <= (NEAR if hz else 0), after, timeout, f"{hz} Hz")

    async def hears_other(self, hz: int, *, after: float = 0.0, timeout: float = 15.0) -> dict[str, Any]:
        """Wait until something else than this tone and than silence is the strongest."""
        return await self._hears(lambda e: e["hz"] > 0 and abs(e["hz"] - hz) > NEAR, after, timeout, f"other than {hz} Hz")

    async def _hears(self, fits: Any, after: float, timeout: float, what: str) -> dict[str, Any]:
        def last(event: dict[str, Any]) -> bool:
            newest = next((e for e in reversed(self.tool.events) if e["event"] == "hears"), None)
            return event is newest and event["t"] > after and bool(fits(event))

        return await self.tool.first(last, what, timeout)

    async def hang_up(self) -> dict[str, Any]:
        """End the call from this side; the summary."""
        await self.tool.stop()
        return await self.tool.end()

    def heard(self) -> Heard:
        """What was heard, once the call is over."""
        return Heard(self)


class Heard:
    """The saved sound of a caller, on the clock of `time.monotonic`."""

    def __init__(self, caller: Caller) -> None:
        samples, self.rate = tones.load(caller.saved)
        self.samples = tones.mono(samples)
        told = [e for e in caller.tool.events if e["event"] == "hears"]
        assert told, caller.tool.events
        # A look can only be late: the earliest is nearest to when the sound was there.
        self.start = min(e["t"] - e["at"] - SURE for e in told)

    def level(self, hz: float, begin: float, end: float) -> float:
        """dBFS of one tone between two times."""
        return tones.level(self._cut(begin, end), self.rate, hz)

    def power(self, begin: float, end: float) -> float:
        """dBFS of everything between two times."""
        return tones.power(self._cut(begin, end))

    def since(self, hz: float, begin: float, *, above: float = -35.0, seconds: float = 1.0) -> float | None:
        """The first time from `begin` on at which the tone is there for so long without a gap of 0.1 s; None: never."""
        step, needed = 0.1, round(seconds / 0.1)
        found = tones.windows(self.samples[self._index(begin) :], self.rate, hz, step)
        loud = [level > above for _, level in found]
        return next((begin + found[i][0] for i in range(len(loud) - needed + 1) if all(loud[i : i + needed])), None)

    def gaps(self, hz: float, begin: float, end: float, *, above: float = -35.0) -> float:
        """Seconds of 0.1 s windows between two times in which the tone is missing."""
        return 0.1 * sum(level <= above for _, level in tones.windows(self._cut(begin, end), self.rate, hz, 0.1))

    def replaced(self, hz: float, begin: float) -> tuple[float, float]:
        """From `begin` on: when this tone ends, and when something else is heard in its place."""
        found = tones.windows(self.samples[self._index(begin) :], self.rate, hz, 0.1)
        ended = next(at for at, level in found if level < -45)
        other = next(at for at, level in found if at > ended and level < -45 < self.power(begin + at, begin + at + 0.1) + 5)
        return begin + ended, begin + other

    def _cut(self, begin: float, end: float) -> tones.Samples:
        cut = self.samples[self._index(begin) : self._index(end)]
        assert len(cut) >= 0.9 * (end - begin) * self.rate, "that is not in the recording"
        return cut

    def _index(self, at: float) -> int:
        return max(0, round((at - self.start) * self.rate))
