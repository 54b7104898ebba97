"""Collect on the card itself: prompt, digits, timeouts; the rules are in `collecting`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from media.control.line import Collect, Collected
from sip.linecard.bridge import Bridge
from sip.linecard.calls import Party
from sip.linecard.collecting import Collector, Rules, Why
from sip.linecard.engine import Engine, Timer
from sip.linecard.playing import FilesPlayback
from sip.linecard.playing import Why as PlayWhy


class Host(Protocol):
    """What a collection needs of the card."""

    bridge: Bridge
    engine: Engine

    def emit(self, body: object) -> None: ...

    def relink(self, party: Party) -> None: ...


class Collection:
    """One running Collect of a party."""

    def __init__(self, host: Host, party: Party, command: Collect, closed: Callable[[], None]) -> None:
        self.collect = command.collect
        self.secret = command.secret
        self._host = host
        self._party = party
        self._command = command
        self._closed = closed
        self._timer: Timer | None = None
        self._prompting = False
        self._collector = Collector(
            Rules(command.min_digits, command.max_digits, command.terminators, command.first_timeout, command.digit_timeout)
        )

    def start(self) -> None:
        """Take what was dialled ahead; play the prompt unless that made it needless."""
        if self._command.barge_in or not self._command.files:
            self._take_ahead()
        if self._collector.done is None and self._command.files and not self._collector.digits:
            playback = FilesPlayback(
                self._host.bridge,
                self._host.engine,
                player=self.collect,
                files=self._command.files,
                loop=False,
                barge_in=self._command.barge_in,
                changed=lambda: self._host.relink(self._party),
                ended=self._prompt_ended,
            )
            self._prompting = True
            self._party.playback = playback
            playback.start()
        else:
            self._listen()

    def digit(self, digit: str) -> None:
        """A digit of the party; during a prompt without barge-in it waits."""
        if self._prompting:
            if not self._command.barge_in:
                self._party.ahead.put(digit, time.monotonic())
                return
            if self._party.playback is not None:
                self._party.playback.stop("barged")
        self._collector.digit(digit, time.monotonic())
        self._settle()

    def stop(self, why: Why) -> None:
        """End it from outside."""
        self._collector.stop(why)
        self._settle()

    def _prompt_ended(self, why: PlayWhy) -> None:
        self._prompting = False
        self._party.playback = None
        if self._collector.done is None and why != "barged":
            self._take_ahead()
            self._listen()

    def _listen(self) -> None:
        self._collector.listen(time.monotonic())
        self._settle()

    def _take_ahead(self) -> None:
        now = time.monotonic()
        while self._collector.done is None and (digit := self._party.ahead.take(now)) is not None:
            self._collector.digit(digit, now)

    def _settle(self) -> None:
        """Set the next timer, or say that it is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        collector = self._collector
        if collector.done is None:
            if collector.deadline is not None:
                self._timer = self._host.engine.later(max(0.0, collector.deadline - time.monotonic()), self._expire)
            return
        if self._party.collection is not self:
            return
        if self._prompting and self._party.playback is not None:
            self._party.playback.stop("stopped")
        self._closed()
        self._host.emit(Collected(self._party.call.call, self._party.party, self.collect, collector.digits, collector.done))

    def _expire(self) -> None:
        self._collector.expire(time.monotonic())
        self._settle()
