"""A line card as a process: the control socket on the main thread's loop, pjsua2 on the engine's thread."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import structlog
import uvloop

from media.control import logs
from media.control.envelope import ControlError
from media.control.line import Drain, EndCall, LineCommand, Shutdown, TakeInventory
from media.control.server import ControlServer
from sip.linecard.card import Card
from sip.linecard.commands import Commands
from sip.linecard.engine import Engine
from sip.linecard.settings import CardSettings

log = structlog.get_logger()
T = TypeVar("T")

LAST_WORDS = 2.0
"""Seconds that BYEs and the last events get at an immediate stop."""
FAREWELL = 0.3
"""Seconds after the last call's end in which its last SIP messages and events go out."""


class Process:
    """One card from start to end."""

    def __init__(self, settings: CardSettings) -> None:
        self._settings = settings
        self._generation = secrets.token_hex(8)
        self._engine = Engine()
        self._leaving = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._server = ControlServer(
            settings.control,
            card=settings.name,
            kind="linecard",
            commands=LineCommand,
            handler=self._handle,
            generation=self._generation,
        )
        self._card = Card(settings, self._generation, self._engine, self._emit, lambda: self._server.commanded)
        self._commands = Commands(self._card)

    async def run(self) -> None:
        """Serve until told to leave."""
        self._loop.add_signal_handler(signal.SIGTERM, self._terminate)
        self._loop.add_signal_handler(signal.SIGINT, self._leaving.set)
        await asyncio.wrap_future(self._engine.start(self._card.begin))
        async with self._server:
            log.info(
                "line card is up",
                card=self._settings.name,
                generation=self._generation,
                sip=self._card.sip,
                lines=self._card.lines,
                rate=self._settings.rate,
                rtp=f"{self._settings.rtp_first}-{self._settings.rtp_last}",
            )
            await self._leaving.wait()
            await self._end_calls()
            log.info("line card leaves", card=self._settings.name)
        self._engine.stop()
        await asyncio.to_thread(self._engine.join, 2.0)

    def _terminate(self) -> None:
        if self._card.draining:
            self._leaving.set()
            return
        log.info("draining: no new calls", card=self._settings.name)
        self._engine.soon(self._drain)

    def _drain(self) -> None:
        self._card.draining = True
        self._card.when_empty(lambda: self._loop.call_soon_threadsafe(self._loop.call_later, FAREWELL, self._leaving.set))

    async def _end_calls(self) -> None:
        """End what is left and wait for the BYEs to be on their way."""
        empty = asyncio.Event()

        def end() -> bool:
            self._card.draining = True
            had = bool(self._card.calls)
            for call in list(self._card.calls):
                self._commands.do(EndCall(call))
            self._card.when_empty(lambda: self._loop.call_soon_threadsafe(empty.set))
            return had

        if not await self._ask(end):
            return
        try:
            await asyncio.wait_for(empty.wait(), LAST_WORDS)
        except TimeoutError:
            log.warning("calls did not end in time", card=self._settings.name)
        await asyncio.sleep(FAREWELL)

    def _emit(self, body: Any) -> None:
        self._loop.call_soon_threadsafe(self._server.emit, body)

    async def _handle(self, body: Any) -> Any:
        match body:
            case TakeInventory():
                inventory = await self._ask(self._card.inventory)
                # The events before it were queued to this loop before its answer: this is the seq that it includes.
                return msgspec.structs.replace(inventory, seq=self._server.seq)
            case Drain():
                await self._ask(self._drain)
            case Shutdown():
                self._loop.call_later(0.05, self._leaving.set)
            case _ if self._leaving.is_set():
                raise ControlError("stopping", f"{self._settings.name} is leaving.", retryable=True)
            case _:
                await self._ask(lambda: self._commands.do(body))
        return None

    def _ask(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """What `function` gives in the engine's thread; a dozen times a call, so without the locks of a concurrent future."""
        future: asyncio.Future[T] = self._loop.create_future()

        def work() -> None:
            try:
                result = function()
            except Exception as error:
                # Whoever waits for the future gets it.
                self._loop.call_soon_threadsafe(_fail, future, error)
            else:
                self._loop.call_soon_threadsafe(_succeed, future, result)

        self._engine.soon(work)
        return future


def _succeed(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[T], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


async def _serve(settings: CardSettings) -> None:
    await Process(settings).run()


def run_card(settings: CardSettings) -> int:
    """Run a card in this process until it is told to leave; returns the exit status."""
    logs.configure_child()
    log.info("line card starts", card=settings.name, run=str(settings.run), rate=settings.rate)
    status = 0
    try:
        uvloop.run(_serve(settings))
    except Exception:
        # The process' border: say why before it goes.
        log.exception("line card failed", card=settings.name)
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: pjsua2's C++ destructors would run after Python's end, and wait a second for subscriptions we never have.
    os._exit(status)
