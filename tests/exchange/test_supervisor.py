"""The supervisor with small real processes: start, restart, adoption, BYEs of a dead card, drain, stop."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import io
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from exchange import rundir
from exchange.supervisor import ask, records
from exchange.supervisor.child import Child
from exchange.supervisor.errors import AlreadyRunning, StartFailed
from exchange.supervisor.lock import DataLock
from exchange.supervisor.messages import Restart, Status, Stop, SupervisorStatus
from exchange.supervisor.records import Role
from exchange.supervisor.screen import Screen
from exchange.supervisor.spare import Spare
from exchange.supervisor.specs import Spec, greets
from exchange.supervisor.supervisor import Supervisor
from media.control.edge import Dialog
from media.control.envelope import ControlError

pytestmark = pytest.mark.layer

HELPER = Path(__file__).with_name("helper_process.py")
ROOT = str(HELPER.parents[2])
TABLE: list[list[tuple[str, Role]]] = [[("linecard0", "linecard"), ("linecard1", "linecard")], [("edge", "edge")]]


def spec(run: Path, name: str, role: Role, *more: str) -> Spec:
    return Spec(
        name=name,
        role=role,
        label=name,
        argv=(sys.executable, str(HELPER), "--run", str(run), "--name", name, *more),
        environment={"PYTHONPATH": ROOT},
        probe=greets(run, name),
        when_changed="drain" if role == "linecard" else "replace",
        grace=5.0,
    )


class Site:
    """A data directory and what runs on it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.run = rundir.prepare(data)
        self.out = io.StringIO()

    def supervisor(self, *more: str, drain_seconds: float = 30.0, table: list[list[tuple[str, Role]]] = TABLE) -> Supervisor:
        groups = [[spec(self.run, name, role, *more) for name, role in group] for group in table]
        return Supervisor(groups, run=self.run, logs=self.data / "logs", screen=Screen(self.out), drain_seconds=drain_seconds)

    @asynccontextmanager
    async def serving(self, supervisor: Supervisor) -> AsyncIterator[Supervisor]:
        task = asyncio.create_task(supervisor.run())
        try:
            await self.until(lambda: supervisor.phase == "running" or task.done())
            yield supervisor
            supervisor.request_stop(now=True)
            await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until(self, condition: Callable[[], object], seconds: float = 20.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)

    def told(self, name: str) -> list[dict[str, object]]:
        path = self.run / f"{name}.told"
        return [json.loads(row) for row in path.read_text().splitlines()] if path.exists() else []

    def leave_dialog(self, card: str, generation: str, number: int) -> Path:
        dialog = Dialog(card, generation, "c", "p", f"id{number}", "sip:a", "1", "sip:b", "2", "sip:c", [], number)
        path = self.run / "dialogs" / f"{card}-{generation}-{number}.json"
        path.write_bytes(msgspec.json.encode(dialog))
        return path


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "data")


def child(supervisor: Supervisor, name: str) -> Child:
    return next(child for child in supervisor.children if child.spec.name == name)


def gone(pid: int) -> bool:
    return records.start_ticks(pid) is None


async def test_everything_starts_and_stops_in_order(site: Site) -> None:
    async with site.serving(site.supervisor()) as supervisor:
        assert [c.state for c in supervisor.children] == ["ready"] * 3
        pids = [c.pid for c in supervisor.children]
        assert {r.name for r in records.read_all(site.run)} == {"supervisor", "linecard0", "linecard1", "edge"}
        assert all(os.getsid(pid) == pid for pid in pids), "the terminal's Ctrl-C must not reach them"
    assert all(gone(pid) for pid in pids)
    assert records.read_all(site.run) == []
    assert "linecard0" in site.out.getvalue()
    assert "helper runs edge" in (site.data / "logs" / "edge.log").read_text()


async def test_what_dies_comes_back_and_is_counted(site: Site) -> None:
    async with site.serving(site.supervisor()) as supervisor:
        edge = child(supervisor, "edge")
        old = edge.pid
        os.kill(old, signal.SIGKILL)
        await site.until(lambda: edge.pid not in (0, old) and edge.state == "ready")
        status = await ask.ask(site.run / "supervisor.ctl", Status(), SupervisorStatus)
        assert [(c.name, c.restarts) for c in status.children] == [("linecard0", 0), ("linecard1", 0), ("edge", 1)]
        record = records.read(site.run, "edge")
        assert record is not None
        assert (record.pid, record.restarts) == (edge.pid, 1)


async def test_a_dead_cards_dialogs_get_their_byes_and_nobody_elses(site: Site) -> None:
    async with site.serving(site.supervisor()) as supervisor:
        card = child(supervisor, "linecard0")
        other = child(supervisor, "linecard1")
        files = [site.leave_dialog("linecard0", card.generation, number) for number in (1, 2)]
        living = site.leave_dialog("linecard1", other.generation, 3)
        dead = card.generation
        os.kill(card.pid, signal.SIGKILL)
        await site.until(lambda: not any(path.exists() for path in files))
        (order,) = [row for row in site.told("edge") if row["type"] == "send_byes"]
        assert (order["card"], order["generation"]) == ("linecard0", dead)
        dialogs = order["dialogs"]
        assert isinstance(dialogs, list)
        assert sorted(d["sip_call_id"] for d in dialogs) == ["id1", "id2"]
        assert living.exists()
        await site.until(lambda: card.state == "ready" and card.generation != dead)


async def test_byes_wait_for_an_edge_that_is_away(site: Site) -> None:
    async with site.serving(site.supervisor()) as supervisor:
        card, edge = child(supervisor, "linecard0"), child(supervisor, "edge")
        file = site.leave_dialog("linecard0", card.generation, 1)
        os.kill(edge.pid, signal.SIGKILL)
        os.kill(card.pid, signal.SIGKILL)
        await site.until(lambda: not file.exists())
        assert [row["card"] for row in site.told("edge") if row["type"] == "send_byes"] == ["linecard0"]


async def test_the_next_supervisor_adopts_the_living_and_replaces_the_dead(tmp_path: Path) -> None:
    site = Site(tmp_path / "data")
    driver = Path(__file__).with_name("helper_supervisor.py")
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(driver), str(site.data), env={**os.environ, "PYTHONPATH": ROOT}, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 30) == b"running\n"
    process.kill()
    await process.wait()
    before = {r.name: r for r in records.read_all(site.run)}
    assert set(before) == {"supervisor", "linecard0", "linecard1", "edge"}
    assert all(records.alive(r) == (r.name != "supervisor") for r in before.values())
    orphan = site.leave_dialog("linecard1", before["linecard1"].generation, 7)
    kept = site.leave_dialog("linecard0", before["linecard0"].generation, 8)
    os.kill(before["linecard1"].pid, signal.SIGKILL)
    await site.until(lambda: gone(before["linecard1"].pid))
    async with site.serving(site.supervisor()) as supervisor:
        assert child(supervisor, "linecard0").pid == before["linecard0"].pid
        assert child(supervisor, "linecard0").adopted
        assert child(supervisor, "edge").pid == before["edge"].pid
        assert not child(supervisor, "linecard1").adopted
        await site.until(lambda: not orphan.exists())
        assert kept.exists()
        # An adopted process is watched like any other.
        os.kill(before["edge"].pid, signal.SIGKILL)
        await site.until(lambda: child(supervisor, "edge").pid not in (0, before["edge"].pid))
    assert all(gone(r.pid) for r in before.values())


async def test_a_spare_takes_over_and_leaves_with_its_supervisor(site: Site) -> None:
    def supervisor() -> tuple[Supervisor, Spare, Child]:
        spare = Spare()
        brain = dataclasses.replace(spec(site.run, "brain", "exchange"), spare=spare)
        found = Supervisor([[brain]], run=site.run, logs=site.data / "logs", screen=Screen(site.out), drain_seconds=1.0)
        return found, spare, found.children[0]

    first, spare, brain = supervisor()
    task = asyncio.create_task(first.run())
    await site.until(lambda: first.phase == "running" and spare.pid)
    assert [record.name for record in records.read_all(site.run)] == ["brain", "supervisor"], "who waits is not counted"
    waiting = spare.pid
    os.kill(brain.pid, signal.SIGKILL)
    await site.until(lambda: brain.state == "ready" and brain.pid == waiting)
    await site.until(lambda: spare.pid not in (0, waiting))
    os.kill(spare.pid, signal.SIGKILL)  # without one the next start is a usual one
    await site.until(lambda: spare.pid == 0)
    os.kill(brain.pid, signal.SIGKILL)
    await site.until(lambda: brain.state == "ready" and brain.pid != waiting and spare.pid)
    running, waiting = brain.pid, spare.pid
    await ask.tell(site.run / "supervisor.ctl", Restart("brain"))
    await site.until(lambda: brain.pid not in (0, running) and brain.state == "ready" and spare.pid)
    assert (brain.pid != waiting, gone(waiting)) == (True, True), "a restart that was asked for is a new program"
    running, waiting = brain.pid, spare.pid
    brain.abandon()  # as when the supervisor is killed: its end of the pipe closes
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await site.until(lambda: _reaped(waiting))
    second, spare, brain = supervisor()
    async with site.serving(second):
        assert (brain.pid, brain.adopted) == (running, True)
        await site.until(lambda: spare.pid)
        waiting = spare.pid
    assert gone(waiting), "a stop leaves nobody behind"


def _reaped(pid: int) -> bool:
    """Whether a child of ours that nobody watches has ended."""
    with contextlib.suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    return True


async def test_a_number_used_again_is_not_adopted(site: Site) -> None:
    ticks = records.start_ticks(os.getpid())
    assert ticks is not None
    records.write(site.run, records.ProcessRecord("edge", "edge", os.getpid(), ticks - 1, 0.0, ""))
    async with site.serving(site.supervisor(table=[[("edge", "edge")]])) as supervisor:
        assert child(supervisor, "edge").pid != os.getpid()
        assert not child(supervisor, "edge").adopted


async def test_changed_settings_drain_cards_and_replace_the_rest(site: Site) -> None:
    first = site.supervisor()
    task = asyncio.create_task(first.run())
    await site.until(lambda: first.phase == "running")
    pids = {c.spec.name: c.pid for c in first.children}
    (site.run / "linecard0.calls").write_text("1")
    for c in first.children:
        c.abandon()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with site.serving(site.supervisor("--other")) as second:
        card = child(second, "linecard0")
        await site.until(lambda: child(second, "linecard1").pid not in (0, pids["linecard1"]))
        await site.until(lambda: child(second, "edge").pid not in (0, pids["edge"]))
        assert (card.pid, card.state) == (pids["linecard0"], "draining")
        (site.run / "linecard0.calls").write_text("0")
        await site.until(lambda: card.pid not in (0, pids["linecard0"]) and card.state == "ready")
        assert card.restarts == 0


async def test_cards_without_a_place_leave(site: Site) -> None:
    first = site.supervisor()
    task = asyncio.create_task(first.run())
    await site.until(lambda: first.phase == "running")
    surplus = child(first, "linecard1").pid
    for c in first.children:
        c.abandon()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with site.serving(site.supervisor(table=[[("linecard0", "linecard")], [("edge", "edge")]])):
        await site.until(lambda: gone(surplus) and records.read(site.run, "linecard1") is None)


async def test_a_stop_waits_for_calls_and_a_second_one_does_not(site: Site) -> None:
    supervisor = site.supervisor()
    async with site.serving(supervisor):
        (site.run / "linecard1.calls").write_text("2")
        card = child(supervisor, "linecard1").pid
        await ask.tell(site.run / "supervisor.ctl", Stop())
        await site.until(lambda: "waiting for 2 calls" in site.out.getvalue())
        assert [row["type"] for row in site.told("edge")] == ["drain"]
        assert not gone(card)
        (site.run / "linecard1.calls").write_text("1")
        await site.until(lambda: "waiting for 1 call " in site.out.getvalue())
        supervisor.request_stop()
        await site.until(lambda: supervisor.phase == "stopped")
        assert gone(card)


async def test_a_stop_ends_by_itself_when_the_last_call_has(site: Site) -> None:
    supervisor = site.supervisor()
    async with site.serving(supervisor):
        (site.run / "linecard0.calls").write_text("1")
        supervisor.request_stop()
        await site.until(lambda: "waiting for 1 call" in site.out.getvalue())
        (site.run / "linecard0.calls").write_text("0")
        await site.until(lambda: supervisor.phase == "stopped")


async def test_a_drain_has_a_limit(site: Site) -> None:
    supervisor = site.supervisor(drain_seconds=0.2)
    async with site.serving(supervisor):
        (site.run / "linecard0.calls").write_text("1")
        supervisor.request_stop()
        await site.until(lambda: supervisor.phase == "stopped")


async def test_a_process_that_cannot_start_stops_everything_and_says_why(site: Site) -> None:
    good = [spec(site.run, "linecard0", "linecard")]
    bad = [spec(site.run, "edge", "edge", "--fail")]
    supervisor = Supervisor([good, bad], run=site.run, logs=site.data / "logs", screen=Screen(site.out), drain_seconds=1.0)
    with pytest.raises(StartFailed, match=r"edge does not start \(ended with code 1\)") as caught:
        await supervisor.run()
    assert caught.value.details[-1] == "cannot work: no reason"
    assert records.read_all(site.run) == []


async def test_one_process_can_be_replaced_by_hand(site: Site) -> None:
    async with site.serving(site.supervisor()) as supervisor:
        edge = child(supervisor, "edge")
        old = edge.pid
        await ask.tell(site.run / "supervisor.ctl", Restart("edge"))
        await site.until(lambda: edge.pid not in (0, old) and edge.state == "ready")
        assert edge.restarts == 0
        with pytest.raises(ControlError, match="no process nobody"):
            await ask.tell(site.run / "supervisor.ctl", Restart("nobody"))


def test_a_living_supervisor_refuses_a_second(tmp_path: Path) -> None:
    with (
        DataLock(tmp_path),
        pytest.raises(AlreadyRunning, match=rf"already running on .* \(process {os.getpid()}\)"),
        DataLock(tmp_path),
    ):
        pass
    with DataLock(tmp_path):
        pass
