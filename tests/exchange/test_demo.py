"""The first accounts and the demo, written once into a real database; what people changed stays."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import msgspec
import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

import ivr.document
from acd.model import MissRule, Settings, SkillConfig
from exchange import demo
from exchange.configuration import keeper, kept
from exchange.demo import ORDER_VARIABLE, SeedOrder, seed, seed_as_ordered
from exchange.settings import load
from exchange.supervisor import accounts
from ivr.validation import check
from storage.database import Database
from storage.log import EventLog
from storage.queries import Queries
from tests.tools.postgres import PostgresServer

pytestmark = pytest.mark.interop


async def test_seeding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Path(tempfile.mkdtemp(prefix="sw-"))
    server = PostgresServer(tmp_path / "pg", run)
    await server.start()
    try:
        async with Database(server.embedded.dsn) as database:
            queries = Queries(database)
            await _first_order(queries, tmp_path, monkeypatch)
            await _what_exists_stays(queries)
            await _changes_are_kept(database, queries, tmp_path)
    finally:
        server.stop()
        shutil.rmtree(run)


async def _first_order(queries: Queries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "accounts.order"
    monkeypatch.setenv(ORDER_VARIABLE, str(path))
    assert await seed_as_ordered(queries) == []
    order = accounts.order(load(data=tmp_path))
    accounts.hand_over(path, order)
    names = ["agent1", "agent2", "supervisor", "admin"]
    assert await seed_as_ordered(queries) == names
    assert not path.exists()
    assert accounts.collect(path) == names
    for name in names:
        user = await queries.user_by_name(name)
        assert user is not None
        assert PasswordHasher().verify(user.password_hash, order.passwords[name])
    _, flow = await queries.document(demo.KIND_FLOW, "demo") or (0, "")
    found = await kept.load(queries)
    assert found.document == demo.configuration(), "what is stored for each thing is the whole"
    assert {queue.id for queue in found.document.queues} == {"sales", "support"}
    assert check(flow, {"sales", "support"}) == []
    assert keeper.check(found.document, [ivr.document.parse(flow)]) == [], "the demo is a good example"


async def _what_exists_stays(queries: Queries) -> None:
    await queries.put_document("queue", "sales", '{"id": "sales", "name": "Verkauf"}')
    before = {kind: await queries.documents(kind) for kind in [*kept.KINDS, demo.KIND_FLOW]}
    known = await queries.user_by_name("admin")
    assert known is not None
    assert await seed(queries, SeedOrder(demo=True, reset=False, passwords={"admin": "other"})) == []
    assert await queries.user_by_name("admin") == known
    assert {kind: await queries.documents(kind) for kind in before} == before
    assert await seed(queries, SeedOrder(demo=True, reset=True, passwords={"admin": "other"})) == ["admin"]
    user = await queries.user_by_name("admin")
    assert user is not None
    assert PasswordHasher().verify(user.password_hash, "other")
    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(user.password_hash, "wrong")


async def _changes_are_kept(database: Database, queries: Queries, tmp_path: Path) -> None:
    """The rows that go with a change, through the log into the database and back."""
    before = await kept.load(queries)
    wanted = before.document.without("agents", "agent2").put("skills", SkillConfig("danish", "Danish"))
    wanted = msgspec.structs.replace(wanted, settings=Settings(rona=MissRule(3)))
    after, rows = kept.renewed(before, wanted, "cli:me", 1_790_000_000.5)
    async with EventLog(database, tmp_path / "spool") as log:
        await log.append("test", b"", 1.0, rows)
    found = await kept.load(queries)
    assert found.document == wanted
    assert found.versions == after.versions
    assert found.version("agents", "agent2") is None
    assert found.versions["agents", "agent2"] == kept.Version(2, "cli:me", 1_790_000_000.5, deleted=True)
    again, rows = kept.renewed(found, before.document, "cli:you", 1_790_000_001.0)
    assert again.versions["agents", "agent2"].number == 3
    assert [(row.args[0], row.args[2], row.args[6]) for row in rows] == [("agent", 3, 0), ("settings", 2, 1), ("skill", 2, 1)]
