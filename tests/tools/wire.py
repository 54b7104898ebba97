"""A cable to a server that can be cut, and that can carry nothing for a while, also in the middle of a commit."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

Lost = Literal["request", "answer"]
"""What of a commit is under way when the wire goes quiet."""

Ending = Literal["late", "cut", "never"]
"""What becomes of connections that were quiet: they carry on with what they held; break without it; stay quiet for ever."""


@dataclass(eq=False)
class _Joint:
    """One connection through the wire."""

    ends: tuple[asyncio.StreamWriter, asyncio.StreamWriter]
    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    writes_log: bool = False
    """It is the event log's writer, by what it sends to PostgreSQL."""

    def abort(self) -> None:
        for end in self.ends:
            end.transport.abort()


class Wire:
    """Carries TCP connections to `target` (HOST:PORT, or the path of a unix socket); harmless until told otherwise."""

    def __init__(self, target: str | Path) -> None:
        self.address = ""
        self.quiet = asyncio.Event()
        """Nothing is carried now."""
        self._target = target
        self._joints: set[_Joint] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._waits_for_commit: Lost | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._joined, "127.0.0.1", 0)
        self.address = "{}:{}".format(*self._server.sockets[0].getsockname())
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def through(self, dsn: str) -> str:
        """The address of a database, by way of this wire."""
        return f"{dsn.partition('?')[0]}?host=127.0.0.1&port={self.address.rpartition(':')[2]}&sslmode=disable"

    def cut(self) -> None:
        """All connections break; the next one finds the wire mended."""
        for joint in self._joints:
            joint.abort()

    def hang(self) -> None:
        """Nothing goes through, not even the news that an end was closed; new connections are made, and as quiet."""
        self.quiet.set()
        for joint in self._joints:
            joint.flowing.clear()

    def hang_in_commit(self, lost: Lost) -> None:
        """The same when the event log's writer next commits: PostgreSQL does not get the request, or we not its answer."""
        self._waits_for_commit = lost

    def mend(self, ending: Ending) -> None:
        """New connections work."""
        self.quiet.clear()
        for joint in self._joints:
            if ending == "cut":
                joint.abort()
            elif ending == "late":
                joint.flowing.set()

    async def _joined(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        if isinstance(self._target, Path):
            far_reader, far = await asyncio.open_unix_connection(self._target)
        else:
            host, _, port = self._target.rpartition(":")
            far_reader, far = await asyncio.open_connection(host, int(port))
        joint = _Joint((near, far))
        if not self.quiet.is_set():
            joint.flowing.set()
        self._joints.add(joint)
        for reader, writer, ours in ((near_reader, far, True), (far_reader, near, False)):
            task = asyncio.create_task(self._carry(joint, reader, writer, ours=ours))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, joint: _Joint, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, ours: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                commits = ours and self._commits(joint, data)
                if commits and self._waits_for_commit == "request":
                    self._go_quiet()
                await joint.flowing.wait()
                writer.write(data)
                if commits and self._waits_for_commit == "answer":
                    self._go_quiet()
                await writer.drain()
        await joint.flowing.wait()
        writer.close()

    def _commits(self, joint: _Joint, data: bytes) -> bool:
        joint.writes_log |= b"INSERT INTO event_log" in data
        return joint.writes_log and b"COMMIT;" in data

    def _go_quiet(self) -> None:
        self._waits_for_commit = None
        self.hang()
