"""The card's side of the control protocol: listens, answers commands once, numbers and keeps events until acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import structlog

from media.control.envelope import (
    PROTOCOL,
    Ack,
    Command,
    ControlError,
    Envelope,
    Event,
    Failure,
    FrameError,
    FrameReader,
    Hello,
    Refused,
    Reply,
    Welcome,
    encode,
    encode_body,
)

log = structlog.get_logger()

Handler = Callable[[Any], Awaitable[Any]]
REMEMBERED_REPLIES = 2_000
"""A command is sent again within seconds of a broken connection or a restart; few hundred have been sent meanwhile."""
MAX_UNSENT = 16 * 1024 * 1024
"""Bytes; a client that reads nothing is cut off when so much waits for it."""


class ControlStatistics(msgspec.Struct, frozen=True):
    clients: int
    commanded: bool
    seq: int
    kept: int
    commands: int
    repeated: int
    failures: int


class ControlServer:
    """One card's control socket."""

    def __init__(
        self,
        path: Path,
        *,
        card: str,
        kind: str,
        commands: Any,
        handler: Handler,
        generation: str | None = None,
        keep: int = 20_000,
    ) -> None:
        self.card = card
        self.kind = kind
        self.generation = generation or secrets.token_hex(8)
        self.seq = 0
        self.uncommanded_since: float | None = None
        self._path = path
        self._handler = handler
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(commands)
        self._kept: deque[Event] = deque(maxlen=keep)
        self._acked = 0
        self._inode = 0
        self._replies: OrderedDict[str, asyncio.Future[Reply]] = OrderedDict()
        self._clients: set[_Client] = set()
        self._commander: _Client | None = None
        self._server: asyncio.Server | None = None
        self._commands = self._repeated = self._failures = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def commanded(self) -> bool:
        """Whether a commander is connected."""
        return self._commander is not None

    async def __aenter__(self) -> ControlServer:
        self._path.unlink(missing_ok=True)
        loop = asyncio.get_running_loop()
        old = os.umask(0o177)
        try:
            self._server = await loop.create_unix_server(lambda: _Client(self), path=str(self._path))
        finally:
            os.umask(old)
        self._inode = self._path.stat().st_ino
        self.uncommanded_since = loop.time()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._server is not None:
            self._server.close()
        for client in list(self._clients):
            client.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:  # not the one of our successor
                self._path.unlink()

    def emit(self, body: Any) -> None:
        """Number an event, keep it, send it to every client."""
        self.seq += 1
        event = Event(self.card, self.generation, self.seq, time.time(), encode_body(body))
        self._kept.append(event)
        data = encode(event)
        for client in list(self._clients):
            if client.greeted:
                client.send(data)

    def statistics(self) -> ControlStatistics:
        return ControlStatistics(
            len(self._clients), self.commanded, self.seq, len(self._kept), self._commands, self._repeated, self._failures
        )

    # --- called by _Client ----------------------------------------------------------------------------------------

    def _joined(self, client: _Client) -> None:
        self._clients.add(client)

    def _left(self, client: _Client) -> None:
        self._clients.discard(client)
        if self._commander is client:
            self._commander = None
            self.uncommanded_since = asyncio.get_running_loop().time()
            log.info("commander left", card=self.card)

    def _hello(self, client: _Client, hello: Hello) -> None:
        if hello.protocol not in (PROTOCOL, PROTOCOL - 1, PROTOCOL + 1):
            client.send(encode(Refused("protocol", f"This card speaks protocol {PROTOCOL}, you speak {hello.protocol}.")))
            client.close()
            return
        if hello.role == "commander":
            if self._commander is not None and hello.epoch < self._commander.epoch:
                log.warning("a commander of an older epoch is refused", card=self.card, epoch=hello.epoch)
                client.send(encode(Refused("superseded", f"The commander is of epoch {self._commander.epoch}.")))
                client.close()
                return
            if self._commander is not None:
                # A commander that died without closing cannot be told from a living one by us; the newer one wins.
                old, self._commander = self._commander, None
                log.warning("a newer commander replaces the old one", card=self.card)
                old.close()
            self._commander = client
            client.epoch = hello.epoch
            self.uncommanded_since = None
        oldest = self._kept[0].seq if self._kept else self.seq + 1
        resumed = hello.generation == self.generation and oldest - 1 <= hello.after <= self.seq
        client.greeted = True
        client.role = hello.role
        client.send(encode(Welcome(self.card, self.kind, self.generation, PROTOCOL, self.seq, resumed)))
        if resumed:
            for event in self._kept:
                if event.seq > hello.after:
                    client.send(encode(event))

    def _ack(self, client: _Client, ack: Ack) -> None:
        if client is not self._commander:
            return
        while self._kept and self._kept[0].seq <= ack.seq:
            self._kept.popleft()

    def _command(self, client: _Client, command: Command) -> None:
        self._commands += 1
        known = self._replies.get(command.id)
        if known is not None:
            self._repeated += 1
            known.add_done_callback(lambda done: client.send(encode(done.result())))
            return
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._replies[command.id] = future
        while len(self._replies) > REMEMBERED_REPLIES:
            self._replies.popitem(last=False)
        future.add_done_callback(lambda done: client.send(encode(done.result())))
        task = asyncio.get_running_loop().create_task(self._run(command, future))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, command: Command, future: asyncio.Future[Reply]) -> None:
        try:
            body = self._decoder.decode(command.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            future.set_result(Reply(command.id, Failure("bad-command", f"not a command of a {self.kind}: {error}")))
            return
        try:
            result = await self._handler(body)
            reply = Reply(command.id, None, encode_body(result))
        except ControlError as error:
            self._failures += 1
            reply = Reply(command.id, Failure(error.code, error.message, error.retryable))
        except asyncio.CancelledError:
            future.set_result(Reply(command.id, Failure("stopping", "the card is stopping", retryable=True)))
            raise
        except Exception as error:
            # The border of the process: a failing command must not take the card and its calls down.
            self._failures += 1
            log.exception("command failed", card=self.card, command=type(body).__name__)
            reply = Reply(command.id, Failure("internal", f"{type(error).__name__}: {error}"))
        if reply.failure is not None and reply.failure.retryable:
            self._replies.pop(command.id, None)
        future.set_result(reply)


class _Client(asyncio.Protocol):
    def __init__(self, server: ControlServer) -> None:
        self.greeted = False
        self.role = "observer"
        self.epoch = 0
        self._server = server
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # the loop's promise; uvloop's is no subclass of asyncio's
        self._server._joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._server._left(self)

    def data_received(self, data: bytes) -> None:
        try:
            for envelope in self._reader.feed(data):
                self._take(envelope)
        except FrameError as error:
            log.warning("bad control frame", card=self._server.card, error=str(error))
            self.close()

    def _take(self, envelope: Envelope) -> None:
        if isinstance(envelope, Hello) and not self.greeted:
            self._server._hello(self, envelope)
        elif isinstance(envelope, Command) and self.greeted:
            self._server._command(self, envelope)
        elif isinstance(envelope, Ack) and self.greeted:
            self._server._ack(self, envelope)
        else:
            raise FrameError(f"unexpected {type(envelope).__name__}")

    def send(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > MAX_UNSENT:
            log.warning("control client reads nothing, cut off", card=self._server.card)
            self._transport.abort()
            return
        self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
