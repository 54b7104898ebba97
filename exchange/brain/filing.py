"""Recordings on their way into the vault: rows as they open and close, jobs for the vault worker, alarms."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import msgspec
import structlog

from exchange.brain.cards import Cards
from media.control import line
from media.control.envelope import ControlError
from media.control.work import Salvaged, SalvageRecordings, Stored, StoreRecording
from storage import rows
from storage.errors import DatabaseAway, Superseded
from storage.log import EventLog, RowWrite
from storage.queries import Queries, Row
from storage.rows import RowWrite as Write

log = structlog.get_logger()

MOST_TRIES = 5
JOB_SECONDS = 600.0
RETRY_SECONDS = 2.0


class FilingStatistics(msgspec.Struct, frozen=True):
    waiting: int
    stored: int
    failed: int


class Filing:
    """Owns the jobs; the rows in the database are the list of what is to be done, so that a restart goes on."""

    def __init__(self, events: EventLog, queries: Queries, cards: Cards) -> None:
        self.events = events
        self._queries = queries
        self._cards = cards
        self._contacts: dict[str, str] = {}
        self._wake = asyncio.Event()
        self._tries: dict[str, int] = {}
        self._waiting = self._stored = self._failed = 0
        self._salvage = True

    def statistics(self) -> FilingStatistics:
        return FilingStatistics(self._waiting, self._stored, self._failed)

    def contact_of(self, recording: str) -> str | None:
        """The contact of a recording that was opened by this process."""
        return self._contacts.get(recording)

    def opened(self, recording: str, contact: str) -> None:
        """Remember whose recording this is."""
        self._contacts[recording] = contact
        while len(self._contacts) > 10_000:
            del self._contacts[next(iter(self._contacts))]

    async def recall(self) -> None:
        """After a restart: whose the recordings are that the cards still make, or ended while we were away."""
        for row in await self._queries.unfiled():
            self.opened(str(row["id"]), str(row["contact"]))

    def write(self, row: RowWrite) -> None:
        """A row that belongs to no event."""
        self.events.write([row]).add_done_callback(_told)

    def closed(self, contact: str, ended: line.RecordingEnded, kind: str, *, kept: bool) -> list[RowWrite]:
        """The row of a recording whose files are complete."""
        state = "failed" if ended.failed and not ended.seconds else "closed" if kept else "dropped"
        if state == "failed":
            self._failed += 1
        if state == "dropped":
            for path in filter(None, (ended.left, ended.right)):
                try:
                    Path(path).unlink(missing_ok=True)
                except OSError as error:
                    log.warning("a dropped recording stays on disk", recording=ended.recording, error=str(error))
        paused = [(m.start, m.end) for m in ended.paused]
        return [
            rows.recording_closed(
                ended.recording,
                contact,
                kind,
                state,
                ended.started,
                ended.seconds,
                paused,
                ended.left,
                ended.right,
                ended.failed,
            )
        ]

    def impossible(self, recording: str, reason: str) -> list[RowWrite]:
        """The row of a recording that never began."""
        self._failed += 1
        return [rows.recording_failed(recording, reason)]

    def start(self) -> None:
        """There is work."""
        self._wake.set()

    def salvage(self) -> None:
        """A line card died: look for what it left."""
        self._salvage = True
        self._wake.set()

    async def run(self) -> None:
        """File what is closed, salvage what was left, for ever."""
        self._wake.set()
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._cards.vault.connected()
                await self._file_all()
            except Superseded:
                log.warning("filing ends: another exchange writes now")
                return
            except (DatabaseAway, ControlError) as error:
                log.info("filing waits", error=str(error))
                asyncio.get_running_loop().call_later(RETRY_SECONDS, self._wake.set)

    async def _file_all(self) -> None:
        await self.events.write([])
        if not self.events.in_database:  # whose contacts have ended could not be seen, and nobody would look again
            raise DatabaseAway("The log's spool is not shipped yet.")
        found = await self._queries.unfiled()
        left = self._salvage
        self._salvage = False
        self._waiting = len(found)
        try:
            await self._file_each(found, left)
        except (DatabaseAway, ControlError):
            self._salvage = self._salvage or left
            raise

    async def _file_each(self, found: list[Row], left: bool) -> None:
        for row in found:
            recording = str(row["id"])
            if row["state"] == "pending" and (not left or row["contact_final"] is None):
                continue
            if self._tries.get(recording, 0) >= MOST_TRIES:
                continue
            try:
                if row["state"] == "pending":
                    await self._salvage_one(recording, row["started"].timestamp())
                else:
                    marks = [line.Mark(m["start"], m["end"]) for m in json.loads(row["paused"])]
                    job = StoreRecording(
                        recording, row["left_file"] or "", row["right_file"] or "", row["started"].timestamp(), marks
                    )
                    stored = await self._cards.vault.command(job, Stored, timeout=JOB_SECONDS)
                    await self._keep(stored)
            except ControlError as error:
                if error.retryable:
                    raise
                await self._trouble(recording, error)
            self._waiting -= 1

    async def _salvage_one(self, recording: str, started: float) -> None:
        job = SalvageRecordings([recording], str(self._cards.run / "recordings"))
        found = await self._cards.vault.command(job, Salvaged, timeout=JOB_SECONDS)
        for stored in found.stored:
            log.info("recording salvaged", recording=stored.recording, seconds=stored.seconds)
            await self._keep(stored)
        if not found.stored:
            await self._trouble(recording, ControlError("nothing-left", "Nothing was left of this recording."), final=True)

    async def _keep(self, stored: Stored) -> None:
        args = [
            stored.recording,
            stored.file,
            stored.key,
            stored.media_type,
            stored.seconds,
            stored.size,
            stored.sha256,
            stored.left.talk,
            stored.left.silence,
            stored.right.talk,
            stored.right.silence,
            stored.overlap,
            json.dumps(stored.peaks_left),
            json.dumps(stored.peaks_right),
            stored.peaks_per_second,
        ]
        await self.events.write([Write("recording_stored", args)])
        self._tries.pop(stored.recording, None)
        self._stored += 1
        log.info("recording stored", recording=stored.recording, seconds=stored.seconds, size=stored.size)

    async def _trouble(self, recording: str, error: ControlError, *, final: bool = False) -> None:
        tries = self._tries[recording] = self._tries.get(recording, 0) + 1
        log.error("recording not filed", recording=recording, code=error.code, error=error.message, tries=tries)
        if final or tries >= MOST_TRIES:
            self._failed += 1
            await self.events.write([rows.recording_failed(recording, f"{error.code}: {error.message}")])
        else:
            asyncio.get_running_loop().call_later(RETRY_SECONDS * tries, self._wake.set)


def _told(future: asyncio.Future[None]) -> None:
    if not future.cancelled() and isinstance(future.exception(), Superseded):
        log.warning("a row came too late")
