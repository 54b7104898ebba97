"""The figures of this moment, of the running quarter of an hour and of today: the exchange's own fold over what it lets out.

It begins where the fold that the bookkeeper stores is, and reads the log from there; then every outcome goes into it when its
effects are let out. So it needs no database once it has begun, and it is never later than the desks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo

import msgspec
import structlog

from acd.effects import Effect
from acd.figures import live, standing
from acd.figures.definitions import figures_of
from acd.figures.fold import Fold
from acd.figures.measures import Quarter, VisitKey, WorkKey, copied, instant, merge, quarter_of
from acd.figures.sums import Group, agent_measures, fields, queue_measures, states_by, visits_by, work_by
from api.ports import ReportSearch
from api.report_models import AgentLive, QueueLive, Realtime
from exchange.bookkeeper.figures import Figures, feed
from exchange.brain import logged
from exchange.brain.names import Names, values
from exchange.brain.records import KIND, Record, decode
from storage.entries import BEGINNING
from storage.errors import DatabaseAway
from storage.folds import FoldStates
from storage.history import History
from storage.reports import Reports

log = structlog.get_logger()

MOST_WAITING = 200_000
"""Outcomes that are kept while the log is read; with more there are no live figures until the exchange starts anew."""
AT_ONCE = 100
"""Events of the log that are taken in one go: calls go on meanwhile."""
RETRY_SECONDS = 1.0

Logged = tuple[Record, Sequence[Effect]]


class Live:
    """Not ready until it has read what is in the log."""

    def __init__(self, zone: tzinfo, zone_name: str) -> None:
        self.ready = False
        self.fold = Fold()
        self._zone, self._zone_name = zone, zone_name
        self._today = Quarter(0)
        self._waiting: deque[Logged] = deque()
        self._broken = False

    # --- in -------------------------------------------------------------------------------------------------------

    def take(self, record: Record, decided: Sequence[Effect]) -> None:
        """What is being let out, in the order of the log. Whatever goes wrong here is no reason to let less out."""
        if self._broken:
            return
        if not self.ready:
            self._waiting.append((record, decided))
            if len(self._waiting) > MOST_WAITING:
                self._give_up("too much happened before the log was read")
            return
        try:
            self._feed(record, decided)
        except Exception:
            log.exception("figures fail", input=type(record.input).__name__)
            self._give_up("an effect that the figures cannot take")

    async def begin(self, states: FoldStates, reports: Reports, history: History, epoch: int, now: Callable[[], float]) -> None:
        """Go on from the stored fold over the log up to this epoch: what comes after has come to `take`."""
        while True:
            try:
                await self._begin(states, reports, history, epoch, now())
                return
            except DatabaseAway as error:
                log.info("live figures wait for the database", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)
            except ValueError as error:
                self._give_up(str(error))
                return

    async def _begin(self, states: FoldStates, reports: Reports, history: History, epoch: int, now: float) -> None:
        stored = await states.load(Figures.name)
        place, self.fold = BEGINNING, Fold()
        if stored is not None and stored.state is not None and stored.version == Figures.version:
            place, self.fold = stored.position, Fold.thaw(stored.state)
        start, running = self._midnight(now), self.fold.state.quarter.start
        self._today = await reports.sum_of(_utc(start), _utc(max(start, running)))
        count = 0
        async for row in history.read(place):
            if row.epoch >= epoch:
                break
            if row.kind == KIND:
                try:
                    record, decided = decode(row.body), logged.decode(row.effects)
                except ValueError as error:
                    log.error("figures leave out an event of another version", place=row.position, error=str(error))
                    continue
                await self._feed_patiently(record, decided)
            count += 1
            if count % AT_ONCE == 0:
                await asyncio.sleep(0)
        while self._waiting:
            for _ in range(min(AT_ONCE, len(self._waiting))):
                await self._feed_patiently(*self._waiting.popleft())
            await asyncio.sleep(0)
        self.ready = not self._broken
        log.info("figures are live", events=count)

    def _give_up(self, why: str) -> None:
        log.error("no live figures until the exchange starts anew", reason=why)
        self._broken, self.ready = True, False
        self._waiting.clear()

    async def _feed_patiently(self, record: Record, decided: Sequence[Effect]) -> None:
        """After a long outage many quarters are over at once: each for itself."""
        while self.fold.state.now and self.fold.state.quarter.end <= record.at:
            self.fold.advance(self.fold.state.quarter.end)
            self._sum_up()
            await asyncio.sleep(0)
        self._feed(record, decided)

    def _feed(self, record: Record, decided: Sequence[Effect]) -> None:
        for _ in feed(self.fold, record, decided):
            pass
        if self.fold.state.closed:
            self._sum_up()

    def _sum_up(self) -> None:
        for quarter in self.fold.take_closed():
            start = self._midnight(quarter.start)
            if start > self._today.start:
                self._today = Quarter(start)
            if quarter.start >= self._today.start:
                total = copied(self._today)  # somebody may be reading the one before
                merge(total, quarter)
                self._today = total

    def _midnight(self, at: float) -> int:
        local = datetime.fromtimestamp(at, self._zone)
        return quarter_of(instant(local.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()))

    # --- out ------------------------------------------------------------------------------------------------------

    def look(self, at: float) -> Look:
        """Everything at this time, as copies: what is made of them may be made in a thread."""
        quarters = live.quarters(self.fold, at)
        midnight = self._midnight(at)
        today = [quarter for quarter in (self._today, *quarters) if quarter.start >= midnight]
        return Look(live.now(self.fold, at), quarters[-1:], today, midnight, self._zone, self._zone_name)


class Look(msgspec.Struct, frozen=True):
    """A moment."""

    now: live.Now
    interval: list[Quarter]
    today: list[Quarter]
    midnight: int
    zone: tzinfo
    zone_name: str

    def report(self, search: ReportSearch, names: Names) -> Realtime:
        """What is asked for of it."""
        by_state: dict[str, int] = {}
        for agent in self.now.agents.values():
            by_state[agent.state] = by_state.get(agent.state, 0) + 1
        return Realtime(
            at=datetime.fromtimestamp(self.now.at, self.zone),
            interval_start=datetime.fromtimestamp(self.interval[0].start, self.zone),
            day_start=datetime.fromtimestamp(self.midnight, self.zone),
            time_zone=self.zone_name,
            agents_by_state=by_state,
            queues=_queues(self.now, self.interval, self.today, search, names),
            agents=_agents(self.now, self.interval, self.today, search, names, self.zone),
        )


def _queues(
    moment: live.Now, interval: Sequence[Quarter], today: Sequence[Quarter], search: ReportSearch, names: Names
) -> list[QueueLive]:
    by = search.by

    def group(key: VisitKey) -> Group | None:
        named = dict(zip(("queue", "channel", "kind"), key, strict=True))
        asked = {"queue": search.queue, "channel": search.channel, "kind": search.kind}
        fits = all(value is None or named[name] == value for name, value in asked.items())
        return tuple(named[name] for name in by) if fits else None

    now: dict[Group, list[standing.QueueNow]] = {}
    for key, queue in moment.queues.items():
        named = group(key)
        if named is not None:
            now.setdefault(named, []).append(queue)
    sums = [(visits_by(q, group), work_by(q, lambda key: group(key[1:]))) for q in (interval, today)]
    columns = figures_of("queues")
    groups = dict.fromkeys([*now, *sums[1][0], *sums[1][1]])
    if by == ("queue",) and search.queue is None and search.channel is None and search.kind is None:
        groups |= dict.fromkeys((id,) for id in names.queues)
    found = []
    for each in sorted(groups):
        named_by = dict(zip(by, each, strict=True))
        id = named_by.get("queue")
        told = [
            values(columns, queue_measures(fields(v.get(each)), fields(w.get(each)), tells_short=names.tells_short(id)))
            for v, w in sums
        ]
        parts = now.get(each, [])
        found.append(
            QueueLive(
                queue=id,
                queue_name=names.queue(id),
                channel=named_by.get("channel"),
                kind=named_by.get("kind"),
                closed=id in moment.closed,
                waiting=sum(part.waiting for part in parts),
                longest_wait=max((part.longest_ms for part in parts), default=0) / 1000,
                with_agent=sum(part.with_agent for part in parts),
                scheduled=sum(part.scheduled for part in parts),
                interval=told[0],
                today=told[1],
            )
        )
    return found


def _agents(
    moment: live.Now,
    interval: Sequence[Quarter],
    today: Sequence[Quarter],
    search: ReportSearch,
    names: Names,
    zone: tzinfo,
) -> list[AgentLive]:
    def group(key: WorkKey) -> Group | None:
        return (key[0],) if search.agent in (None, key[0]) else None

    sums = [(work_by(q, group), states_by(q, search.agent)) for q in (interval, today)]
    columns = figures_of("agents")
    found = []
    here = [id for id in moment.agents if search.agent in (None, id)]
    for id in sorted(dict.fromkeys([*here, *(key for (key,) in sums[1][0]), *sums[1][1]])):
        told = [values(columns, agent_measures(fields(w.get((id,))), s.get(id, {}))) for w, s in sums]
        agent = moment.agents.get(id)
        found.append(
            AgentLive(
                agent=id,
                agent_name=names.agent(id),
                state=agent.state if agent is not None else "logged-out",
                code=agent.code if agent is not None else "",
                since=datetime.fromtimestamp(agent.since, zone) if agent is not None else None,
                contacts=agent.contacts if agent is not None else 0,
                interval=told[0],
                today=told[1],
            )
        )
    return found


def _utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
