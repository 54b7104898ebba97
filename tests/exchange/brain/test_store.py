"""The records behind the API on a real database: what is asked wrongly is a 404 or a 422, never an accident."""

from __future__ import annotations

import base64
import shutil
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import pytest_asyncio

from api.errors import ApiError
from api.ports import Search
from exchange.brain.store import Store
from media.vault.store import Vault
from storage import rows
from storage.database import Database
from storage.log import EventLog
from storage.queries import Queries, encode_cursor
from tests.tools.postgres import PostgresServer

pytestmark = [pytest.mark.interop, pytest.mark.asyncio(loop_scope="module")]

CONTACT = "01890000-0000-7000-8000-000000000001"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Store]:
    run = Path(tempfile.mkdtemp(prefix="sw-"))
    server = PostgresServer(tmp_path_factory.mktemp("pg"), run)
    await server.start()
    try:
        async with (
            Database(await server.database()) as database,
            EventLog(database, tmp_path_factory.mktemp("spool") / "log") as events,
        ):
            cad = {"X-Note": "a\0b"}
            await events.write(
                [
                    rows.contact_arrived(CONTACT, "voice", "+49\x0030", "5000", "Ann\0a", "main", time.time(), cad),
                    rows.leg(CONTACT, "leg-1", "sip", started=time.time()),
                ]
            )
            assert events.statistics().rows_rejected == 0
            yield Store(Queries(database), _no_vault, dict)
    finally:
        server.stop()
        shutil.rmtree(run)


def _no_vault() -> Vault:
    raise AssertionError("nothing here is in the vault")


async def test_a_caller_with_a_strange_name_has_a_row(store: Store) -> None:
    found = await store.contact(CONTACT)
    assert found is not None
    assert (found.ani, [leg.id for leg in found.legs]) == ("+4930", ["leg-1"])


@pytest.mark.parametrize("id", ["", "no", "\0", CONTACT[:-1], f"{CONTACT}0", "%00", "9d0b4d0e-3f5c-4a7e-8f62-1c7a5d2e9b31"])
async def test_unknown_ids_are_nothing(store: Store, id: str) -> None:
    assert await store.contact(id) is None
    assert await store.recording(id) is None
    assert await store.audio(id) is None


@pytest.mark.parametrize("id", [CONTACT.upper(), f"{{{CONTACT}}}", f"urn:uuid:{CONTACT}", CONTACT.replace("-", "")])
async def test_every_spelling_of_an_id_is_the_same_contact(store: Store, id: str) -> None:
    found = await store.contact(id)
    assert found is not None
    assert found.id == CONTACT


FOREIGN = base64.urlsafe_b64encode(b"2026-11-22T00:00:00+00:00|no-uuid").decode()
SEARCHES = [
    Search(before="nonsense"),
    Search(before="\0"),
    Search(before=FOREIGN),
    Search(before=encode_cursor(datetime(2026, 1, 1), uuid.uuid4())),  # noqa: DTZ001  no zone: not ours
    Search(number="\0"),
    Search(agent="a\0"),
    Search(queue="\0"),
    Search(since=datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))),
    Search(until=datetime.max.replace(tzinfo=timezone(-timedelta(hours=12)))),
]


@pytest.mark.parametrize("search", SEARCHES)
async def test_what_cannot_be_searched_for_is_422(store: Store, search: Search) -> None:
    for ask in (store.contacts, store.recordings):
        with pytest.raises(ApiError) as error:
            await ask(search)
        assert (error.value.status, error.value.code) == (422, "invalid")


async def test_every_search_finds_its_contact(store: Store) -> None:
    now = datetime.now(UTC)
    for search in (Search(), Search(number="+4930"), Search(since=now - timedelta(hours=1), until=now + timedelta(hours=1))):
        assert [c.id for c in (await store.contacts(search)).items] == [CONTACT]
    for search in (
        Search(number="1"),
        Search(agent="x"),
        Search(queue="x"),
        Search(final="handled"),
        Search(until=now - timedelta(1)),
    ):
        assert (await store.contacts(search)).items == []


async def test_a_name_that_no_row_can_hold_is_422_and_no_accident(store: Store) -> None:
    with pytest.raises(ApiError) as error:
        await store.user_by_name("admin\0")
    assert error.value.status == 422


async def test_sessions(store: Store) -> None:
    assert await store.user_by_session(b"unknown") is None
    await store.close_session(b"unknown")
