"""The reports' surface: who may see what, what is asked for, JSON and CSV."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acd.figures.definitions import FIGURES, figures_of
from api.csv import FORMULAS, table
from api.ports import ReportSearch
from tests.api.scripted_reports import EVIL
from tests.api.surface import World

pytestmark = pytest.mark.layer

ROOT = "/api/v1/reports"


@pytest.mark.parametrize(
    ("who", "path", "status"),
    [
        ("agent1", "/queues", 403),
        ("agent1", "/contacts?figure=offered", 403),
        ("agent1", "/agents", 200),
        ("agent1", "/agents?agent=a1", 200),
        ("agent1", "/agents?agent=a2", 403),
        ("agent1", "/realtime", 200),
        ("agent1", "/realtime?agent=a2", 403),
        ("agent1", "/figures", 200),
        ("supervisor", "/queues", 200),
        ("supervisor", "/agents?agent=a2", 200),
        ("admin", "/contacts?figure=offered", 200),
        ("admin", "/realtime", 200),
    ],
)
async def test_agents_see_their_own_figures_only(who: str, path: str, status: int) -> None:
    world = World()
    async with world.logged_in(who) as client:
        answer = await client.get(ROOT + path)
    assert answer.status_code == status, answer.text
    if who == "agent1" and status == 200 and world.reports.searches:
        assert world.reports.searches[-1].agent == "a1"
        assert answer.json().get("queues", []) == []
    if status == 403:
        assert (answer.json()["error"]["code"], world.reports.searches) == ("not-allowed", [])


@pytest.mark.parametrize("path", ["/queues", "/agents", "/realtime", "/figures", "/contacts?figure=offered"])
async def test_nobody_sees_anything_without_logging_in(path: str) -> None:
    async with World().client() as client:
        assert (await client.get(ROOT + path)).status_code == 401


async def test_what_is_asked_for_arrives() -> None:
    world = World()
    async with world.logged_in() as client:
        await client.get(
            f"{ROOT}/queues?since=2026-11-26&until=2026-11-26T12:00:00%2B01:00&interval=30&time_zone=Europe/Berlin"
            "&queue=sales&channel=voice&kind=callback&by=channel&by=queue&by=channel"
        )
        await client.get(f"{ROOT}/queues")
        await client.get(f"{ROOT}/agents?by=channel")
        await client.get(f"{ROOT}/contacts?figure=rona&report=agents&agent=a1&limit=7&before=x")
    until = datetime(2026, 11, 26, 12, tzinfo=timezone(timedelta(hours=1)))
    asked, plain, agents, contacts = world.reports.searches
    since = datetime(2026, 11, 26)  # noqa: DTZ001  in the report's zone
    assert asked == ReportSearch(since, until, "30", "Europe/Berlin", "sales", "voice", "callback", None, ("channel", "queue"))
    assert (plain, agents.by, contacts.agent) == (ReportSearch(by=("queue",)), ("channel",), "a1")


@pytest.mark.parametrize(
    "query",
    [
        "interval=17",
        "channel=pigeon",
        "kind=odd",
        "by=agent",
        "since=yesterday",
        "format=xml",
        "agent=a1",
        f"queue={'q' * 201}",
        f"time_zone={'z' * 101}",
    ],
)
async def test_what_cannot_be_reported_is_422(query: str) -> None:
    world = World()
    async with world.logged_in() as client:
        answer = await client.get(f"{ROOT}/queues?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")
    assert world.reports.searches == []


async def test_figures_are_explained() -> None:
    async with World().logged_in() as client:
        items = (await client.get(f"{ROOT}/figures")).json()["items"]
        missing = await client.get(f"{ROOT}/contacts?figure=none")
    assert [(item["report"], item["id"]) for item in items] == [(f.report, f.id) for f in FIGURES]
    assert all(item["name"] and item["formula"] and item["unit"] for item in items)
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "no-such-figure")


@pytest.mark.parametrize(
    ("query", "accept", "kind"),
    [
        ("", "*/*", "application/json"),
        ("", "text/csv", "text/csv"),
        ("", "text/html, text/csv;q=0.9, application/json;q=0.8", "text/csv"),
        ("", "application/json, text/csv", "application/json"),
        ("format=csv", "application/json", "text/csv"),
        ("format=json", "text/csv", "application/json"),
    ],
)
async def test_csv_by_name_or_by_accept(query: str, accept: str, kind: str) -> None:
    async with World().logged_in() as client:
        answer = await client.get(f"{ROOT}/queues?{query}", headers={"accept": accept})
    assert answer.headers["content-type"].startswith(kind)


@pytest.mark.parametrize(("path", "report"), [("queues", "queues"), ("agents", "agents"), ("contacts?figure=offered", None)])
async def test_a_table_has_one_header_line_and_says_what_json_says(path: str, report: str | None) -> None:
    joint = "&" if "?" in path else "?"
    async with World().logged_in() as client:
        answer = await client.get(f"{ROOT}/{path}{joint}format=csv")
        said = (await client.get(f"{ROOT}/{path}")).json()["items"][0]
    assert answer.text.endswith("\r\n")
    header, row = csv.reader(io.StringIO(answer.text, newline=""))
    assert f'filename="{path.split("?")[0]}.csv"' in answer.headers["content-disposition"]
    cells = dict(zip(header, row, strict=True))
    for name, value in {**said, **said.get("figures", {})}.items():
        if isinstance(value, float | int):
            assert float(cells[name]) == value
        elif value is None:
            assert cells[name] == ""
    if report is not None:
        assert [name for name in header if name in {f.id for f in FIGURES}] == [f.id for f in figures_of(report)]  # type: ignore[arg-type]
    if report == "queues":
        assert cells["queue_name"] == f"'{EVIL}"
        assert cells["ends"] == "handled 3; flowed-out/callback 1"
    if report == "agents":
        assert cells["idle_codes"] == "break 60"


@given(st.lists(st.lists(st.text(), min_size=3, max_size=3), max_size=5))
@settings(max_examples=100, deadline=None)
def test_any_text_comes_back_out_of_a_table_and_none_is_a_formula(rows: list[list[str]]) -> None:
    text = table(["a", "b", "c"], rows).encode(errors="surrogatepass").decode(errors="replace")
    read = list(csv.reader(io.StringIO(text, newline="")))
    assert read[0] == ["a", "b", "c"]
    for given_row, found in zip(rows, read[1:], strict=True):
        for value, cell in zip(given_row, found, strict=True):
            plain = value.replace("\0", "").encode(errors="surrogatepass").decode(errors="replace")
            assert cell in (plain, f"'{plain}")
            assert not cell.startswith(FORMULAS)


def test_times_are_written_with_their_zone() -> None:
    assert table(["t"], [[datetime(2026, 11, 26, tzinfo=UTC)]]) == "t\r\n2026-11-26T00:00:00+00:00\r\n"
