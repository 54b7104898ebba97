"""A line card as a process of its own, commanded by the test."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from media.control import line
from media.control.client import ControlClient
from media.control.envelope import Event
from tests.tools import tones
from tests.tools.sipp import free_port, free_range

ROOT = Path(__file__).parents[3]
SESSION_TIMERS = "session_timers"
"""The fixture of the tests that need the minute which runs beside the others."""
_minute: list[subprocess.Popen[bytes]] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Who needs that minute comes last."""
    items.sort(key=lambda item: SESSION_TIMERS in getattr(item, "fixturenames", ()))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin it now, if anybody needs it."""
    if session.config.option.collectonly or not any(SESSION_TIMERS in getattr(i, "fixturenames", ()) for i in session.items):
        return
    command = [sys.executable, "-m", "tests.sip.linecard.session_timers"]
    _minute.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE))


def pytest_sessionfinish() -> None:
    """A run that stopped early leaves nothing behind."""
    for process in _minute:
        if process.poll() is None:
            process.terminate()
            process.wait()


@pytest.fixture(scope="session")
def session_timers() -> dict[str, Any]:
    """What was seen in a minute of session timers."""
    (process,) = _minute
    output, _ = process.communicate(timeout=110)
    assert process.returncode == 0
    return dict(msgspec.json.decode(output))


T = TypeVar("T")


class Forked:
    """A card that a zygote forked: no child of ours, so its end is seen by a descriptor and its status in the zygote's log."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._descriptor = os.pidfd_open(pid)
        self._log = log

    def send_signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        if self.returncode is None:
            loop, over = asyncio.get_running_loop(), asyncio.Event()
            loop.add_reader(self._descriptor, over.set)
            try:
                await over.wait()
            finally:
                loop.remove_reader(self._descriptor)
            async with asyncio.timeout(5):
                while (status := self._status()) is None:
                    await asyncio.sleep(0.01)
            self.returncode = status
            os.close(self._descriptor)
        return self.returncode

    def _status(self) -> int | None:
        *whole, _ = self._log.read_bytes().split(b"\n")  # what comes after the last newline is still being written
        lines = [msgspec.json.decode(text) for text in whole if text.startswith(b"{")]
        return next((int(said["status"]) for said in lines if said.get("pid") == self.pid and "status" in said), None)


class Zygote:
    """The process that forks the cards of all tests: they need not import pjsua2, each of them."""

    def __init__(self) -> None:
        self._run = Path(tempfile.mkdtemp(prefix="sr-"))
        self._log = self._run / "zygote.log"
        with self._log.open("ab") as output:
            command = [sys.executable, "-m", "sip.linecard.zygote", "--run", str(self._run)]
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)

    async def fork(self, name: str, arguments: list[str], log: Path) -> Forked:
        path = self._run / "linecards.zyg"
        async with asyncio.timeout(20):
            while not path.exists():
                await asyncio.sleep(0.02)
        reader, writer = await asyncio.open_unix_connection(str(path))
        request = {"fork": {"name": name, "args": arguments, "log": str(log)}}
        writer.write(msgspec.json.encode(request) + b"\n")
        answer = msgspec.json.decode(await reader.readline())
        writer.close()
        return Forked(answer["pid"], self._log)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        shutil.rmtree(self._run, ignore_errors=True)


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    process = Zygote()
    yield process
    process.stop()


class CardProcess:
    """One card, its events in order, and ways to wait for them."""

    def __init__(self, run: Path, name: str) -> None:
        self.run = run
        self.name = name
        self.events: list[Any] = []
        self.log = run / f"{name}.log"
        self.process: asyncio.subprocess.Process | Forked | None = None
        self.client: ControlClient | None = None
        self.sip = ""
        self.rtp = free_range(16)
        self._came = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(
        self,
        *,
        proxy: int,
        rate: int = 16000,
        command: bool = True,
        lines: int = 0,
        pj_log: int = 2,
        more: tuple[str, ...] = (),
        zygote: Zygote | None = None,
    ) -> None:
        arguments = ["--run", str(self.run), "--name", self.name, "--rate", str(rate), "--proxy", f"127.0.0.1:{proxy}"]
        arguments += ["--rtp", f"{self.rtp[0]}-{self.rtp[1]}", "--public", "127.0.0.1", "--lines", str(lines)]
        arguments += ["--pj-log", str(pj_log), *more]
        if zygote is not None:
            self.process = await zygote.fork(self.name, arguments, self.log)
        else:
            with self.log.open("ab") as output:
                self.process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "sip.linecard", *arguments, cwd=ROOT, stdout=output, stderr=output
                )
        if command:
            await self.connect()

    async def connect(self) -> None:
        self.client = ControlClient(
            self.run / f"{self.name}.ctl", role="commander", events=line.LineEvent, on_event=self._event
        )
        await self.client.__aenter__()
        await asyncio.wait_for(self.client.connected(), 10)
        self.sip = (await self.inventory()).sip.removeprefix("sip:")

    async def disconnect(self) -> None:
        if self.client is not None:
            await self.client.__aexit__(None, None, None)
            self.client = None

    async def do(self, body: Any) -> None:
        assert self.client is not None
        await self.client.command(body)

    async def inventory(self) -> line.Inventory:
        assert self.client is not None
        return await self.client.command(line.TakeInventory(), line.Inventory)

    def _event(self, event: Event, body: Any) -> None:
        self.events.append(body)
        task = asyncio.get_running_loop().create_task(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _notify(self) -> None:
        async with self._came:
            self._came.notify_all()

    async def until(self, kind: type[T], seconds: float = 10.0, *, skip: int = 0, **fields: Any) -> T:
        """The first event of that kind whose fields are these (`skip` of them passed over)."""

        def found() -> T | None:
            wanted = [
                event
                for event in self.events
                if isinstance(event, kind) and all(getattr(event, name) == value for name, value in fields.items())
            ]
            return wanted[skip] if len(wanted) > skip else None

        async with self._came:
            try:
                await asyncio.wait_for(self._came.wait_for(lambda: found() is not None), seconds)
            except TimeoutError:
                kept = self.log.read_text(errors="replace")[-4000:]
                raise AssertionError(f"no {kind.__name__} {fields} in {self.events[-12:]}\n{kept}") from None
        event = found()
        assert event is not None
        return event

    async def stop(self) -> None:
        await self.disconnect()
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGINT)
            try:
                await asyncio.wait_for(self.process.wait(), 6)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()


@pytest.fixture
def run_dir() -> AsyncIterator[Path]:  # type: ignore[misc]  # a plain generator
    path = Path(tempfile.mkdtemp(prefix="sr-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


Starter = Callable[..., Awaitable[CardProcess]]


@pytest.fixture
async def start_card(run_dir: Path, zygote: Zygote) -> AsyncIterator[Starter]:
    """Starts cards; they are ended after the test, and must not have logged a traceback."""
    cards: list[CardProcess] = []

    async def start(name: str = "linecard0", **settings: Any) -> CardProcess:
        card = CardProcess(run_dir, name)
        cards.append(card)
        await card.start(proxy=settings.pop("proxy", None) or free_port(), zygote=zygote, **settings)
        return card

    yield start
    for card in cards:
        await card.stop()
    for card in cards:
        text = card.log.read_text(errors="replace")
        assert "Traceback" not in text, text[-6000:]
        assert card.process is not None
        assert card.process.returncode in (0, -9), (card.process.returncode, text[-3000:])


@pytest.fixture
async def card(start_card: Starter) -> CardProcess:
    return await start_card()


@pytest.fixture
def prompt(run_dir: Path) -> Callable[[float, float], str]:
    """Makes WAV files of a tone."""

    def make(hz: float, seconds: float, rate: int = 16000) -> str:
        path = run_dir / f"tone-{hz:.0f}-{secrets.token_hex(3)}.wav"
        return str(tones.write(path, tones.sine(hz, seconds, rate), rate))

    return make


@pytest.fixture
def alaw(run_dir: Path) -> Callable[[float], Path]:
    """Makes raw A-law files of a tone, for sipp's rtp_stream."""
    import soundfile

    def make(hz: float, seconds: float = 1.0) -> Path:
        path = run_dir / f"caller-{hz:.0f}.al"
        soundfile.write(str(path), tones.sine(hz, seconds, 8000), 8000, format="RAW", subtype="ALAW", endian="FILE")
        return path

    return make


def dialogs(run: Path) -> list[dict[str, Any]]:
    """The dialog files that are there."""
    return [msgspec.json.decode(path.read_bytes()) for path in sorted((run / "dialogs").glob("*.json"))]
