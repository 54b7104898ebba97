"""The figures in a real database: stored once whatever is repeated, listed row by row, and the same as those shown live."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

import acd.events as routing
from acd import effects
from acd.figures.definitions import Measures, Report, figures_of
from acd.figures.fold import Fold
from acd.figures.sums import fields, queue_measures, visits_by, work_by
from api.errors import ApiError
from api.ports import ReportSearch
from exchange.bookkeeper import books as books_module
from exchange.bookkeeper.figures import Figures
from exchange.brain import records, tables
from exchange.brain.house import Outcome
from exchange.brain.live import Live
from exchange.brain.names import Names
from exchange.brain.records import Record
from exchange.brain.reports import FigureReports
from storage.database import Database
from storage.entries import BEGINNING, Position
from storage.folds import FoldStates
from storage.history import History
from storage.reports import Reports
from storage.rows import RowWrite
from tests.acd.figures.story import AGENTS, QUEUES, Story, busy
from tests.exchange.bookkeeper.books_house import Office
from tests.exchange.brain.story import contact_id, new_house

pytestmark = [pytest.mark.interop, pytest.mark.asyncio(loop_scope="session")]

Q: Report = "queues"
A: Report = "agents"
TABLES = ("figure_visits", "figure_ends", "figure_work", "figure_states", "visits", "offers")
NAMES = Names({q.id: q for q in QUEUES}, {a.id: a for a in AGENTS})


@pytest.fixture(scope="module")
def story() -> Story:
    return busy(11, 700)


def log_of(story: Story) -> list[tuple[Position, Record, list[effects.Effect]]]:
    """As the event log would have it."""
    found = []
    for number, said in enumerate(story.said, 1):
        inputs: records.Input = records.Clock()
        if said.hold is not None:
            inputs = records.Asked(said.hold[0], "somebody", "hold", said.hold[1])
        found.append((Position(1, number), Record(said.at, inputs), list(said.decided)))
    return found


def of_exchange(record: Record, decided: list[effects.Effect]) -> list[RowWrite]:
    """What the exchange writes itself, with the event."""
    kept = (effects.VisitStarted, effects.VisitEnded, effects.SegmentStarted, effects.SegmentEnded)
    outcome = Outcome(decided=[effect for effect in decided if isinstance(effect, kept)])
    return [write for write in tables.of_outcome(new_house(), record, outcome) if write.statement != "contact_wrapped"]


async def keep(database: Database, story: Story, *, every: int, restore: bool) -> None:
    """The bookkeeper's way through the story, saving now and then; with `restore` a new process goes on after each."""
    states = FoldStates(database)
    await states.begin("figures", Figures.version, BEGINNING)
    fold, before = Figures(), BEGINNING
    extra: list[RowWrite] = []
    log = log_of(story)
    for position, record, decided in log:
        fold.take(position, record, decided)
        extra += of_exchange(record, decided)
        if position.offset % every == 0 or position == log[-1][0]:
            state, writes = fold.save()
            await states.save("figures", Figures.version, before, position, state, [*extra, *writes])
            before, extra = position, []
            if restore:
                saved = await states.load("figures")
                assert saved is not None
                assert saved.state is not None
                fold = Figures()
                fold.restore(saved.state)


async def dump(database: Database, columns: str = "*") -> dict[str, list[tuple[Any, ...]]]:
    async with database.connection() as connection:
        return {t: sorted(map(tuple, await connection.fetch(f"SELECT {columns} FROM {t}")), key=repr) for t in TABLES}  # noqa: S608


@pytest_asyncio.fixture(loop_scope="session")
async def database(dsn: str) -> AsyncIterator[Database]:
    async with Database(dsn) as found:
        yield found


def reports(database: Database, story: Story, live: Live | None = None) -> FigureReports:
    return FigureReports(Reports(database), live or Live(UTC, "UTC"), lambda: NAMES, lambda: story.at)


def whole(story: Story, **more: Any) -> ReportSearch:
    since = datetime.fromtimestamp(story.said[0].at, UTC)
    return ReportSearch(since=since, until=datetime.fromtimestamp(story.at, UTC), time_zone="UTC", **more)


async def test_what_is_stored_is_the_same_whatever_is_stopped_and_repeated(database: Database, story: Story) -> None:
    await keep(database, story, every=10_000, restore=False)
    once = await dump(database)
    versions = await dump(database, "xmin::text, ctid::text")
    await keep(database, story, every=10_000, restore=False)
    assert await dump(database) == once
    assert await dump(database, "xmin::text, ctid::text") == versions, "nothing was written again"
    async with database.connection() as connection:
        await connection.execute(f"TRUNCATE {', '.join(TABLES)}, segments")
    await keep(database, story, every=37, restore=True)
    assert {t: len(r) for t, r in (await dump(database)).items()} == {t: len(r) for t, r in once.items()}
    assert await dump(database) == once
    assert len(once["figure_visits"]) > 20
    assert len(once["offers"]) > 100


async def test_every_figure_lists_as_many_rows_as_it_counts(database: Database, story: Story) -> None:
    await keep(database, story, every=200, restore=False)
    found = reports(database, story)
    listed = 0
    for split in ({}, {"queue": "sales"}, {"channel": "voice", "kind": "callback"}):
        for report, who in ((Q, {}), (A, {}), (A, {"agent": "ann"})):
            counts = measured(story, {**split, **who})
            for each in figures_of(report):
                if not each.behind:
                    with pytest.raises(ApiError, match="no contacts behind"):
                        await found.behind(report, each.id, whole(story, **split, **who), 500, None)
                    continue
                page = await found.behind(report, each.id, whole(story, **split, **who), 500, None)
                assert page.total == each.count(counts), (report, each.id, split, who)
                assert len({item.id for item in page.items}) == min(page.total, 500)
                listed += page.total
    assert listed > 2_000


def measured(story: Story, wanted: dict[str, str]) -> Measures:
    """Sums of the story's figures for one queue, channel, kind, agent, in memory."""
    fold = Fold()
    for said in story.said:
        said.feed(fold)
    quarters = [*fold.take_closed(), fold.state.quarter]

    def fits(names: tuple[str, ...], key: tuple[str, ...]) -> tuple[str, ...] | None:
        return () if all(wanted.get(name, value) == value for name, value in zip(names, key, strict=True)) else None

    visits = visits_by(quarters, lambda key: fits(("queue", "channel", "kind"), key))
    work = work_by(quarters, lambda key: fits(("agent", "queue", "channel", "kind"), key))
    return queue_measures(fields(visits.get(())), fields(work.get(())))


async def test_pages_of_a_list_have_each_row_once(database: Database, story: Story) -> None:
    await keep(database, story, every=10_000, restore=False)
    found = reports(database, story)
    seen: list[str] = []
    before = None
    while True:
        page = await found.behind("queues", "offered", whole(story), 50, before)
        seen += [item.id for item in page.items]
        assert page.total == len({e.visit for _, e in story.decided if isinstance(e, effects.VisitStarted)})
        if page.next is None:
            break
        before = page.next
    assert len(seen) == len(set(seen)) == page.total
    with pytest.raises(ApiError, match="cannot be searched for"):
        await found.behind("queues", "offered", whole(story), 50, "nonsense")


async def test_intervals_are_sums_of_quarters_and_open_is_that_of_the_end(database: Database, story: Story) -> None:
    await keep(database, story, every=300, restore=False)
    found = reports(database, story)
    quarters = await found.queues(whole(story, interval="15", by=("queue",)))
    for interval in ("30", "60", "day", "total"):
        longer = await found.queues(whole(story, interval=interval, by=("queue",)))
        for row in longer.items:
            parts = [q for q in quarters.items if q.queue == row.queue and row.start <= q.start < row.end]
            for id in ("offered", "handled", "abandoned", "flowed_out", "rona", "talk"):
                assert row.figures[id] == pytest.approx(sum(q.figures[id] or 0 for q in parts), abs=0.001), (interval, id)
            last = [q for q in parts if q.end == min(row.end, quarters.items[-1].end)]
            assert row.figures["open"] == sum(q.figures["open"] or 0 for q in last), interval
            assert row.figures["longest_wait"] == max(q.figures["longest_wait"] or 0 for q in parts)
    agents = await found.agents(whole(story, interval="day"))
    for agent in agents.items:
        spent = sum(state.seconds for state in agent.states)
        assert agent.figures["logged_in"] == pytest.approx(spent, abs=0.001)
        assert spent <= (agent.end - agent.start).total_seconds()
    assert quarters.complete_to == pytest.approx(datetime.fromtimestamp(story.said[-1].at, UTC), abs=timedelta(milliseconds=1))


async def test_what_cannot_be_reported_is_said(database: Database, story: Story) -> None:
    found = reports(database, story)
    midnight = datetime(2026, 11, 22)  # noqa: DTZ001  in the report's zone
    day = await found.queues(ReportSearch(until=midnight, time_zone="Asia/Kathmandu", by=("queue",)))
    assert (day.until - day.since, day.since.isoformat()) == (timedelta(days=1), "2026-11-21T00:00:00+05:45")
    for search in (
        ReportSearch(since=midnight, until=midnight),
        ReportSearch(since=datetime.min.replace(tzinfo=UTC)),
        ReportSearch(until=datetime.max.replace(tzinfo=UTC)),
        ReportSearch(since=midnight - timedelta(days=500), until=midnight, interval="day"),
        ReportSearch(since=midnight - timedelta(days=40), until=midnight, interval="15"),
        *(ReportSearch(time_zone=name) for name in ("Mars/Olympus", "/etc/passwd", "../UTC", "Europe", "a\0b", ".")),
        ReportSearch(queue="a\0b"),
    ):
        with pytest.raises(ApiError) as error:
            await found.queues(search)
        assert error.value.status == 422, search
    for report, figure, status in ((Q, "none", 404), (A, "time_idle", 422), (A, "service_level", 404)):
        with pytest.raises(ApiError) as error:
            await found.behind(report, figure, whole(story), 10, None)
        assert error.value.status == status


async def test_live_is_historical(database: Database, story: Story) -> None:
    log = log_of(story)
    half, most = len(log) * 2 // 5, len(log) * 3 // 5
    states, fold = FoldStates(database), Figures()
    await states.begin("figures", Figures.version, BEGINNING)
    for entry in log[:half]:
        fold.take(*entry)
    state, writes = fold.save()
    await states.save("figures", Figures.version, BEGINNING, log[half - 1][0], state, writes)
    live = Live(UTC, "UTC")
    for _, record, decided in log[half:most]:
        live.take(record, decided)
    found = reports(database, story, live)
    with pytest.raises(ApiError, match="just started"):
        await found.realtime(ReportSearch(by=("queue",)))
    await live.begin(states, Reports(database), History(database), 1, lambda: story.at)
    for _, record, decided in log[most:]:
        live.take(record, decided)
    for entry in log[half:]:
        fold.take(*entry)
    fold.fold.settle()
    state, writes = fold.save()
    await states.save("figures", Figures.version, log[half - 1][0], log[-1][0], state, writes)
    now = story.said[-1].at
    shown = live.look(now).report(ReportSearch(by=("queue", "channel", "kind")), NAMES)
    assert shown.day_start > datetime.fromtimestamp(story.said[0].at, UTC), "the story crosses midnight"
    for name, since in (("today", shown.day_start), ("interval", shown.interval_start)):
        of = ReportSearch(
            since=since, until=datetime.fromtimestamp(now + 0.001, UTC), time_zone="UTC", by=("queue", "channel", "kind")
        )
        stored = {(r.queue, r.channel, r.kind): r.figures for r in (await found.queues(of)).items}
        ours = {(q.queue, q.channel, q.kind): getattr(q, name) for q in shown.queues}
        nothing = {f.id: f.value({}) for f in figures_of("queues")}
        assert {key: value for key, value in ours.items() if value != nothing} == stored, name
        people = {r.agent: r.figures for r in (await found.agents(msgspec.structs.replace(of, by=()))).items}
        assert {a.agent: getattr(a, name) for a in shown.agents if a.agent in people} == people, name
    views = {v.id: v.state for v in story.engine.agents() if v.state != "logged-out"}
    assert {a.agent: a.state for a in shown.agents if a.state != "logged-out"} == views
    assert sum(q.waiting for q in shown.queues) == sum(
        len(c.visits) for c in story.engine.contacts() if c.state in ("waiting", "offered")
    )


async def test_a_new_exchange_counts_what_the_bookkeeper_had_not_stored_yet(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(books_module, "SAVE_SECONDS", 0.05)
    office = Office(database, tmp_path / "spool")
    await office.publish()
    agent = (routing.AgentLoggedIn(0, "agent1"), routing.AgentReachable(0, "agent1", True))
    async with office.exchange():
        async with office.books(Figures(), finish=False) as books:
            await office.route(*agent, routing.AgentStateChosen(0, "agent1", "idle", "break"))
            async with asyncio.timeout(10):
                while tuple(books.standing().folds["figures"]) < office.log.position:
                    await asyncio.sleep(0.01)
        await office.route(*(event for n in (1, 2) for event in waiting(n)))
    async with office.exchange() as log:
        live = Live(UTC, "UTC")
        live.take(*entry(office, waiting(3)[0]))
        await live.begin(FoldStates(database), Reports(database), log, log.epoch, time.time)
        live.take(*entry(office, waiting(3)[1]))
        shown = live.look(time.time()).report(ReportSearch(by=("queue",)), NAMES)
        (sales,) = [queue for queue in shown.queues if queue.queue == "sales"]
        assert (sales.waiting, sales.today["offered"]) == (3, 3)
        (one,) = shown.agents
        assert (one.state, one.code) == ("idle", "break")


def waiting(number: int) -> list[routing.Event]:
    """Somebody comes and waits."""
    return [routing.ContactArrived(0, contact_id(number)), routing.ContactQueued(0, contact_id(number), "sales")]


def entry(office: Office, event: routing.Event) -> tuple[Record, list[effects.Effect]]:
    """What the exchange lets out on it."""
    record = Record(time.time(), records.Routing(event))
    return record, list(office.house.apply(record).decided)
