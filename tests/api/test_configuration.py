"""Queues, agents and what else is configured, over HTTP: who may what, versions, and errors that say what to do."""

from __future__ import annotations

from typing import Any

import pytest

from acd import document
from tests.api.surface import CONFIGURED, HASH, World

pytestmark = pytest.mark.layer

PATHS = ["queues", "skills", "teams", "profiles", "entry-points", "periods", "agents"]
NEW: dict[str, dict[str, Any]] = {
    "queues": {
        "id": "late",
        "name": "Late",
        "need": ["german >= 3"],
        "ageing_seconds": 60,
        "overflow": [{"when": "size", "over": 9, "to": "queue sales"}],
    },
    "skills": {"id": "danish", "name": "Danish"},
    "teams": {"id": "second", "queues": [{"queue": "sales", "priority": 2}]},
    "profiles": {"id": "calls", "channels": {"voice": 1}, "total": 2},
    "entry-points": {"id": "sos", "number": "+4930112", "flow": "demo", "web": True},
    "periods": {"id": "day", "zone": "Europe/Berlin", "weekly": ["mon-fri 09:00-17:00"]},
    "agents": {"id": "ben", "display": "Ben", "team": "first", "skills": {"german": 9}, "attributes": {"site": "berlin"}},
}


async def test_who_may_read_what() -> None:
    world = World()
    async with world.logged_in("agent1") as agent, world.logged_in("supervisor") as supervisor:
        sales = {"id": "sales", "name": "Sales"}
        assert (await agent.get("/api/v1/queues")).json() == {"items": [sales, {"id": "support", "name": "Support"}]}
        whole = (await supervisor.get("/api/v1/queues")).json()["items"][0]
        assert {key: whole[key] for key in ("id", "name", "ageing_seconds", "version")} == {
            **sales,
            "ageing_seconds": 600.0,
            "version": 1,
        }
        found = (await supervisor.get("/api/v1/agents")).json()["items"]
        assert [(a["id"], a["name"], a["display"], a["skills"], a["account"]) for a in found] == [
            ("a1", "agent1", "Agent One", {"german": 5}, True)
        ]
        for path in PATHS:
            assert (await supervisor.get(f"/api/v1/{path}")).status_code == 200, path
            assert (await agent.get(f"/api/v1/{path}")).status_code == (200 if path == "queues" else 403), path
            for client in (agent, supervisor):
                assert (await client.post(f"/api/v1/{path}", json=NEW[path])).status_code == 403, path
                assert (await client.put(f"/api/v1/{path}/x", json={})).status_code == 403, path
                assert (await client.delete(f"/api/v1/{path}/x")).status_code == 403, path
    assert world.office.keeper.document == document.parse(CONFIGURED)


@pytest.mark.parametrize("path", PATHS)
async def test_the_life_of_a_thing(path: str) -> None:
    world, new = World(), NEW[path]
    one = f"/api/v1/{path}/{new['id']}"
    async with world.logged_in("admin") as client:
        assert (await client.get(one)).status_code == 404
        assert (await client.put(one, json=new)).status_code == 404
        made = await client.post(f"/api/v1/{path}", json=new)
        assert (made.status_code, made.headers["etag"], made.headers["location"]) == (201, '"1"', one), made.text
        assert (await client.post(f"/api/v1/{path}", json=new)).json()["error"]["code"] == "exists"
        read = await client.get(one)
        assert read.json() == made.json()
        assert {key: read.json()[key] for key in ("version", "changed_by")} == {"version": 1, "changed_by": "ad"}
        body = read.json()
        unchanged = await client.put(one, json=body)
        assert (unchanged.status_code, unchanged.json()) == (200, body), "what was read can be put back"
        named = "flow" if path == "entry-points" else "zone" if path == "periods" else "display" if path == "agents" else "name"
        value = {"flow": "demo", "zone": "UTC"}.get(named, "Anew")
        changed = await client.put(one, json={**body, named: value, "id": new["id"]}, headers={"if-match": '"1"'})
        assert (changed.status_code, changed.json()[named]) == (200, value), changed.text
        version = changed.json()["version"]
        assert version == (1 if named == "flow" else 2)
        late = await client.put(one, json={**body, named: value, "version": 7})
        assert (late.status_code, late.json()["error"]["code"]) == (412, "version-mismatch")
        assert (await client.delete(one, headers={"if-match": '"9"'})).status_code == 412
        gone = await client.delete(one, headers={"if-match": f'"{version}"'})
        assert (gone.status_code, gone.content) == (204, b"")
        assert (await client.delete(one)).status_code == 404
    assert world.office.keeper.document == document.parse(CONFIGURED)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "sentence"),
    [
        ("POST", "queues", b"[", 422, "invalid", "body: This is not JSON."),
        ("POST", "queues", b"[]", 422, "invalid", "body: The body must be a JSON object."),
        ("POST", "queues", b"[" * 9000, 422, "invalid", "body: This is not JSON."),
        ("POST", "queues", b"{}", 422, "invalid", "body.id: The id is missing."),
        ("POST", "queues", b'{"id": "a b"}', 422, "bad-id", "queues.a b: An id has 1 to 64 letters"),
        (
            "POST",
            "queues",
            b'{"id": "x", "ageng": 1}',
            422,
            "unknown-key",
            "queues.x.ageng: There is no key 'ageng' here; did you mean 'ageing'?",
        ),
        (
            "PUT",
            "queues/sales",
            b'{"need": "danish"}',
            422,
            "unknown-skill",
            "queues.sales.need.skills: There is no skill 'danish'.",
        ),
        (
            "PUT",
            "queues/sales",
            b'{"need": {"where": "x"}}',
            422,
            "bad-expression",
            "queues.sales.need.where: The condition `x`",
        ),
        ("PUT", "queues/sales", b'{"version": "x"}', 422, "invalid", "body.version: The version must be a whole number."),
        ("PUT", "periods/x", b"{}", 404, "no-such-period", "There is no such period."),
        ("PUT", "agents/a1", b'{"password": "short"}', 422, "invalid", "body.password: A password has 8 to 500 characters."),
        ("PUT", "agents/a1", b'{"name": "admin"}', 409, "name-taken", "Somebody else logs in as 'admin'."),
        ("DELETE", "queues/sales", b"", 409, "in-use", "The queue 'sales' is named by team 'first': take it out there first."),
        ("DELETE", "skills/german", b"", 409, "in-use", "The skill 'german' is named by agent 'a1': take it out there first."),
    ],
)
async def test_what_is_refused(method: str, path: str, body: bytes, status: int, code: str, sentence: str) -> None:
    world = World()
    async with world.logged_in("admin") as client:
        answer = await client.request(method, f"/api/v1/{path}", content=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["message"][: len(sentence)]) == (status, code, sentence)
    assert world.office.keeper.document == document.parse(CONFIGURED)


async def test_an_agent_who_is_logged_in_cannot_be_deleted() -> None:
    world = World()
    world.office.agent_is_there("a1")
    async with world.logged_in("admin") as client:
        answer = await client.delete("/api/v1/agents/a1")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "in-use")
        assert "logged in" in answer.json()["error"]["message"]


async def test_a_password_makes_an_account() -> None:
    world = World()
    async with world.logged_in("admin") as client:
        made = await client.post("/api/v1/agents", json={**NEW["agents"], "password": "long-enough"})
        assert (made.json()["account"], "password" in made.text) == (True, False)
        ben = world.office.people.known["ben"]
        assert (ben.name, ben.display, ben.role, ben.password_hash[:9]) == ("ben", "Ben", "agent", "$argon2id")
        await client.put("/api/v1/agents/a1", json={"display": "One", "name": "agent1", "team": "first"})
        known = world.office.people.known["a1"]
        assert (known.display, known.password_hash) == ("One", HASH), "the name that others see follows"
        await client.delete("/api/v1/agents/ben")
        listed = (await client.get("/api/v1/agents")).json()["items"]
        assert [(a["id"], a["version"]) for a in listed] == [("a1", 2), ("ben", 0)], "their contacts can still be searched for"


async def test_the_database_is_away() -> None:
    world = World()
    async with world.logged_in("admin") as client:
        await client.get("/api/v1/me")
        world.store.away = True
        assert (await client.get("/api/v1/queues/sales")).status_code == 200, "what is in force is known without it"
        assert (await client.get("/api/v1/agents")).json()["error"]["code"] == "database-away"
        assert (await client.put("/api/v1/queues/sales", json={"name": "S"})).status_code == 200, "the log's spool takes it"
