"""The one thread that speaks to pjsua2: SIP events, timers and work posted by other threads, one after the other."""

from __future__ import annotations

import gc
import heapq
import itertools
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import structlog

from sip.linecard import guard

log = structlog.get_logger()

LONGEST_WAIT = 0.5
"""Seconds that one wait in pjsip takes at most, should a wake-up datagram ever be lost."""
COLLECT = 2.0
"""Seconds between two runs of the garbage collector."""
SWITCH_INTERVAL = 0.001
"""Seconds after which a thread must hand over the interpreter: the bridge's clock waits for it with a frame in hand."""


class Timer:
    """A function that will be called once in the engine's thread, unless it is cancelled."""

    __slots__ = ("cancelled", "function")

    def __init__(self, function: Callable[[], object]) -> None:
        self.function = function
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Engine:
    """Runs `libHandleEvents` and everything else that touches pjsua2."""

    def __init__(self) -> None:
        self._work: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._thread: threading.Thread | None = None
        self._handle: Callable[[int], Any] | None = None
        self._wake: socket.socket | None = None
        self._stopping = False
        self._waiting = False
        self.turns = 0

    def start(self, begin: Callable[[], tuple[Callable[[int], Any], tuple[str, int]]]) -> Future[None]:
        """Start the thread; it calls `begin`, which makes the endpoint and returns its event function and SIP address."""
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(begin, ready), name="pjsip", daemon=True)
        sys.setswitchinterval(SWITCH_INTERVAL)
        # Garbage may hold objects of pjsua2, whose destructors abort the process in a thread that pjlib does not know, and wait
        # for each other on the bridge's clock: only our thread collects. What is there already is no garbage.
        gc.freeze()
        gc.disable()
        self._thread.start()
        return ready

    def soon(self, function: Callable[[], None]) -> None:
        """Have `function` called in the thread as soon as it can; any thread may ask."""
        self._work.append(function)
        if self._waiting and self._wake is not None:
            self._wake.send(b"\r\n\r\n")  # a keep-alive (RFC 5626 §3.5.1) to our own SIP port ends pjsip's wait

    def later(self, seconds: float, function: Callable[[], object]) -> Timer:
        """Call `function` after so many seconds; only in the thread."""
        timer = Timer(function)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), timer))
        return timer

    def stop(self) -> None:
        """Leave the loop after the work that waits; any thread may ask."""

        def stop() -> None:
            self._stopping = True

        self.soon(stop)

    def join(self, timeout: float) -> bool:
        """Whether the thread has left."""
        if self._thread is not None:
            self._thread.join(timeout)
            return not self._thread.is_alive()
        return True

    def _run(self, begin: Callable[[], tuple[Callable[[int], Any], tuple[str, int]]], ready: Future[None]) -> None:
        try:
            self._handle, address = begin()
            self._wake = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._wake.connect(address)
        except Exception as error:
            # Whoever started the card is told, and ends it.
            ready.set_exception(error)
            return
        ready.set_result(None)
        self._collect()
        while not self._stopping:
            self._turn(self._handle)

    def _collect(self) -> None:
        gc.collect()
        self.later(COLLECT, self._collect)

    def _turn(self, handle: Callable[[int], Any]) -> None:
        self.turns += 1
        now = time.monotonic()
        while self._timers and (self._timers[0][0] <= now or self._timers[0][2].cancelled):
            timer = heapq.heappop(self._timers)[2]
            if not timer.cancelled:
                guard.guarded(timer.function)()
        wait = min(LONGEST_WAIT, max(0.0, self._timers[0][0] - time.monotonic())) if self._timers else LONGEST_WAIT
        self._waiting = True  # before the look at the queue: what is put in after it sends a wake-up
        if self._work:
            self._waiting = False
            while self._work:
                guard.guarded(self._work.popleft())()
            wait = 0.0
        handle(int(wait * 1000 + 0.999))
        self._waiting = False
