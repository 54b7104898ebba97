"""Errors, limits, headers, searches, pages, and sound in parts."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.app import HEADERS, MAX_BODY
from api.errors import ApiError
from api.routes.records import SLICE, byte_range
from tests.api.surface import SOUND, World

pytestmark = pytest.mark.layer

AUDIO = "/api/v1/recordings/r1/audio"

# --- errors and limits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/v1/contacts/none", "no-such-contact"),
        ("/api/v1/contacts/%00", "no-such-contact"),
        ("/api/v1/contacts/none/decisions", "no-such-contact"),
        ("/api/v1/recordings/none", "no-such-recording"),
        ("/api/v1/recordings/none/audio", "no-such-recording"),
        ("/api/v1/none", "not-found"),
        ("/api", "not-found"),
        ("/api/", "not-found"),
    ],
)
async def test_unknown_addresses_are_404_with_a_code(path: str, code: str) -> None:
    async with World().logged_in() as client:
        answer = await client.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, code)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "\0", "", "x" * 65])
async def test_a_contact_s_decisions_are_told_in_a_zone(zone: str) -> None:
    async with World().logged_in() as client:
        told = await client.get("/api/v1/contacts/c1/decisions", params={"zone": "Europe/Berlin"})
        wrong = await client.get("/api/v1/contacts/c1/decisions", params={"zone": zone})
    assert [sentence["text"] for sentence in told.json()["sentences"]] == ["Nobody got it, at 09:00."]
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (422, "invalid")


async def test_a_wrong_method_is_405_with_a_code() -> None:
    async with World().logged_in() as client:
        answer = await client.delete("/api/v1/contacts")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method-not-allowed")


@pytest.mark.parametrize("length", [str(MAX_BODY + 1), "9" * 30, "9" * 5000, "-1", "1e3", "", "\xb2"])
async def test_too_long_or_nonsense_lengths_are_413(length: str) -> None:
    async with World().client() as client:
        request = client.build_request("POST", "/api/v1/login", content=b"{}")
        request.headers["content-length"] = length
        answer = await client.send(request)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too-large")


async def test_a_body_without_length_is_refused_before_it_is_read() -> None:
    read = 0

    async def endless() -> object:
        nonlocal read
        while read < 1000:
            read += 1
            yield b"x" * 1024

    async with World().client() as client:
        answer = await client.post("/api/v1/login", content=endless())  # type: ignore[arg-type]
    assert answer.status_code == 413


async def test_an_accident_of_ours_is_500_in_the_same_shape_and_tells_nothing() -> None:
    world = World()
    async with world.logged_in() as client:
        world.store.broken = True
        answer = await client.get("/api/v1/contacts")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
    assert "secret" not in answer.text


async def test_a_database_that_is_away_is_503() -> None:
    world = World()
    async with world.logged_in() as client:
        assert (await client.get("/api/v1/me")).status_code == 200
        world.store.away = True
        for path in ("/api/v1/contacts", "/api/v1/recordings", "/api/v1/recordings/r1", AUDIO, "/api/v1/agents"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "database-away"), path
        assert (await client.get("/api/v1/queues")).status_code == 200


async def test_every_answer_carries_the_security_headers() -> None:
    async with World().logged_in() as client:
        for path in ("/", "/api/v1/me", "/api/none", "/health", AUDIO):
            found = (await client.get(path)).headers
            assert {name: found.get(name) for name in HEADERS} == HEADERS, path


async def test_health_says_what_is_wrong() -> None:
    world = World()
    async with world.client() as client:
        assert (await client.get("/health")).status_code == 200
        world.operations.ok = False
        answer = await client.get("/health")
    assert (answer.status_code, answer.json()["problems"]) == (503, ["No line card is running."])


# --- searches ---------------------------------------------------------------------------------------------------------


async def test_a_search_arrives_as_it_was_asked() -> None:
    world = World()
    asked = {"from": "2026-11-22T08:00:00Z", "number": "+49", "agent": "a1", "queue": "", "limit": "500", "before": "x"}
    async with world.logged_in() as client:
        assert (await client.get("/api/v1/contacts", params=asked)).status_code == 200
    found = world.store.searches[-1]
    assert found.since == datetime(2026, 11, 22, 8, tzinfo=UTC)
    assert (found.number, found.agent, found.queue, found.limit, found.before) == ("+49", "a1", None, 500, "x")


@pytest.mark.parametrize(
    "asked",
    [
        {"from": "2026-11-22T08:00:00"},
        {"to": "yesterday"},
        {"limit": "0"},
        {"limit": "501"},
        {"limit": "many"},
        {"number": "x" * 201},
    ],
)
async def test_a_wrong_search_is_422_and_names_the_field(asked: dict[str, str]) -> None:
    async with World().logged_in() as client:
        for path in ("/api/v1/contacts", "/api/v1/recordings"):
            answer = await client.get(path, params=asked)
            assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")
            assert f"query.{next(iter(asked))}" in answer.json()["error"]["message"]


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(["from", "to", "limit", "before", "number", "final"]), st.text(max_size=40))
async def test_no_search_is_an_accident(world_once: World, name: str, value: str) -> None:
    async with world_once.logged_in() as client:
        answer = await client.get("/api/v1/contacts", params={name: value.encode(errors="replace")})
    assert answer.status_code in (200, 422)


# --- sound ------------------------------------------------------------------------------------------------------------


def wanted(header: str | None, size: int) -> tuple[int, int] | str | None:
    try:
        return byte_range(header, size)
    except ApiError as error:
        return str(error.status)


@given(
    st.integers(0, 2000), st.one_of(st.none(), st.text(max_size=30), st.from_regex(r"bytes=\d{0,4}-\d{0,4}", fullmatch=True))
)
def test_a_range_is_inside_the_sound_or_none(size: int, header: str | None) -> None:
    found = wanted(header, size)
    if isinstance(found, tuple):
        first, last = found
        assert 0 <= first <= last < size


@given(st.integers(1, 2000), st.integers(0, 3000), st.integers(0, 3000))
def test_a_range_is_what_was_asked_for(size: int, start: int, length: int) -> None:
    data = range(size)
    end = start + length
    expected = list(data[start : end + 1])
    found = wanted(f"bytes={start}-{end}", size)
    assert found == ((expected[0], expected[-1]) if expected else "416")
    tail = list(data[-length:]) if length else []
    assert wanted(f"bytes=-{length}", size) == ((tail[0], tail[-1]) if tail else "416")
    rest = list(data[start:])
    assert wanted(f"bytes={start}-", size) == ((rest[0], rest[-1]) if rest else "416")


@pytest.mark.parametrize("header", [None, "", "bytes=-", "bytes=a-b", "items=0-5", "bytes=0-1,4-5", "bytes=5-2", "bytes=٣-٤"])
def test_what_is_no_range_is_passed_over(header: str | None) -> None:
    assert wanted(header, 100) is None
    assert wanted(header, 0) is None


async def test_the_whole_sound() -> None:
    world = World()
    async with world.logged_in() as client:
        answer = await client.get(AUDIO)
        assert (answer.status_code, answer.content) == (200, SOUND)
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["cache-control"] == "no-store"
        assert "content-disposition" not in answer.headers
        saved = await client.get(AUDIO, params={"download": "true"}, headers={"range": "bytes=a-b"})
        assert (saved.status_code, len(saved.content)) == (200, len(SOUND))
        assert saved.headers["content-disposition"] == 'attachment; filename="20261122-080000-r1.ogg"'
    assert all(sound.closed.is_set() for sound in world.store.sounds)
    assert world.store.sounds[0].reads == -(-len(SOUND) // SLICE)


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [("bytes=0-0", 0, 0), ("bytes=-3", len(SOUND) - 3, len(SOUND) - 1), ("bytes=300000-900000", 300000, 900000)],
)
async def test_a_part_of_the_sound(header: str, first: int, last: int) -> None:
    world = World()
    async with world.logged_in() as client:
        answer = await client.get(AUDIO, headers={"range": header})
    assert (answer.status_code, answer.content) == (206, SOUND[first : last + 1])
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(SOUND)}"
    assert answer.headers["content-length"] == str(last - first + 1)
    assert world.store.sounds[0].closed.is_set()


async def test_a_part_that_is_not_there_is_416() -> None:
    world = World()
    async with world.logged_in() as client:
        answer = await client.get(AUDIO, headers={"range": f"bytes={len(SOUND)}-"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (416, "no-such-range")
        assert answer.headers["content-range"] == f"bytes */{len(SOUND)}"
        world.store.sound = b""
        assert (await client.get(AUDIO)).content == b""
        assert (await client.get(AUDIO, headers={"range": "bytes=0-"})).status_code == 416
    assert all(sound.closed.is_set() for sound in world.store.sounds)


async def test_a_listener_who_leaves_in_the_middle_leaves_no_open_sound() -> None:
    world = World()
    world.store.sound = bytes(64 * 1024 * 1024)
    async with world.logged_in("admin"), world.served() as address:
        host, port = address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET {AUDIO} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer admin\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.transport.abort()
        async with asyncio.timeout(5):
            await world.store.sounds[0].closed.wait()
    assert world.store.sounds[0].reads < 200


# --- pages ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    (tmp_path / "dist" / "assets").mkdir(parents=True)
    (tmp_path / "dist" / "index.html").write_text("<title>ours</title>")
    (tmp_path / "dist" / "assets" / "app-1.js").write_text("js")
    (tmp_path / "secret.txt").write_text("secret")
    return tmp_path / "dist"


async def test_pages_and_their_addresses(pages: Path) -> None:
    async with World(pages=pages).client() as client:
        for path in ("/", "/desk", "/recordings/r1"):
            answer = await client.get(path)
            assert (answer.status_code, answer.text) == (200, "<title>ours</title>")
            assert answer.headers["cache-control"] == "no-cache"
        asset = await client.get("/assets/app-1.js")
        assert (asset.text, "immutable" in asset.headers["cache-control"]) == ("js", True)
        for path in ("/assets/none.js", "/favicon.ico"):
            assert (await client.get(path)).status_code == 404


PATHS = st.text(st.sampled_from("abc/.%\\0\x00~é "), max_size=40)


@settings(max_examples=150, deadline=None)
@given(st.one_of(PATHS, PATHS.map(lambda p: f"../{p}../secret.txt"), st.just("x" * 5000)))
async def test_no_address_of_a_page_is_an_accident_or_a_way_out(world_once: World, path: str) -> None:
    async with world_once.client() as client:
        for each in (path, path.replace("/", "%2f")):
            answer = await client.get(httpx_path(each))
            assert answer.status_code in (200, 404, 405)
            assert answer.text != "secret"


def httpx_path(path: str) -> str:
    return "http://switchroom/" + "".join(
        c if (c.isalnum() and c.isascii()) or c in "/.~%" else "".join(f"%{b:02x}" for b in c.encode()) for c in path
    )


async def test_missing_pages_say_how_to_build_them() -> None:
    async with World().client() as client:
        answer = await client.get("/")
    assert answer.status_code == 503
    assert "make setup" in answer.text
