"""docs/integrators.md says what is true: addresses, errors, messages, close codes, events of the tools."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from api.openapi import document
from api.routes import stream

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "integrators.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The page from this heading to the next of the same depth."""
    depth = title.split(" ")[0]
    found = PAGE[PAGE.index(f"{title}\n") + len(title) :]
    return re.split(rf"^{depth} ", found, maxsplit=1, flags=re.M)[0]


def words(text: str) -> set[str]:
    """What stands in backquotes in the first column of tables."""
    rows = [row for row in re.findall(r"^\| ([^|]*) \|", text, re.M) if not row.startswith(("event of", "stream's"))]
    return {word for row in rows for word in re.findall(r"`([^`]+)`", row)}


def source(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def cases(path: str) -> set[str]:
    """The message types that a `handle` knows."""
    body = source(path).split("async def handle", 1)[1].split("match kind:", 1)[1].split("case _:", 1)[0]
    return {word for row in re.findall(r"case ([^:]+):", body) for word in re.findall(r'"(\w+)"', row)}


def test_every_request_is_there() -> None:
    paths = json.loads(document())["paths"]
    requests = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert {row for row in words(section("## HTTP")) if "/" in row} == requests


HTTP_SOURCES = [
    "api/errors.py",
    "api/auth.py",
    "api/app.py",
    "api/pages.py",
    "api/routes/records.py",
    "api/routes/contacts.py",
    "exchange/brain/actions.py",
    "exchange/brain/answers.py",
    "exchange/brain/channels.py",
    "exchange/brain/floorwork.py",
    "exchange/brain/intake.py",
    "api/routes/reports.py",
    "exchange/brain/reports.py",
    "exchange/brain/store.py",
    "exchange/brain/visitors.py",
]


def test_every_error_code_of_http_is_there() -> None:
    found: set[str] = set()
    for path in HTTP_SOURCES:
        text = source(path)
        found |= set(re.findall(r'(?:ApiError|answer)\(\s*\d{3}, "([a-z-]+)"', text))
        found |= set(re.findall(r'\d{3}: "([a-z-]+)"', text))
        found |= set(re.findall(r'HTTPStatus\.[A-Z_]+, "([a-z-]+)"', text))
    told = set(re.findall(r"`([a-z-]+)`", section("### Errors")))
    assert found
    assert found <= told | {"error"}


def test_every_message_is_there() -> None:
    assert words(section("## The desk WebSocket")) >= cases("exchange/brain/sessions.py")
    assert words(section("## The web caller's WebSocket")) == cases("exchange/brain/webpages.py")


def test_every_error_of_the_web_callers_socket_is_there() -> None:
    found: set[str] = set()
    for path in ("exchange/brain/webpages.py", "exchange/brain/webcalls.py", "exchange/brain/webgate.py"):
        found |= set(re.findall(r'ApiError\(\d{3}, "([a-z-]+)"', source(path)))
    told = set(re.findall(r"`([a-z-]+)`", section("## The web caller's WebSocket")))
    assert found
    assert found <= told | {"too-many-pages"}, "that one is no reply, but a close code's reason"


def test_every_close_code_is_there() -> None:
    text = source("api/routes/desk.py")
    codes = set(re.findall(r"\b(4[0-9]{3}|1003|1013)\b", text)) | {"1007", "1009", "1011"}
    assert set(re.findall(r"^\| (\d{4}) \|", section("## The desk WebSocket"), re.M)) == codes


def test_every_close_code_of_the_stream_is_there() -> None:
    told = set(re.findall(r"^\| (\d{4}) \|", section("## The event stream"), re.M))
    assert told == {str(code) for code in (*stream.CODES.values(), stream.SLOW, stream.AGAIN)}
    assert f"{stream.SLOW_SECONDS:.0f} s" in section("## The event stream")


def test_every_event_of_the_tools_is_there() -> None:
    told = section("## Commands that play the caller and the agent")
    caller, agent = told.split("switchroom agent agent1")
    call_source, agent_source = source("sip/caller.py"), source("media/agent.py")
    events = set(re.findall(r'\.tell\(\s*"([a-z-]+)"', call_source))
    for either in re.findall(r'\.tell\("([a-z]+)" if .* else "([a-z]+)"', call_source):
        events |= set(either)
    assert words(caller) == events
    said = set(re.findall(r'_(?:say|act|during)\(\s*"([a-z-]+)"', agent_source))
    said |= set(re.findall(r'_say\(\s*"([a-z-]+)"', source("media/agent_chats.py")))
    said |= set(re.findall(r'_during\(contact, "([a-z-]+)"', agent_source)) | {"desk-back", "desk-lost"}
    assert words(agent) == said


def test_every_event_of_the_loopback_channel_is_told() -> None:
    page = (ROOT / "docs" / "channels.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]*) \|", page.split("| event of `loopback`")[1], re.M)
    told = {word for row in rows for word in re.findall(r"`([^`]+)`", row)}
    said = set(re.findall(r'_say\("([a-z-]+)"', source("channels/loopback/channel.py")))
    assert told == said | set(re.findall(r'report\("([a-z-]+)"', source("exchange/loopback.py")))


def test_close_reasons_and_limits_are_the_sources() -> None:
    assert "IDLE_SECONDS = 40.0" in source("api/routes/desk.py")
    assert "ws_max_size=128 * 1024" in source("exchange/brain/process.py")
    assert "LOG_OUT_AFTER = 60.0" in source("exchange/brain/desks.py")
    assert "RETURN_GRACE = 10.0" in source("exchange/brain/desks.py")
    assert "MEANT = frozenset({1000, 1001})" in source("api/routes/desk.py")
    assert "session_hours: float = 12.0" in source("api/ports.py")
