"""Logging in and out, roles, forged requests, and the limit on guessing."""

from __future__ import annotations

import asyncio
import hashlib
from types import SimpleNamespace

import pytest
from argon2 import extract_parameters
from hypothesis import given, settings
from hypothesis import strategies as st

from api import auth
from tests.api.surface import PASSWORD, World, token

pytestmark = pytest.mark.layer

OVERSEERS = ["/api/v1/contacts", "/api/v1/contacts/c1", "/api/v1/recordings", "/api/v1/recordings/r1", "/api/v1/agents"]
EVERYBODY = ["/api/v1/me", "/api/v1/ice", "/api/v1/queues"]
NOBODY = ["/health", "/metrics", "/api/openapi.json"]


async def test_a_browser_gets_a_cookie_and_can_log_out() -> None:
    world = World(secure=True)
    async with world.client() as client:
        answer = await client.post("/api/v1/login", json={"name": "admin", "password": PASSWORD})
        cookie = answer.headers["set-cookie"]
        assert all(word in cookie for word in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"))
        assert answer.headers["cache-control"] == "no-store"
        held = {"cookie": f"{auth.COOKIE}={answer.json()['token']}"}
        assert (await client.get("/api/v1/me", headers=held)).json()["role"] == "admin"
        gone = await client.post("/api/v1/logout", headers=held)
        assert gone.status_code == 204
        assert "Secure" in gone.headers["set-cookie"]
        assert (await client.get("/api/v1/me", headers=held)).status_code == 401
        assert world.store.sessions == {}


async def test_only_a_hash_of_the_token_is_kept() -> None:
    world = World()
    async with world.client() as client:
        known = await token(client, "agent1")
    assert list(world.store.sessions) == [hashlib.sha256(known.encode()).digest()]


async def test_roles() -> None:
    world = World()
    async with world.client() as client:
        for path in OVERSEERS + EVERYBODY:
            refused = await client.get(path)
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, "not-logged-in"), path
        for path in NOBODY:
            assert (await client.get(path)).status_code == 200, path
    for name, sees in (("agent1", EVERYBODY), ("supervisor", OVERSEERS + EVERYBODY), ("admin", OVERSEERS + EVERYBODY)):
        async with world.logged_in(name) as client:
            for path in OVERSEERS + EVERYBODY:
                answer = await client.get(path)
                assert answer.status_code == (200 if path in sees else 403), (name, path)
                if path not in sees:
                    assert answer.json()["error"]["code"] == "not-allowed"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://switchroom.evil.example"},
        {"origin": "http://["},
        {"origin": ""},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_another_site_changes_nothing(headers: dict[str, str]) -> None:
    world = World()
    async with world.logged_in() as client:
        for path in ("/api/v1/login", "/api/v1/logout"):
            answer = await client.post(path, json={"name": "admin", "password": PASSWORD}, headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "foreign-origin"), path
        assert (await client.get("/api/v1/me")).status_code == 200


async def test_our_own_pages_may() -> None:
    world = World()
    async with world.client(origin="http://switchroom", **{"sec-fetch-site": "same-origin"}) as client:
        assert (await client.post("/api/v1/login", json={"name": "admin", "password": PASSWORD})).status_code == 200


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=60))
def test_no_origin_is_an_accident(origin: str) -> None:
    class Connection:
        headers = {"origin": origin, "host": "switchroom"}  # noqa: RUF012

    assert auth.same_origin(Connection()) in (False, origin in {"http://switchroom", "https://switchroom", "//switchroom"})  # type: ignore[arg-type]


def test_a_name_that_does_not_exist_takes_as_long() -> None:
    """Its hash has the parameters of all others."""
    assert extract_parameters(auth._NOBODY) == extract_parameters(auth.hash_password("a password"))
    assert not auth._verify(auth._NOBODY, "")


async def test_guessing_ends_after_ten_attempts_however_many_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    guesses = 0

    def verify(hashed: str, password: str) -> bool:
        nonlocal guesses
        guesses += 1
        return False

    monkeypatch.setattr(auth, "_verify", verify)
    world = World()
    async with world.client() as client:
        wrong = [client.post("/api/v1/login", json={"name": "Admin", "password": f"guess-{n}"}) for n in range(40)]
        answers = [(a.status_code, a.json()["error"]["code"]) for a in await asyncio.gather(*wrong)]
        assert set(answers) == {(401, "bad-credentials"), (429, "too-many-attempts")}
        assert answers.count((401, "bad-credentials")) == guesses
        assert auth.MOST_FAILURES <= guesses < auth.MOST_FAILURES + auth.HASHES_AT_ONCE
        again = await client.post("/api/v1/login", json={"name": "admin", "password": PASSWORD})
        assert again.status_code == 429, "another spelling of the name is the same name"
        other = await client.post("/api/v1/login", json={"name": "agent1", "password": "no"})
        assert other.status_code == 401, "others are not locked out"


async def test_the_limit_on_guessing_ends_by_time_and_by_success(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("api.auth.time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(auth, "_verify", lambda hashed, password: password == PASSWORD)
    world = World()
    async with world.client() as client:

        async def attempt(password: str) -> int:
            return (await client.post("/api/v1/login", json={"name": "admin", "password": password})).status_code

        for _ in range(auth.MOST_FAILURES - 1):
            assert await attempt("no") == 401
        assert await attempt(PASSWORD) == 200
        for _ in range(auth.MOST_FAILURES):
            assert await attempt("no") == 401
        assert await attempt(PASSWORD) == 429
        now += auth.FAILURE_WINDOW + 1
        assert await attempt(PASSWORD) == 200


async def test_an_unknown_name_takes_as_much_work_as_a_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes: list[str] = []

    def verify(hashed: str, password: str) -> bool:
        hashes.append(hashed)
        return False

    monkeypatch.setattr(auth, "_verify", verify)
    world = World()
    async with world.client() as client:
        for name in ("admin", "nobody"):
            assert (await client.post("/api/v1/login", json={"name": name, "password": "no"})).status_code == 401
    assert len(hashes) == 2
    assert all(h.startswith("$argon2id$") for h in hashes)


async def test_sessions_outlive_the_database_but_not_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("api.auth.time", SimpleNamespace(monotonic=lambda: now))
    world = World()
    async with world.logged_in("agent1") as client:
        assert (await client.get("/api/v1/me")).status_code == 200
        world.store.away = True
        now += 10 * auth.CACHE_SECONDS
        assert (await client.get("/api/v1/me")).status_code == 200
        assert (await client.get("/api/v1/me", headers={"authorization": "Bearer unknown"})).status_code == 503
        world.store.away = False
        world.store.sessions.clear()
        assert (await client.get("/api/v1/me")).status_code == 401


async def test_no_login_without_the_database() -> None:
    world = World()
    world.store.away = True
    async with world.client() as client:
        answer = await client.post("/api/v1/login", json={"name": "admin", "password": PASSWORD})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "database-away")


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(lambda t: f'{{"name": "{t}", "password": 1}}'.encode())))
async def test_no_body_is_an_accident(world_once: World, body: bytes) -> None:
    async with world_once.client(**{"content-type": "application/json"}) as client:
        answer = await client.post("/api/v1/login", content=body)
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]["code"] == "invalid"


async def test_lone_surrogates_in_names_are_no_accident() -> None:
    world = World()
    async with world.client(**{"content-type": "application/json"}) as client:
        answer = await client.post("/api/v1/login", content=b'{"name": "\\ud800", "password": "x"}')
    assert answer.status_code in (401, 422)
