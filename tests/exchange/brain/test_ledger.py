"""Log first: what is not durable has no effect, order is kept, deadlines come by themselves, a broken house stops."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, ClassVar, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import acd.events as routing
from acd.effects import NobodyFor, OfferMade
from acd.errors import Refused
from exchange.brain import logged, records
from exchange.brain.clock import EngineClock
from exchange.brain.house import House, Outcome, freeze, thaw
from exchange.brain.ledger import BrokenHouse, Ledger
from exchange.brain.records import KIND, REJECTED, Input, Record
from exchange.brain.recovery import recover
from storage.entries import Position
from storage.errors import Superseded
from storage.log import EventLog, LogRow
from storage.rows import RowWrite
from tests.exchange.brain.story import CONFIGURED, contact_id, new_house

pytestmark = pytest.mark.unit

START = 1_000_000.0


class QueueLog:
    """An event log in memory: durable when the test says so, in order, or at once."""

    def __init__(self, *, at_once: bool = False) -> None:
        self.epoch = 1
        self.rows: list[LogRow] = []
        self.writes: list[list[RowWrite]] = []
        self.snapshots: list[tuple[int, int, bytes]] = []
        self.at_once = at_once
        self._futures: list[asyncio.Future[None]] = []

    @property
    def position(self) -> tuple[int, int]:
        return self.epoch, len(self.rows)

    @property
    def next_position(self) -> Position:
        return Position(self.epoch, len(self.rows) + 1)

    def append(
        self, kind: str, body: bytes, at: float, rows: Sequence[RowWrite] = (), effects: bytes | None = None
    ) -> asyncio.Future[None]:
        self.rows.append(LogRow(self.epoch, len(self.rows) + 1, at, kind, body, effects))
        self.writes.append(list(rows))
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._futures.append(future)
        if self.at_once:
            self.commit()
        return future

    def commit(self, count: int = 1_000_000) -> None:
        """The next so many are durable."""
        for future in [f for f in self._futures if not f.done()][:count]:
            future.set_result(None)

    def supersede(self) -> None:
        for future in self._futures:
            if not future.done():
                future.set_exception(Superseded("another one"))

    async def latest_snapshot(self, before: tuple[int, int] | None = None) -> tuple[int, int, bytes] | None:
        found = [snapshot for snapshot in self.snapshots if before is None or snapshot[:2] < before]
        return found[-1] if found else None

    async def read(self, after: tuple[int, int] = (0, 0), *, effects: bool = True) -> AsyncIterator[LogRow]:
        for row in self.rows:
            if (row.epoch, row.offset) > after:
                yield row


class LoopClock:
    """Engine time that is the loop's (which may be virtual)."""

    def now(self) -> float:
        return START + asyncio.get_running_loop().time()


class Desk:
    """A ledger, and everything that it let out."""

    def __init__(self, log: QueueLog, house: House | None = None, rows: Callable[[Record, Outcome], Any] | None = None) -> None:
        self.log = log
        self.house = house or new_house()
        self.out: list[Input] = []
        self.out_at: list[float] = []
        self.broken = asyncio.Event()
        clock = cast(EngineClock, LoopClock())
        events = cast(EventLog, log)
        self.ledger = Ledger(self.house, events, clock, rows or (lambda r, o: []), self._carry_out, self.broken.set)

    def _carry_out(self, record: Record, outcome: Outcome) -> None:
        self.out.append(record.input)
        self.out_at.append(asyncio.get_running_loop().time())

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Ledger]:
        task = asyncio.create_task(self.ledger.run(), name="ledger")
        try:
            yield self.ledger
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def arrived(number: int) -> records.Arrived:
    return records.Arrived(
        contact_id(number), "linecard0", "g1", f"call-{number}", f"party-{number}", "5000", "demo", version=1
    )


def logged_in(agent: str = "agent1") -> records.Routing:
    return records.Routing(routing.AgentLoggedIn(0.0, agent))


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_nothing_has_an_effect_before_it_is_durable() -> None:
    desk = Desk(QueueLog())
    async with desk.running() as ledger:
        first = ledger.put(records.Routing(CONFIGURED))
        second = ledger.put(arrived(1))
        await settle()
        assert desk.house.talks, "the house has it at once"
        assert (desk.out, first.done(), ledger.statistics().waiting) == ([], False, 2)
        desk.log.commit(1)
        await first
        assert desk.out == [records.Routing(CONFIGURED)]
        assert not second.done()
        desk.log.commit()
        await second
        assert desk.out == [records.Routing(CONFIGURED), arrived(1)]
        await asyncio.wait_for(ledger.drained(), 1)


async def test_order_is_kept_whatever_becomes_durable_first() -> None:
    desk = Desk(QueueLog())
    async with desk.running() as ledger:
        inputs: list[Input] = [records.Routing(CONFIGURED), *(arrived(n) for n in range(1, 6))]
        futures = [ledger.put(each) for each in inputs]
        for future in reversed(desk.log._futures[1:]):
            future.set_result(None)
        await settle()
        assert desk.out == []
        desk.log.commit()
        await asyncio.gather(*futures)
    assert desk.out == inputs
    assert [records.decode(row.body).input for row in desk.log.rows] == inputs


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.just("put"), st.integers(1, 4)), max_size=40))
async def test_effects_are_always_a_prefix_of_what_is_durable(steps: list[str | int]) -> None:
    desk = Desk(QueueLog())
    async with desk.running() as ledger:
        ledger.put(records.Routing(CONFIGURED))
        for number, step in enumerate(steps, 1):
            if isinstance(step, int):
                desk.log.commit(step)
            else:
                ledger.put(arrived(number))
            await settle()
            durable = sum(f.done() for f in desk.log._futures)
            assert len(desk.out) == durable
            assert desk.out == [records.decode(r.body).input for r in desk.log.rows[:durable]]


async def test_what_is_refused_is_not_in_the_log() -> None:
    desk = Desk(QueueLog(at_once=True))
    async with desk.running() as ledger:
        await ledger.put(records.Routing(CONFIGURED))
        await ledger.put(logged_in())
        before = freeze(desk.house)
        with pytest.raises(Refused):
            ledger.put(logged_in())
        assert freeze(desk.house) == before
        assert (len(desk.log.rows), ledger.statistics().refused) == (2, 1)
        await ledger.put(logged_in("agent2"))


async def test_rows_go_with_their_record_those_of_the_caller_first() -> None:
    mine, follows = RowWrite("leg", [1]), RowWrite("contact_held", [2])
    desk = Desk(QueueLog(at_once=True), rows=lambda record, outcome: [follows])
    async with desk.running() as ledger:
        await ledger.put(records.Routing(CONFIGURED), None, [mine])
    assert desk.log.writes == [[mine, follows]]


async def test_effects_are_logged_and_decisions_point_into_them() -> None:
    desk = Desk(QueueLog(at_once=True))
    agent = [
        routing.AgentReachable(0.0, "agent1", True),
        routing.AgentStateChosen(0.0, "agent1", "available"),
    ]
    waiting = [routing.ContactArrived(0.0, contact_id(1)), routing.ContactQueued(0.0, contact_id(1), "sales")]
    async with desk.running() as ledger:
        await ledger.put(records.Routing(CONFIGURED))
        await ledger.put(logged_in())
        for event in (*waiting, *agent):
            await ledger.put(records.Routing(event))
    effects = [logged.decode(row.effects) for row in desk.log.rows]
    twin = new_house()
    assert effects == [twin.apply(records.decode(row.body)).decided for row in desk.log.rows]
    pointers = [write.args for writes in desk.log.writes for write in writes if write.statement == "decision"]
    assert [pointer[4] for pointer in pointers] == ["nobody", "offer"]
    for epoch, offset, number, contact, kind, *_ in pointers:
        effect = effects[offset - 1][number]
        assert isinstance(effect, NobodyFor if kind == "nobody" else OfferMade)
        assert (epoch, effect.contact) == (1, contact)


async def test_time_never_goes_back_behind_the_log() -> None:
    house = new_house()
    house.apply(Record(START + 5_000_000, records.Routing(CONFIGURED)))
    desk = Desk(QueueLog(at_once=True), house)
    async with desk.running() as ledger:
        await ledger.put(logged_in())
    assert desk.log.rows[-1].at == START + 5_000_000


@pytest.mark.looptime
async def test_deadlines_come_by_themselves() -> None:
    desk = Desk(QueueLog(at_once=True))
    loop = asyncio.get_running_loop()
    async with desk.running() as ledger:
        ledger.start_clock()
        await ledger.put(records.Routing(CONFIGURED))
        for event in (
            routing.AgentLoggedIn(0.0, "agent1"),
            routing.AgentReachable(0.0, "agent1", True),
            routing.AgentStateChosen(0.0, "agent1", "available"),
            routing.ContactArrived(0.0, contact_id(1)),
            routing.ContactQueued(0.0, contact_id(1), "sales"),
        ):
            await ledger.put(records.Routing(event))
        offered = loop.time()
        await asyncio.sleep(19.9)
        assert records.Clock() not in desk.out
        await asyncio.sleep(0.2)
        assert desk.out.count(records.Clock()) == 1
        assert desk.out_at[-1] - offered == pytest.approx(20, abs=0.01)
        view = desk.house.engine.agent("agent1")
        assert view is not None
        assert view.state == "not-responding"
        await asyncio.sleep(3600)
        assert desk.out.count(records.Clock()) == 1, "nothing else is due"


@pytest.mark.looptime
async def test_an_hour_without_durability_is_an_hour_without_effects() -> None:
    """The clock goes on being logged; whatever it decided comes out in order once it can."""
    desk = Desk(QueueLog())
    async with desk.running() as ledger:
        ledger.put(records.Routing(CONFIGURED))
        ledger.put(arrived(1))
        await asyncio.sleep(3600)
        assert desk.out == []
        desk.log.commit()
        await ledger.drained()
        assert desk.out[:2] == [records.Routing(CONFIGURED), arrived(1)]


@pytest.mark.looptime
async def test_recovered_deadlines_wait_for_start_clock() -> None:
    first = Desk(QueueLog(at_once=True))
    async with first.running() as ledger:
        for input in (records.Routing(CONFIGURED), logged_in(), records.Routing(routing.AgentReachable(0.0, "agent1", True))):
            await ledger.put(input)
        await ledger.put(records.Routing(routing.AgentStateChosen(0.0, "agent1", "available")))
        await ledger.put(records.Routing(routing.ContactArrived(0.0, contact_id(1))))
        await ledger.put(records.Routing(routing.ContactQueued(0.0, contact_id(1), "sales")))
    second = Desk(first.log)
    await recover(second.house, cast(EventLog, first.log))
    assert freeze(second.house) == freeze(first.house)
    await asyncio.sleep(30)
    async with second.running() as ledger:
        await ledger.put(records.LineBack(contact_id(1)))
        await asyncio.sleep(1)
        assert second.out == [records.LineBack(contact_id(1))]
        ledger.start_clock()
        await asyncio.sleep(1)
        assert second.out[1:] == [records.Clock()]


@pytest.mark.realtime
async def test_many_deadlines_leave_half_of_the_time_to_others() -> None:
    class Slow(House):
        """Always late."""

        ticks: ClassVar[list[float]] = []

        def next_wake(self) -> float | None:
            return START if len(self.ticks) < 5 else None

        def apply(self, record: Record) -> Outcome:
            if isinstance(record.input, records.Clock):
                self.ticks.append(time.monotonic())
                time.sleep(0.02)
            return super().apply(record)

    house = Slow(new_house().runner, recordings=True)
    desk = Desk(QueueLog(at_once=True), house)
    async with desk.running() as ledger:
        await ledger.put(records.Routing(CONFIGURED))
        ledger.start_clock()
        while len(house.ticks) < 5:
            await asyncio.sleep(0.001)
    assert min(later - one for one, later in itertools.pairwise(house.ticks)) >= 0.04


class Trap(House):
    """A house with a bug: it half-takes one input and raises."""

    def apply(self, record: Record) -> Outcome:
        if isinstance(record.input, records.CardDied):
            self.talks.clear()
            raise ZeroDivisionError
        return super().apply(record)


async def test_a_broken_house_stops_and_the_log_says_why() -> None:
    desk = Desk(QueueLog(), Trap(new_house().runner, recordings=True))
    async with desk.running() as ledger:
        ledger.put(records.Routing(CONFIGURED))
        waiting = ledger.put(arrived(1))
        with pytest.raises(BrokenHouse):
            ledger.put(records.CardDied("linecard0", "g1"))
        assert [row.kind for row in desk.log.rows] == [KIND, KIND, REJECTED]
        with pytest.raises(Refused) as refused:
            ledger.put(logged_in())
        assert refused.value.code == "restarting"
        assert not desk.broken.is_set(), "not before the log has it"
        desk.log.commit()
        await asyncio.wait_for(desk.broken.wait(), 1)
        await waiting
        assert desk.out == [records.Routing(CONFIGURED), arrived(1)], "what was decided before still has its effects"
    fresh = new_house()
    assert await recover(fresh, cast(EventLog, desk.log)) == 2
    assert list(fresh.talks) == [contact_id(1)]


async def test_rows_that_cannot_be_made_break_the_house_too() -> None:
    def rows(record: Record, outcome: Outcome) -> list[RowWrite]:
        if isinstance(record.input, records.Arrived):
            raise TypeError("no row")
        return []

    desk = Desk(QueueLog(at_once=True), rows=rows)
    async with desk.running() as ledger:
        await ledger.put(records.Routing(CONFIGURED))
        with pytest.raises(BrokenHouse):
            ledger.put(arrived(1))
        await asyncio.wait_for(desk.broken.wait(), 1)
    assert [row.kind for row in desk.log.rows] == [KIND, REJECTED]


@pytest.mark.looptime
async def test_a_deadline_that_breaks_the_house_is_no_stray_error() -> None:
    class Bomb(Trap):
        def next_wake(self) -> float | None:
            return START + 5

        def apply(self, record: Record) -> Outcome:
            if isinstance(record.input, records.Clock):
                raise ZeroDivisionError
            return super().apply(record)

    desk = Desk(QueueLog(at_once=True), Bomb(new_house().runner, recordings=True))
    stray: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: stray.append(context))
    async with desk.running() as ledger:
        ledger.start_clock()
        await ledger.put(records.Routing(CONFIGURED))
        await asyncio.sleep(10)
        assert desk.broken.is_set()
    assert stray == []


async def test_a_superseded_log_lets_nothing_out_and_nobody_waits() -> None:
    desk = Desk(QueueLog())
    task = asyncio.create_task(desk.ledger.run())
    futures = [desk.ledger.put(records.Routing(CONFIGURED)), desk.ledger.put(arrived(1))]
    drained = asyncio.create_task(desk.ledger.drained())
    await settle()
    desk.log.supersede()
    await asyncio.wait_for(task, 1)
    await asyncio.wait([drained], timeout=1)
    assert drained.cancelled()
    assert all(f.cancelled() for f in futures)
    assert desk.out == []
    with pytest.raises(Refused):
        desk.ledger.put(arrived(2))


async def test_a_ledger_that_is_stopped_holds_nobody() -> None:
    desk = Desk(QueueLog())
    async with desk.running() as ledger:
        ledger.put(records.Routing(CONFIGURED))
        drained = asyncio.create_task(ledger.drained())
        await settle()
    await asyncio.wait([drained], timeout=1)
    assert drained.cancelled()


async def test_recovery_begins_with_the_newest_snapshot_that_it_can_read() -> None:
    desk = Desk(QueueLog(at_once=True))
    async with desk.running() as ledger:
        await ledger.put(records.Routing(CONFIGURED))
        await ledger.put(arrived(1))
        old = (1, 2, freeze(desk.house))
        await ledger.put(arrived(2))
        await ledger.put(logged_in())
    for snapshots, replayed in (([], 4), ([old], 2), ([old, (1, 3, b"of a version to come")], 2), ([(1, 3, b"")], 4)):
        desk.log.snapshots = snapshots
        fresh = new_house()
        assert await recover(fresh, cast(EventLog, desk.log)) == replayed
        assert freeze(fresh) == freeze(desk.house)


async def test_a_replay_passes_over_what_raises_now() -> None:
    log = QueueLog(at_once=True)
    desk = Desk(log)
    async with desk.running() as ledger:
        await ledger.put(records.Routing(CONFIGURED))
        await ledger.put(arrived(1))
        await ledger.put(records.CardDied("linecard0", "other"))
        await ledger.put(arrived(2))
    log.append(KIND, b"a record of a later version", START)
    log.append("other", b"", START)
    trap = Trap(new_house().runner, recordings=True)
    assert await recover(trap, cast(EventLog, log)) == 3
    assert list(trap.talks) == [contact_id(1), contact_id(2)]
    again = Trap(new_house().runner, recordings=True)
    thaw(again, freeze(trap))
    assert freeze(again) == freeze(trap)
