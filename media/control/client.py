"""The other side of the control protocol: commands a card, receives its events, reconnects for ever."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar, overload

import msgspec
import structlog

from media.control.envelope import (
    Ack,
    Command,
    ControlError,
    Event,
    Failure,
    FrameError,
    FrameReader,
    Hello,
    Refused,
    Reply,
    Role,
    Welcome,
    encode,
    encode_body,
)

log = structlog.get_logger()
T = TypeVar("T")

FIRST_RETRY = 0.02
LAST_RETRY = 0.5


class ControlClient:
    """A connection to one card's control socket that comes back by itself."""

    def __init__(
        self,
        path: Path,
        *,
        role: Role = "commander",
        events: Any = None,
        on_event: Callable[[Event, Any], None] | None = None,
        on_connected: Callable[[Welcome], Awaitable[None]] | None = None,
        on_lost: Callable[[], None] | None = None,
        generation: str = "",
        after: int = 0,
        epoch: int = 0,
    ) -> None:
        self.welcome: Welcome | None = None
        self.generation = generation
        self.after = after
        self._path = path
        self._role: Role = role
        self._epoch = epoch
        self._events: msgspec.msgpack.Decoder[Any] | None = msgspec.msgpack.Decoder(events) if events is not None else None
        self._on_event = on_event
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._replies: dict[str, asyncio.Future[Reply]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._greeting: asyncio.Task[None] | None = None
        self._ids = itertools.count(1)
        self._prefix = secrets.token_hex(6)

    async def __aenter__(self) -> ControlClient:
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"control {self._path.name}")
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in (self._task, self._greeting):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self._cut()

    async def connected(self) -> Welcome:
        """Wait until the card has welcomed us."""
        while self.welcome is None:
            await self._ready.wait()
        return self.welcome

    @overload
    async def command(self, body: Any, reply: type[T], *, id: str | None = None, timeout: float = 5.0) -> T: ...

    @overload
    async def command(self, body: Any, *, id: str | None = None, timeout: float = 5.0) -> None: ...

    async def command(
        self, body: Any, reply: type[T] | None = None, *, id: str | None = None, timeout: float = 5.0
    ) -> T | None:
        """Send one command and wait for its reply; raises ControlError (`card-gone`, `timeout`, or the card's own code)."""
        if self._writer is None or self.welcome is None:
            raise ControlError("card-gone", f"{self._path.stem} is not connected.", retryable=True)
        name = id if id is not None else f"{self._prefix}.{next(self._ids)}"
        future = self._replies.get(name)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            self._replies[name] = future
        self._writer.write(encode(Command(name, encode_body(body))))
        try:
            answer = await asyncio.wait_for(asyncio.shield(future), timeout)
        except TimeoutError:
            self._replies.pop(name, None)
            raise ControlError(
                "timeout", f"{self._path.stem} did not answer {type(body).__name__} in {timeout:g} s.", retryable=True
            ) from None
        if answer.failure is not None:
            raise ControlError(answer.failure.code, answer.failure.message, retryable=answer.failure.retryable)
        if reply is None:
            return None
        try:
            return msgspec.msgpack.decode(answer.body, type=reply)
        except msgspec.DecodeError as error:
            raise ControlError("bad-reply", f"{self._path.stem} answered something else: {error}") from error

    def ack(self, seq: int) -> None:
        """Tell the card that all events up to `seq` are dealt with."""
        if self._writer is not None and self.welcome is not None:
            self._writer.write(encode(Ack(seq)))

    # --- the connection -------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        delay = FIRST_RETRY
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(str(self._path))
            except OSError:
                await asyncio.sleep(delay)
                delay = min(delay * 2, LAST_RETRY)
                continue
            delay = FIRST_RETRY
            self._writer = writer
            writer.write(encode(Hello(self._role, generation=self.generation, after=self.after, epoch=self._epoch)))
            try:
                await self._read(reader)
            except (OSError, FrameError) as error:
                log.warning("control connection broke", card=self._path.stem, error=str(error))
            finally:
                self._cut()
            await asyncio.sleep(delay)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        frames = FrameReader()
        while data := await reader.read(65536):
            for envelope in frames.feed(data):
                match envelope:
                    case Event():
                        self._event(envelope)
                    case Reply():
                        future = self._replies.pop(envelope.id, None)
                        if future is not None and not future.done():
                            future.set_result(envelope)
                    case Welcome():
                        self._welcomed(envelope)
                    case Refused():
                        log.error("card refuses us", card=self._path.stem, code=envelope.code, reason=envelope.message)
                        await asyncio.sleep(LAST_RETRY)
                        return
                    case _:
                        raise FrameError(f"unexpected {type(envelope).__name__}")

    def _welcomed(self, welcome: Welcome) -> None:
        if not welcome.resumed:
            self.after = welcome.seq
        self.generation = welcome.generation
        self.welcome = welcome
        self._ready.set()
        if self._on_connected is not None:
            self._greeting = asyncio.get_running_loop().create_task(self._greet(welcome))

    async def _greet(self, welcome: Welcome) -> None:
        try:
            if self._on_connected is not None:
                await self._on_connected(welcome)
        except ControlError as error:
            log.warning("greeting a card failed", card=welcome.card, code=error.code, error=error.message)
            await asyncio.sleep(LAST_RETRY)
            if self.welcome is welcome and self._writer is not None:
                self._writer.close()  # connect anew, and greet again: nobody can work with a card that was not greeted

    def _event(self, event: Event) -> None:
        if event.generation != self.generation or event.seq <= self.after:
            return
        self.after = event.seq
        if self._on_event is None or self._events is None:
            return
        try:
            body = self._events.decode(event.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            log.error("unknown event", card=event.card, seq=event.seq, error=str(error))
            return
        try:
            self._on_event(event, body)
        except Exception:
            # An event that we cannot deal with must not make us deaf for all that follow.
            log.exception("event not dealt with", card=event.card, seq=event.seq, type=type(body).__name__)

    def _cut(self) -> None:
        was = self.welcome is not None
        self.welcome = None
        self._ready.clear()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for future in self._replies.values():
            if not future.done():
                future.set_result(
                    Reply("", _gone(self._path.stem)),
                )
        self._replies.clear()
        if was and self._on_lost is not None:
            self._on_lost()


def _gone(card: str) -> Failure:
    return Failure("card-gone", f"{card} went away.", retryable=True)
