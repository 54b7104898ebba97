"""Health and metrics of the whole house, as the API serves them (api.ports.Operations)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import msgspec
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.models import Health, IceServer, User
from exchange.brain.ice import IceServers
from exchange.brain.shell import Exchange
from media.control.edge import TrunkState


class Figures(Collector):
    """Reads the statistics of every long-lived object at the moment of the scrape."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def collect(self) -> Iterator[Metric]:
        exchange = self._exchange
        engine = exchange.house.engine.statistics()
        ended = CounterMetricFamily(
            "switchroom_contacts_ended", "Contacts by final state since the log began.", labels=["final"]
        )
        for final, count in engine.ended.items():
            ended.add_metric([final], count)
        yield ended
        yield GaugeMetricFamily("switchroom_contacts_open", "Contacts without a final state.", engine.open)
        waiting = GaugeMetricFamily("switchroom_queue_waiting", "Contacts waiting, by queue.", labels=["queue"])
        for queue, figures in engine.queues.items():
            waiting.add_metric([queue], figures.waiting)
        yield waiting
        agents = GaugeMetricFamily("switchroom_agents", "Agents by state.", labels=["state"])
        for state, count in engine.agents.items():
            agents.add_metric([state], count)
        yield agents
        yield CounterMetricFamily("switchroom_engine_events", "Events the routing engine handled.", engine.events)
        yield CounterMetricFamily("switchroom_calls_without_entry_point", "Calls to unknown numbers.", exchange.refused_calls)
        yield from self._lines()
        yield from self._log()
        yield from self._books()
        yield from self._garbage()

    def _lines(self) -> Iterator[Metric]:
        inventory = self._exchange.cards.edge_inventory
        lines = GaugeMetricFamily("switchroom_lines", "Lines by card and use.", labels=["card", "use"])
        for card in inventory.cards if inventory is not None else []:
            lines.add_metric([card.card, "total"], card.lines)
            lines.add_metric([card.card, "used"], card.used)
            lines.add_metric([card.card, "leased"], card.leased)
        yield lines
        if inventory is not None:
            edge = CounterMetricFamily("switchroom_edge", "The edge's own counters.", labels=["counter"])
            for name, value in inventory.counters.items():
                edge.add_metric([name], value)
            yield edge
            yield from self._trunks(inventory.trunks)

    def _trunks(self, trunks: list[TrunkState]) -> Iterator[Metric]:
        calls = GaugeMetricFamily("switchroom_trunk_calls", "Calls by trunk.", labels=["trunk"])
        refused = CounterMetricFamily("switchroom_trunk_refused", "New calls over a trunk's limit.", labels=["trunk"])
        registered = GaugeMetricFamily("switchroom_trunk_registered", "1 where the carrier knows us.", labels=["trunk"])
        for trunk in trunks:
            calls.add_metric([trunk.name], trunk.calls)
            refused.add_metric([trunk.name], trunk.refused)
            if trunk.registration:
                registered.add_metric([trunk.name], trunk.registration == "registered")
        yield from (calls, refused, registered)

    def _log(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("switchroom_tasks", "Tasks of asyncio in the exchange.", len(asyncio.all_tasks()))
        ledger = self._exchange.ledger.statistics()
        yield CounterMetricFamily("switchroom_inputs", "Inputs the house took.", ledger.inputs)
        yield CounterMetricFamily("switchroom_inputs_refused", "Inputs the engine refused.", ledger.refused)
        yield GaugeMetricFamily("switchroom_inputs_waiting", "Inputs not durable yet.", ledger.waiting)
        figures = GaugeMetricFamily("switchroom_event_log", "The event log's figures.", labels=["figure"])
        for name, value in msgspec.structs.asdict(self._exchange.filing.events.statistics()).items():
            if isinstance(value, int | float):
                figures.add_metric([name], float(value))
        yield figures
        filing = self._exchange.filing.statistics()
        yield GaugeMetricFamily("switchroom_recordings_waiting", "Recordings not filed yet.", filing.waiting)
        yield CounterMetricFamily("switchroom_recordings_failed", "Recordings that could not be made or filed.", filing.failed)

    def _garbage(self) -> Iterator[Metric]:
        """Pauses by the garbage collector: `longest` is what a decision may have waited for one."""
        figures = GaugeMetricFamily("switchroom_garbage", "The garbage collector's pauses, in seconds.", labels=["figure"])
        for name, value in msgspec.structs.asdict(self._exchange.garbage.statistics()).items():
            figures.add_metric([name], float(value))
        yield figures

    def _books(self) -> Iterator[Metric]:
        """What the bookkeeper said last; the log's own size, too."""
        standing = self._exchange.books.standing
        if standing is None:
            return
        kept = GaugeMetricFamily("switchroom_bookkeeper", "The bookkeeper's figures, sizes in bytes.", labels=["figure"])
        for name, value in msgspec.structs.asdict(standing).items():
            if isinstance(value, int | float):
                kept.add_metric([name], float(value))
        kept.add_metric(["problems"], float(len(standing.problems)))
        position = self._exchange.filing.events.position
        if position.epoch == standing.epoch:
            kept.add_metric(["behind"], float(position.offset - standing.offset))
        yield kept


class Operations:
    """Health, metrics, ICE servers."""

    def __init__(self, exchange: Exchange, ice: IceServers) -> None:
        self._exchange = exchange
        self._ice = ice
        self._registry = CollectorRegistry()
        self._registry.register(Figures(exchange))
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)

    def health(self) -> Health:
        """Calls can be taken when the edge has a free line and the exchange can log."""
        cards = self._exchange.cards
        problems: list[str] = []
        inventory = cards.edge_inventory
        lines = free = 0
        if inventory is None:
            problems.append("The edge does not answer.")
        else:
            reachable = [c for c in inventory.cards if c.reachable]
            lines = sum(c.lines for c in reachable)
            free = lines - sum(c.used + c.leased for c in reachable)
            if inventory.draining:
                problems.append("The edge takes no new calls: it drains.")
            if not reachable:
                problems.append("No line card is running.")
            elif free <= 0:
                problems.append("All lines are in use.")
        blocking = bool(problems)
        if not cards.desk_cards_up:
            problems.append("No desk card is running: agents cannot connect.")
        if cards.speech.welcome is None:
            problems.append("The speech worker is not running: new prompts cannot be spoken.")
        if cards.vault.welcome is None:
            problems.append("The vault worker is not running: recordings wait.")
        if not self._exchange.filing.events.statistics().database_up:
            problems.append("The database does not answer: events go to the spool.")
        problems += self._exchange.books.problems()
        failed = self._exchange.filing.statistics().failed
        if failed:
            problems.append(f"{failed} recordings failed: see the log.")
        return Health(ok=not blocking, problems=problems, lines_free=max(0, free), lines=lines)

    def metrics(self) -> bytes:
        return generate_latest(self._registry)

    def ice_servers(self, user: User) -> list[IceServer]:
        return [IceServer(urls=s.urls, username=s.username, credential=s.credential) for s in self._ice.of(user.id)]
