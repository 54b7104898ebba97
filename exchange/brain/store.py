"""The records as the API reads them (api.ports.Store)."""

from __future__ import annotations

import asyncio
import functools
import json
import uuid
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, tzinfo
from typing import Any, ParamSpec, TypeVar

import msgspec

from acd import sentences
from acd.sentences import Names, Writer
from api.errors import ApiError
from api.models import (
    Activity,
    Contact,
    ContactDetail,
    ContactPage,
    ContactStory,
    Gap,
    Leg,
    Recording,
    RecordingDetail,
    RecordingPage,
    Segment,
    Sentence,
    User,
    Visit,
)
from api.ports import Search
from exchange.brain import logged
from media.vault.errors import VaultError
from media.vault.store import StoredFile, Vault
from storage import queries
from storage.errors import BadSearch, DatabaseAway

P = ParamSpec("P")
T = TypeVar("T")

AFTERWARDS = 7200.0
"""So long after a contact's end there may still be work about it."""


def at_the_border(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Storage's errors become the API's."""

    @functools.wraps(method)
    async def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await method(*args, **kwargs)
        except DatabaseAway as error:
            raise ApiError(503, "database-away", "The database does not answer. Please try again in a moment.") from error
        except BadSearch as error:
            raise ApiError(422, "invalid", f"This cannot be searched for: {error}.") from error

    return wrapped


class Sound:
    """An open recording (api.ports.Audio)."""

    def __init__(self, file: StoredFile, media_type: str, name: str) -> None:
        self.size = file.size
        self.media_type = media_type
        self.name = name
        self._file = file

    async def read(self, offset: int, length: int) -> bytes:
        return await asyncio.to_thread(self._file.read, offset, length)

    def close(self) -> None:
        self._file.close()


class Store:
    """Queries and vault behind the API's port."""

    def __init__(
        self,
        found: queries.Queries,
        vault: Callable[[], Vault],
        queue_names: Callable[[], dict[str, str]],
        names: Callable[[], Names] = Names,
    ) -> None:
        self._queries = found
        self._vault = vault
        self._queue_names = queue_names
        self._names = names

    # --- people ---------------------------------------------------------------------------------------------------

    @at_the_border
    async def user_by_name(self, name: str) -> tuple[User, str] | None:
        found = await self._queries.user_by_name(name)
        return (_user(found), found.password_hash) if found is not None else None

    @at_the_border
    async def open_session(self, token_hash: bytes, user: str, expires: datetime) -> None:
        await self._queries.open_session(token_hash, user, expires)

    @at_the_border
    async def user_by_session(self, token_hash: bytes) -> User | None:
        found = await self._queries.user_by_session(token_hash)
        return _user(found) if found is not None else None

    @at_the_border
    async def close_session(self, token_hash: bytes) -> None:
        await self._queries.close_session(token_hash)

    # --- contacts -------------------------------------------------------------------------------------------------

    @at_the_border
    async def contacts(self, search: Search) -> ContactPage:
        found = await self._queries.contacts(_filter(search))
        return ContactPage(items=[Contact(**self._contact(row)) for row in found.rows], next=found.next)

    @at_the_border
    async def contact(self, id: str) -> ContactDetail | None:
        found = _uuid(id)
        row = await self._queries.contact(found) if found else None
        if found is None or row is None:
            return None
        segments, visits, legs, recordings = await asyncio.gather(
            self._queries.segments(found),
            self._queries.visits(found),
            self._queries.legs(found),
            self._queries.recordings_of(found),
        )
        return ContactDetail(
            **self._contact(row),
            visits=[_visit(v) for v in visits],
            segments=[_segment(s) for s in segments],
            legs=[_leg(leg) for leg in legs],
            recordings=recordings,
        )

    @at_the_border
    async def story(self, id: str, zone: tzinfo) -> ContactStory | None:
        found = _uuid(id)
        row = await self._queries.contact(found) if found else None
        if found is None or row is None:
            return None
        until = row["ended"].timestamp() + AFTERWARDS if row["ended"] is not None else None
        rows = await self._queries.events_about(found, row["arrived"].timestamp() - 1.0, until)
        moments = [(event["at"], logged.decode(event["effects"])) for event in rows]
        story = Writer(self._names(), zone).story(found, moments)
        return ContactStory(contact=found, sentences=[_sentence(sentence) for sentence in story])

    # --- recordings -----------------------------------------------------------------------------------------------

    @at_the_border
    async def recordings(self, search: Search) -> RecordingPage:
        found = await self._queries.recordings(_filter(search))
        return RecordingPage(items=[Recording(**self._recording(row)) for row in found.rows], next=found.next)

    @at_the_border
    async def recording(self, id: str) -> RecordingDetail | None:
        row = await self._recording_row(id)
        if row is None:
            return None
        return RecordingDetail(
            **self._recording(row),
            peaks_left=json.loads(row["peaks_left"]),
            peaks_right=json.loads(row["peaks_right"]),
            peaks_per_second=row["peaks_per_second"],
        )

    @at_the_border
    async def audio(self, id: str) -> Sound | None:
        row = await self._recording_row(id)
        if row is None or row["state"] != "stored":
            return None
        try:
            file = await asyncio.to_thread(self._vault().open, row["file"], row["wrapped_key"])
        except VaultError as error:
            raise ApiError(500, error.code, error.message) from error
        return Sound(file, row["media_type"], f"{row['started']:%Y%m%d-%H%M%S}-{str(row['id'])[:8]}.ogg")

    async def _recording_row(self, id: str) -> queries.Row | None:
        found = _uuid(id)
        return await self._queries.recording(found) if found else None

    # --- rows -----------------------------------------------------------------------------------------------------

    def _contact(self, row: queries.Row) -> dict[str, Any]:
        names = (
            "channel ani dnis entry_point queue agent agent_name arrived answered ended final waited talked held wrap_up_code"
        )
        found = {name: row[name] for name in names.split()}
        return {**found, "id": str(row["id"]), "queue_name": self._queue_name(row["queue"])}

    def _recording(self, row: queries.Row) -> dict[str, Any]:
        names = "kind agent agent_name started seconds size overlap"
        found = {name: row[name] for name in names.split()}
        return {
            **found,
            "id": str(row["id"]),
            "contact": str(row["contact"]),
            "ani": row["ani"] or "",
            "queue": row["of_queue"],
            "queue_name": self._queue_name(row["of_queue"]),
            "media_type": row["media_type"] or "",
            "state": row["state"] if row["state"] in {"stored", "failed"} else "pending",
            "left": Activity(talk=row["left_talk"], silence=row["left_silence"]),
            "right": Activity(talk=row["right_talk"], silence=row["right_silence"]),
            "paused": [Gap(**gap) for gap in json.loads(row["paused"])],
        }

    def _queue_name(self, queue: str | None) -> str | None:
        return self._queue_names().get(queue, queue) if queue is not None else None


def _sentence(sentence: sentences.Sentence) -> Sentence:
    decision = msgspec.to_builtins(sentence.decision) if sentence.decision is not None else None
    at = datetime.fromtimestamp(sentence.at, UTC)
    parts = {"agent": sentence.agent, "queue": sentence.queue, "offer": sentence.offer}
    return Sentence(at=at, kind=sentence.kind, text=sentence.text, decision=decision, **parts)


def _user(found: queries.User) -> User:
    return User.model_validate({"id": found.id, "name": found.name, "display": found.display, "role": found.role})


def _filter(search: Search) -> queries.Filter:
    return queries.Filter(**msgspec.structs.asdict(search))


def _segment(row: queries.Row) -> Segment:
    names = "agent agent_name queue started ended talked wrap_up wrap_up_code"
    return Segment(**{name: row[name] for name in names.split()})


def _visit(row: queries.Row) -> Visit:
    return Visit(**{name: row[name] for name in ("queue", "queued", "ended", "how", "waited", "talked")})


def _leg(row: queries.Row) -> Leg:
    names = "id kind started ended result reason by sip_code"
    return Leg(**{name: row[name] for name in names.split()}, quality=json.loads(row["quality"]))


def _uuid(text: str) -> str | None:
    """An id as the database writes it; None for what is no id."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return None
