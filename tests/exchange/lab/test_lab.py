"""The lab's commands on the log of a day in a real PostgreSQL: stopped, running, and as a file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from datetime import UTC
from pathlib import Path

import asyncpg
import msgspec
import pytest
import structlog
import yaml
from typer.testing import CliRunner

from acd import document
from acd.effects import NobodyFor
from acd.sentences import Names
from bench.tools import days
from exchange import rundir
from exchange.bookkeeper.books import Books
from exchange.bookkeeper.shadow import ShadowFold
from exchange.brain import logged
from exchange.brain.store import Store
from exchange.cli import app
from media.vault.store import Vault
from storage.database import Database
from storage.entries import LogRow
from storage.keeper import LogKeeper
from storage.log import EventLog
from storage.queries import Queries
from storage.reader import Bell
from storage.rows import contact_arrived
from tests.tools.postgres import PostgresServer

pytestmark = [pytest.mark.interop, pytest.mark.timeout(240)]

START = 1_764_057_600.0  # 2025-11-25 08:00 UTC
DAY = days.a_day(12, 300, START, hours=5)


async def write(dsn: str, spool: Path, rows: Sequence[LogRow]) -> None:
    """As an exchange would."""
    async with Database(dsn) as database, EventLog(database, spool) as log:
        for row in rows:
            pointers = logged.pointers(log.next_position, row.at, logged.decode(row.effects))
            durable = log.append(row.kind, row.body, row.at, pointers, row.effects)
        await durable


class Site:
    """A data directory with the log of one day."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.server = PostgresServer(data, rundir.prepare(data))
        self.rows = list(days.rows(DAY))
        nobody = (e.contact for row in self.rows for e in logged.decode(row.effects) if isinstance(e, NobodyFor))
        self.waited = next(nobody)
        """A contact that found nobody at first."""

    async def fill(self) -> None:
        await self.server.start()
        await write(self.dsn, self.data / "spool", self.rows)
        async with Database(self.dsn) as database, EventLog(database, self.data / "spool") as log:
            await log.write([contact_arrived(self.waited, "voice", "", "5000", "", "5000", START, {})])

    @property
    def dsn(self) -> str:
        return self.server.embedded.dsn

    def run(self, *words: str, code: int = 0) -> str:
        found = CliRunner().invoke(app, [*words])
        structlog.reset_defaults()  # the command's log went to the runner's own stream
        assert found.exit_code == code, (found.output, found.exception)
        return found.output

    def on(self, *words: str, code: int = 0) -> str:
        return self.run(*words, "--data", str(self.data), code=code)

    async def execute(self, sql: str) -> None:
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("lab"))
    try:
        asyncio.run(site.fill())
        site.server.stop()
        yield site
    finally:
        site.server.stop()


@pytest.fixture(scope="module")
def site(stopped: Site) -> Site:
    """The same, with its database running."""
    asyncio.run(stopped.server.start())
    return stopped


def test_a_stopped_one_is_read_and_left_stopped(stopped: Site) -> None:
    said = stopped.on("explain", stopped.waited, "--zone", "UTC")
    lines = said.splitlines()
    assert lines[0].startswith(f"Contact {stopped.waited}, 2025-11-25 ")
    assert "Nobody got it: nobody was available for it." in said
    assert any("It was offered to Agent " in line and " became free, and it " in line for line in lines)
    assert "It ended: " in said
    assert stopped.server.embedded.running() is None
    assert "There is no exchange on" in stopped.run("replay", "--data", str(stopped.data / "elsewhere"), code=1)


def test_the_api_says_the_same(site: Site) -> None:
    async def ask() -> list[str]:
        async with Database(site.dsn) as database:
            store = Store(Queries(database), _no_vault, dict, lambda: Names.of(DAY.rules()))
            story = await store.story(site.waited, UTC)
            assert story is not None
            assert await store.story("019aba0a-e0f0-702b-bbd0-03e25edfa53c", UTC) is None
            offer = next(said for said in story.sentences if said.kind == "offer-made")
            assert offer.decision is not None
            assert offer.decision["agent"][0] == offer.agent
            return [f"{said.at:%H:%M:%S} {said.text}" for said in story.sentences]

    said = site.on("explain", site.waited, "--zone", "UTC").splitlines()
    assert said[2:] == asyncio.run(ask())


def _no_vault() -> Vault:
    raise AssertionError("nothing here is in the vault")


def test_everybody_of_a_decision(site: Site) -> None:
    story = json.loads(site.on("explain", site.waited, "--all", "--json", "--zone", "UTC"))
    offer = next(told for told in story["told"] if told["sentence"]["kind"] == "offer-made")
    nobody = next(told for told in story["told"] if told["sentence"]["kind"] == "nobody-for")
    assert len(offer["candidates"]) == len(nobody["candidates"]) == 12
    assert all(one.get("reason") for one in nobody["candidates"])
    able = {one["agent"] for one in offer["candidates"] if not one.get("reason")}
    decision = offer["sentence"]["decision"]
    named = {decision["agent"][0], *(other[0] for other in decision.get("agents", []))}
    assert able == named  # with so few agents the record names them all, and the replay finds the same
    assert "is no contact's id" in site.on("explain", "nonsense", code=1)
    assert "says nothing of a contact" in site.on("explain", "019aba0a-e0f0-702b-bbd0-03e25edfa53c", code=1)


def test_replay_is_identical_or_shows_the_first_difference(site: Site) -> None:
    events = len(site.rows)
    assert site.on("replay", "--zone", "UTC").startswith(f"identical: {events:,} events with ")
    part = json.loads(site.on("replay", "--from", "2025-11-25T09:00", "--to", "2025-11-25T10:00", "--zone", "UTC", "--json"))
    assert part["before"] > 100
    assert 0 < part["compared"] < events - part["before"]
    asyncio.run(site.execute('CREATE TABLE kept AS SELECT effects FROM event_log WHERE "offset" = 200'))
    asyncio.run(
        site.execute('UPDATE event_log SET effects = (SELECT effects FROM event_log WHERE "offset" = 201) WHERE "offset" = 200')
    )
    try:
        said = site.on("replay", "--zone", "UTC", code=1)
    finally:
        asyncio.run(site.execute('UPDATE event_log SET effects = (SELECT effects FROM kept) WHERE "offset" = 200'))
    assert said.startswith("different: event 1/200 of 2025-11-25 ")
    assert "gives other effects now, after 199 events" in said
    lines = [line.strip() for line in said.splitlines()]
    assert any(line.startswith("- ") for line in lines)
    assert any(line.startswith("+ ") for line in lines)


def changed(path: Path) -> Path:
    """Everybody serves everything."""
    rules = DAY.rules()
    wide = tuple(days.Membership(queue.id) for queue in rules.queues)
    agents = [msgspec.structs.replace(agent, queues=wide) for agent in rules.agents]
    plain = document.plain(document.of_configured(msgspec.structs.replace(rules, agents=agents)))
    path.write_text(yaml.safe_dump(plain))
    return path


def test_what_if_and_the_log_as_a_file(site: Site, tmp_path: Path) -> None:
    rules, file, events = changed(tmp_path / "changed.yaml"), tmp_path / "day.jsonl.gz", len(site.rows)
    question = ["--config", str(rules), "--seeds", "2", "--processes", "1", "--zone", "UTC", "--day", "2025-11-25", "--json"]
    found = json.loads(site.on("whatif", *question))
    rows = {row["figure"]: row for row in found["queues"][""]}
    assert rows["offered"]["measured"] == rows["offered"]["before"]["mean"] == rows["offered"]["after"]["mean"]
    assert rows["asa"]["before"]["mean"] == pytest.approx(rows["asa"]["measured"], rel=0.02)
    assert rows["asa"]["change"]["mean"] < -1.0
    said = site.on("log", "export", str(file), "--day", "2025-11-25", "--zone", "UTC")
    assert said == f"{events:,} events are in {file}.\n"
    assert json.loads(site.run("whatif", "--log", str(file), *question)) == found
    assert site.run("replay", "--log", str(file), "--zone", "UTC").startswith(f"identical: {events:,} events")
    assert "It was offered to Agent" in site.run("explain", site.waited, "--log", str(file), "--zone", "UTC")


def test_staffing_and_what_cannot_be_asked(site: Site, tmp_path: Path) -> None:
    here = ["--day", "2025-11-25", "--zone", "UTC", "--seeds", "1", "--processes", "1"]
    more = site.on("whatif", *here, "--agents", "+2@support")
    assert "changed: +2@support" in more
    assert "CHANGED RULES" in more
    assert "There is no queue nowhere" in site.on("whatif", *here, "--agents", "+1@nowhere", code=1)
    assert "has no events of that time" in site.on("whatif", "--day", "2024-01-01", "--zone", "UTC", code=1)
    broken = tmp_path / "broken.yaml"
    broken.write_text("queues: [nonsense")
    assert "cannot be used" in site.on("whatif", *here, "--config", str(broken), code=1)
    other = tmp_path / "other.yaml"
    other.write_text("queues: {hotline: {name: Hotline}}\nagents: {ann: {name: Ann, queues: [hotline]}}\n")
    assert "does not have: " in site.on("whatif", *here, "--config", str(other), code=1)


def test_synthetic_arrivals_of_two_files(site: Site, tmp_path: Path) -> None:
    rules = changed(tmp_path / "rules.yaml")
    arrivals = tmp_path / "arrivals.yaml"
    arrivals.write_text(
        "contacts: {morning: {queue: sales, expected: [30, 60, 30]}}\n"
        "behaviour: {default: {handling: {mean: 240, distribution: lognormal}, patience: 120}}\nagents: 8\n"
    )
    files = ["--synthetic", str(arrivals), "--present", str(rules), "--config", str(rules)]
    said = site.run("whatif", *files, "--seeds", "2", "--processes", "1", "--json")
    rows = {row["figure"]: row for row in json.loads(said)["queues"]["sales"]}
    assert rows["offered"]["measured"] is None
    assert 80 < rows["offered"]["before"]["mean"] < 160
    assert rows["asa"]["change"]["mean"] == 0.0  # the same rules, the same customers


def test_a_shadow_follows_and_goes_on_after_restarts(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exchange writes in three parts; after each, another bookkeeper reads to the log's end."""
    dsn = asyncio.run(site.server.database())
    parts = [site.rows[:50], site.rows[50:600], site.rows[600:]]
    asyncio.run(write(dsn, tmp_path / "spool", parts[0]))
    asyncio.run(keep_books(dsn))
    monkeypatch.setenv("SWITCHROOM_DATABASE_URL", dsn)
    assert "No shadow was ever started" in site.run("shadow", "report", code=1)
    site.run("shadow", "start", str(changed(tmp_path / "rules.yaml")), "--lag", "600")
    assert "no contact is through in both worlds yet" in site.run("shadow", "report")
    for part in parts[1:]:
        asyncio.run(keep_books(dsn))
        asyncio.run(write(dsn, tmp_path / "spool", part))
    asyncio.run(keep_books(dsn))
    report = json.loads(site.run("shadow", "report", "--zone", "UTC", "--json"))
    assert report["on"]
    every = report["queues"][""]
    assert every["contacts"] > 200
    assert every["shadow_mean"] < every["mean"]
    assert 0 < len(report["gain"]) <= 10
    assert report["gain"][0]["shadow_waited"] < report["gain"][0]["waited"]
    late = json.loads(site.run("shadow", "report", "--since", "2025-11-25T11:00", "--zone", "UTC", "--json"))
    assert 0 < late["queues"][""]["contacts"] < every["contacts"]
    assert "Greatest gain:" in site.run("shadow", "report", "--zone", "UTC")
    site.run("shadow", "stop")
    asyncio.run(keep_books(dsn))
    assert "stopped at" in site.run("shadow", "report")
    assert json.loads(site.run("shadow", "report", "--json"))["queues"][""] == every
    assert "No shadow is running" in site.run("shadow", "stop", code=1)


async def keep_books(dsn: str) -> None:
    """A bookkeeper that reads to the log's end and leaves."""
    async with Database(dsn, command_timeout=60.0) as database, Bell(dsn) as bell:
        books = Books(database, bell, [ShadowFold()], LogKeeper(database, 0, lambda: START), recordings=False)
        await books.begin()
        await books.finish()
