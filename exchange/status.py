"""What runs on a data directory, asked of every process itself, so that it is told also while the supervisor is dead."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec

from exchange import rundir
from exchange.bookkeeper.messages import BookStanding
from exchange.bookkeeper.messages import Status as BookStatus
from exchange.supervisor import ask, records
from exchange.supervisor.messages import Status, SupervisorStatus
from exchange.supervisor.records import ProcessRecord, Role
from media.control import edge, line
from media.control.envelope import ControlError


class ProcessRow(msgspec.Struct, frozen=True):
    role: Role
    name: str
    pid: int
    state: str
    uptime: float
    restarts: int


class LinesRow(msgspec.Struct, frozen=True):
    total: int = 0
    used: int = 0
    leased: int = 0


class CardRow(msgspec.Struct, frozen=True):
    card: str
    lines: int
    used: int
    leased: int
    reachable: bool
    draining: bool = False
    overloaded: bool = False


class CallRow(msgspec.Struct, frozen=True):
    call: str
    card: str
    ani: str
    dnis: str
    parties: int
    answered: bool
    recording: str = ""


class AgentRow(msgspec.Struct, frozen=True):
    id: str
    name: str = ""
    state: str = ""
    code: str = ""


class QueueRow(msgspec.Struct, frozen=True):
    id: str
    name: str = ""
    waiting: int = 0


class ExchangeStatus(msgspec.Struct, frozen=True):
    """What the exchange answers to Status; `progress` says what it does while it starts."""

    agents: list[AgentRow] = []
    queues: list[QueueRow] = []
    contacts: list[dict[str, Any]] = []
    progress: str = ""


class Report(msgspec.Struct, frozen=True):
    """`switchroom status --json`."""

    data: str
    run: str
    phase: str
    processes: list[ProcessRow]
    lines: LinesRow
    cards: list[CardRow]
    trunks: list[edge.TrunkState]
    calls: list[CallRow]
    agents: list[AgentRow]
    queues: list[QueueRow]
    contacts: list[dict[str, Any]]
    problems: list[str]
    books: BookStanding | None = None


TRUNK_HEADS = ("TRUNK", "CALLS", "REFUSED", "REGISTRATION", "THEIR OPTIONS", "FAILED CALL", "")


async def take(data: Path, timeout: float = 2.0) -> Report:
    """Ask everything that lives on this data directory."""
    data, run = rundir.locate(data)
    known = records.read_all(run)
    living = [record for record in known if records.alive(record)]
    roles: tuple[Role, ...] = ("linecard", "edge", "exchange", "bookkeeper")
    names = {role: [record.name for record in living if record.role == role] for role in roles}
    problems = [f"{record.name} (process {record.pid}) has died." for record in known if record not in living]
    asked = await asyncio.gather(
        _ask(run / "supervisor.ctl", Status(), SupervisorStatus, timeout, problems),
        _ask(run / "edge.ctl", edge.TakeInventory(), edge.Inventory, timeout, problems) if names["edge"] else _nothing(),
        _ask(run / "exchange.ctl", Status(), ExchangeStatus, timeout, problems) if names["exchange"] else _nothing(),
        _ask(run / "bookkeeper.ctl", BookStatus(), BookStanding, timeout, problems) if names["bookkeeper"] else _nothing(),
        *(_ask(run / f"{card}.ctl", line.TakeInventory(), line.Inventory, timeout, problems) for card in names["linecard"]),
    )
    supervisor, front, brain, books = asked[:4]
    inventories = [inventory for inventory in asked[4:] if inventory is not None]
    cards = sorted(_cards(front, inventories), key=lambda c: (len(c.card), c.card))
    brain = brain if brain is not None else ExchangeStatus()
    return Report(
        data=str(data),
        run=str(run),
        phase=supervisor.phase if supervisor is not None else "unsupervised" if living else "stopped",
        processes=_processes(living, supervisor),
        lines=LinesRow(sum(c.lines for c in cards), sum(c.used for c in cards), sum(c.leased for c in cards)),
        cards=cards,
        trunks=front.trunks if front is not None else [],
        calls=[_call(inventory.card, call) for inventory in inventories for call in inventory.calls if call.ended is None],
        agents=brain.agents,
        queues=brain.queues,
        contacts=brain.contacts,
        problems=[*problems, *(books.problems if books is not None else [])],
        books=books,
    )


async def _ask(path: Path, body: Any, reply: type[Any], timeout: float, problems: list[str]) -> Any:
    try:
        return await ask.ask(path, body, reply, timeout=timeout)
    except ControlError as error:
        problems.append(error.message)
        return None


async def _nothing() -> None:
    return None


def _processes(living: list[ProcessRecord], supervisor: SupervisorStatus | None) -> list[ProcessRow]:
    known = {child.name: child for child in supervisor.children} if supervisor is not None else {}
    rows = []
    for record in living:
        child = known.get(record.name)
        state = child.state if child is not None else "ready" if record.name == "supervisor" else "unsupervised"
        restarts = child.restarts if child is not None else record.restarts
        rows.append(ProcessRow(record.role, record.name, record.pid, state, round(records.age(record.ticks), 1), restarts))
    there = {record.name for record in living}
    rows += [ProcessRow(c.role, c.name, 0, c.state, 0.0, c.restarts) for c in known.values() if c.name not in there]
    return sorted(rows, key=lambda row: (row.role != "supervisor", row.role, len(row.name), row.name))


def _cards(front: edge.Inventory | None, inventories: list[line.Inventory]) -> list[CardRow]:
    """The edge counts lines; without it, the cards' own calls are all that is known."""
    own = {inventory.card: inventory for inventory in inventories}
    if front is not None:
        return [_card(row, own.get(row.card)) for row in front.cards]
    return [
        CardRow(i.card, i.lines, sum(c.ended is None for c in i.calls), 0, False, i.draining, i.overloaded) for i in inventories
    ]


def _card(row: edge.CardLines, own: line.Inventory | None) -> CardRow:
    draining, overloaded = (own.draining, own.overloaded) if own is not None else (False, False)
    return CardRow(row.card, row.lines, row.used, row.leased, row.reachable, draining, overloaded)


def _call(card: str, call: line.CallRecord) -> CallRow:
    arrived = call.arrived
    return CallRow(
        call=call.call,
        card=card,
        ani=arrived.ani if arrived is not None else "",
        dnis=arrived.dnis if arrived is not None else "",
        parties=len(call.parties),
        answered=call.answered > 0,
        recording=call.recording,
    )


def text(report: Report) -> str:
    """The report as tables for a person."""
    out = [f"Switchroom on {report.data}: {report.phase}"]
    if not report.processes:
        return out[0]
    out.append("")
    out += _table(
        ("ROLE", "NAME", "PID", "STATE", "UPTIME", "RESTARTS"),
        [(p.role, p.name, str(p.pid or "-"), p.state, _span(p.uptime), str(p.restarts)) for p in report.processes],
    )
    lines = report.lines
    out += ["", f"Lines: {lines.used} of {lines.total} in use, {lines.leased} leased"]
    out += _table(
        ("CARD", "LINES", "USED", "LEASED", ""),
        [(c.card, str(c.lines), str(c.used), str(c.leased), _remarks(c)) for c in report.cards],
    )
    if report.trunks:
        out += ["", "Trunks:"]
        out += _table(TRUNK_HEADS, [_trunk(trunk, time.time()) for trunk in report.trunks])
    if report.calls:
        out += ["", "Calls:"]
        out += _table(
            ("CALL", "CARD", "FROM", "TO", "PARTIES", "STATE"),
            [(c.call, c.card, c.ani, c.dnis, str(c.parties), "talking" if c.answered else "arriving") for c in report.calls],
        )
    if report.queues:
        out += ["", "Queues:"]
        out += _table(("QUEUE", "WAITING"), [(q.name or q.id, str(q.waiting)) for q in report.queues])
    if report.agents:
        out += ["", "Agents:"]
        out += _table(("AGENT", "STATE"), [(a.name or a.id, " ".join(filter(None, (a.state, a.code)))) for a in report.agents])
    if report.books is not None:
        out += ["", _books(report.books, time.time())]
    if report.problems:
        out += ["", *(f"! {problem}" for problem in report.problems)]
    return "\n".join(out)


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    if not rows:
        return []
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (heads, *rows)]


def _remarks(card: CardRow) -> str:
    remarks = {"unreachable": not card.reachable, "draining": card.draining, "overloaded": card.overloaded}
    return ", ".join(word for word, said in remarks.items() if said)


def _trunk(trunk: edge.TrunkState, now: float) -> tuple[str, ...]:
    return (
        trunk.name,
        f"{trunk.calls} of {trunk.max_calls}" if trunk.max_calls else str(trunk.calls),
        str(trunk.refused),
        _registration(trunk, now),
        _ago(trunk.options_at, now),
        f"{_ago(trunk.failed_at, now)}: {_answer(trunk.failed_code, trunk.failed_detail)}" if trunk.failed_at else "-",
        f"failing: {', '.join(trunk.benched)}" if trunk.benched else "",
    )


def _registration(trunk: edge.TrunkState, now: float) -> str:
    """Whether the carrier knows us, since when, and why not."""
    if not trunk.registration:
        return "-"
    since = f"{trunk.registration} for {_span(max(0.0, now - trunk.since))}" if trunk.since else trunk.registration
    if trunk.registration == "registered":
        return since if trunk.code // 100 == 2 else f"{since}, last answer: {_answer(trunk.code, trunk.detail)}"
    return f"{since}: {_answer(trunk.code, trunk.detail)}" if trunk.detail else since


def _answer(code: int, detail: str) -> str:
    return f"{code} {detail}" if code else detail


def _books(books: BookStanding, now: float) -> str:
    """The event log in one sentence."""
    size = f"{books.log_bytes / 1_000_000:.1f} MB in {books.log_days} days"
    oldest = f" since {books.log_oldest}" if books.log_oldest else ""
    snapshot = f"{books.snapshot_epoch}/{books.snapshot_offset}"
    made = f" {_ago(books.snapshot_at, now)}" if books.snapshot_at else ""
    held = f"; old days are kept for {books.held_by}" if books.held_by else ""
    return f"Event log: {size}{oldest}, at {books.epoch}/{books.offset}, snapshot at {snapshot}{made}{held}"


def _ago(moment: float, now: float) -> str:
    return f"{_span(max(0.0, now - moment))} ago" if moment else "-"


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
