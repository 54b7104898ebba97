"""The first accounts and the demo, written once into a real database; what people changed stays."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from exchange import demo
from exchange.demo import ORDER_VARIABLE, SeedOrder, seed, seed_as_ordered
from exchange.settings import load
from exchange.supervisor import accounts
from ivr.validation import check
from storage.database import Database
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
    queues = {id for id, _, _ in await queries.documents(demo.KIND_QUEUE)}
    assert queues == {"sales", "support"}
    assert check(flow, queues) == []
    _, codes = await queries.document(demo.KIND_IDLE_CODES, "all") or (0, "[]")
    assert [code["code"] for code in json.loads(codes)] == ["break", "training", "admin"]


async def _what_exists_stays(queries: Queries) -> None:
    await queries.put_document(demo.KIND_QUEUE, "sales", '{"id": "sales", "name": "Verkauf"}')
    before = {kind: await queries.documents(kind) for kind in (demo.KIND_QUEUE, demo.KIND_FLOW, demo.KIND_AGENT)}
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
