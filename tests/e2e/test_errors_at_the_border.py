"""Bad requests get a clear error, and nobody sees what is not theirs."""

from __future__ import annotations

import httpx2
import pytest

from tests.tools.switchroom import PASSWORD, Switchroom

pytestmark = [pytest.mark.interop, pytest.mark.asyncio(loop_scope="session")]


async def test_wrong_password_is_a_sentence_and_a_code(house: Switchroom) -> None:
    async with httpx2.AsyncClient(base_url=house.url) as client:
        answer = await client.post("/api/v1/login", json={"name": "agent1", "password": "wrong"})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "bad-credentials"


async def test_session_cookie_is_http_only_and_same_site(house: Switchroom) -> None:
    async with httpx2.AsyncClient(base_url=house.url) as client:
        answer = await client.post("/api/v1/login", json={"name": "admin", "password": PASSWORD})
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert (await client.get("/api/v1/me")).json()["role"] == "admin"
        assert (await client.post("/api/v1/logout")).status_code == 204
        client.cookies.clear()
        assert (await client.get("/api/v1/me")).status_code == 401


async def test_a_foreign_site_cannot_use_the_session(house: Switchroom) -> None:
    async with httpx2.AsyncClient(base_url=house.url, headers={"origin": "https://evil.example"}) as client:
        answer = await client.post("/api/v1/login", json={"name": "admin", "password": PASSWORD})
    assert answer.status_code == 403


async def test_an_agent_sees_no_recordings(house: Switchroom) -> None:
    async with house.api("agent1") as api:
        answer = await api.get("/api/v1/recordings")
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "not-allowed"


async def test_unknown_things_are_404_with_a_code(house: Switchroom) -> None:
    async with house.api() as api:
        for path in ("/api/v1/contacts/no", "/api/v1/recordings/no", "/api/v1/recordings/no/audio", "/api/nothing"):
            answer = await api.get(path)
            assert answer.status_code == 404, path
            assert answer.json()["error"]["code"]


async def test_a_large_body_is_refused(house: Switchroom) -> None:
    async with httpx2.AsyncClient(base_url=house.url) as client:
        answer = await client.post("/api/v1/login", content=b"x" * 2_000_000)
    assert answer.status_code == 413


async def test_openapi_health_and_metrics_are_there(house: Switchroom) -> None:
    async with httpx2.AsyncClient(base_url=house.url) as client:
        document = (await client.get("/api/openapi.json")).json()
        assert {"/api/v1/contacts", "/api/v1/recordings", "/api/v1/login"} <= set(document["paths"])
        assert (await client.get("/health")).json()["ok"]
        metrics = (await client.get("/metrics")).text
        assert "switchroom_lines" in metrics
        assert PASSWORD not in metrics
