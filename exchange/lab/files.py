"""The event log as a file: JSON, one line each, so that a day can be carried to another machine and read by people.

The first line says what a reader must know besides the events: configuration, flows, and a snapshot from which the events can
be replayed. Then each event with its effects. A name that ends in `.gz` is compressed. There is no personal data in it, as
there is none in the log.
"""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO, Any, cast

import msgspec

from acd.events import Configured
from exchange.brain import logged, records
from exchange.brain.records import Record, Routing
from exchange.lab.database import DatabaseLog
from exchange.lab.errors import LabError
from ivr.document import Flow, parse
from ivr.errors import FlowError
from storage.entries import BEGINNING, LogRow, Position

FORMAT = 1


class Head(msgspec.Struct, frozen=True):
    """The first line."""

    switchroom_log: int
    first: float
    last: float
    configured: Configured | None
    flows: list[str]
    """Documents of all versions, oldest first."""
    snapshot: bytes | None
    """As of `after`; the events behind it can be replayed from there."""
    after: Position
    snapshot_at: float
    users: dict[str, str] = {}


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event; `body` where its record is none of this version, or rejected."""

    epoch: int
    offset: int
    at: float
    kind: str
    record: Record | None = None
    effects: list[Any] | None = None
    body: bytes | None = None


_line = msgspec.json.Decoder(Line)
_json = msgspec.json.Encoder()


class FileLog:
    """A file that `export` wrote."""

    def __init__(self, path: Path) -> None:
        """Raises LabError when it is none."""
        self.name = str(path)
        self._path = path
        with self._open() as file:
            try:
                self._head = msgspec.json.decode(file.readline(), type=Head)
            except (msgspec.MsgspecError, OSError, EOFError) as error:
                raise LabError(f"{path} is no log that `switchroom log export` of this version wrote: {error}.") from error
        if self._head.switchroom_log != FORMAT:
            raise LabError(f"{path} is a log of format {self._head.switchroom_log}, this version reads {FORMAT}.")

    def _open(self) -> IO[bytes]:
        try:
            return _opened(self._path, "rb")
        except OSError as error:
            raise LabError(f"{self._path} cannot be read: {error.strerror}.") from error

    async def span(self) -> tuple[float, float] | None:
        """Times of the oldest and the newest event."""
        return self._head.first, self._head.last

    async def before(self, at: float) -> Position:
        """The beginning."""
        return BEGINNING

    async def rows(self, after: Position) -> AsyncIterator[LogRow]:
        """All events behind a position, in order."""
        for row in self._rows():
            if row.position > after:
                yield row

    def _rows(self) -> Iterator[LogRow]:
        with self._open() as file:
            file.readline()
            for number, text in enumerate(file, 2):
                try:
                    line = _line.decode(text)
                except msgspec.MsgspecError as error:
                    raise LabError(f"Line {number} of {self._path} is no event of this version: {error}.") from error
                body = records.encode(line.record) if line.record is not None else line.body or b""
                found = msgspec.msgpack.encode(line.effects) if line.effects is not None else None
                yield LogRow(line.epoch, line.offset, line.at, line.kind, body, found)

    async def configured(self, before: float) -> Configured | None:
        """The newest one before this time; the head's is the one before the first event."""
        found = self._head.configured
        with self._open() as file:
            for text in file:
                if b'"type":"configured"' in text and b'"switchroom_log"' not in text[:20]:
                    line = _line.decode(text)
                    match line.record:
                        case Record(input=Routing(Configured() as event)) if line.at < before:
                            found = event
                        case _:
                            pass
        return found

    async def snapshot(self, before: float) -> tuple[Position, bytes] | None:
        """The one in the file."""
        if self._head.snapshot is None or self._head.snapshot_at > before:
            return None
        return Position(*self._head.after), self._head.snapshot

    async def flows(self) -> list[Flow]:
        """Those that can be used."""
        found = []
        for text in self._head.flows:
            try:
                found.append(parse(text))
            except FlowError:
                continue
        return found

    async def about(self, contact: str) -> list[LogRow]:
        """Events whose effects name a contact."""
        needle = contact.encode()
        return [row for row in self._rows() if row.effects is not None and needle in row.effects]

    async def users(self) -> dict[str, str]:
        """None: a file names nobody."""
        return self._head.users


async def export(log: DatabaseLog, start: float, end: float, run_up: float, path: Path) -> int:
    """Write the events between two times, and those of the time before from which the state at the beginning follows.

    The number of events; raises LabError.
    """
    span = await log.span()
    if span is None or span[0] > end or span[1] < start:
        raise LabError(f"The log of {log.name} has no events of that time.")
    begin = max(span[0], start - run_up)
    snapshot = await log.snapshot(begin)
    after = snapshot[0] if snapshot is not None else await log.before(begin)
    at = await log.at(after) if snapshot is not None else 0.0
    head = Head(
        FORMAT,
        at or begin,
        min(end, span[1]),
        await log.configured(at or begin),
        [body for _, _, body in await log.flow_documents()],
        snapshot[1] if snapshot is not None else None,
        after,
        at,
    )
    count = 0
    new = path.with_name(path.name + ".new")
    try:
        with _opened(new, "wb", compressed=path.suffix == ".gz") as file:
            file.write(_json.encode(head) + b"\n")
            async for row in log.rows(after):
                if row.at > end:
                    break
                file.write(_json.encode(_line_of(row)) + b"\n")
                count += 1
        new.replace(path)
    except OSError as error:
        raise LabError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        new.unlink(missing_ok=True)
    return count


def _line_of(row: LogRow) -> Line:
    try:
        record, found = records.decode(row.body), logged.decode(row.effects) if row.effects is not None else None
    except ValueError:
        return Line(row.epoch, row.offset, row.at, row.kind, None, None, row.body)
    return Line(row.epoch, row.offset, row.at, row.kind, record, cast(list[Any] | None, found))


def _opened(path: Path, mode: str, *, compressed: bool | None = None) -> IO[bytes]:
    packed = path.suffix == ".gz" if compressed is None else compressed
    return cast(IO[bytes], gzip.open(path, mode, compresslevel=5) if packed else path.open(mode))
