"""A whole Switchroom for tests: `switchroom serve` on free ports in a folder of its own, asked and hurt from outside."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from exchange import status as report
from exchange.rundir import run_directory

PASSWORD = "correct-horse-7"
STEP = 0.05


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port that nobody has now."""
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def free_range(size: int) -> str:
    """A range of UDP ports, picked by our process id and tried at both ends."""
    for attempt in range(200):
        first = 20000 + (os.getpid() * 37 + attempt * size) % (30000 - size) // 2 * 2
        with (
            contextlib.suppress(OSError),
            socket.socket(type=socket.SOCK_DGRAM) as a,
            socket.socket(type=socket.SOCK_DGRAM) as b,
        ):
            a.bind(("127.0.0.1", first))
            b.bind(("127.0.0.1", first + size - 1))
            return f"{first}-{first + size - 1}"
    raise RuntimeError("no free range of UDP ports")


async def asked_until(
    true: Callable[[], Any],
    seconds: float,
    what: str,
    told: Callable[[], str],
    *,
    step: float = STEP,
    ended: Callable[[], bool] = lambda: False,
) -> Any:
    """Ask again and again, with a limit, while it has not `ended`; the truthy answer. A failure says what was `told`."""
    end = time.monotonic() + seconds
    while True:
        found = true()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        if ended():
            raise AssertionError(f"it has ended before {what}: {told()}")
        if time.monotonic() > end:
            raise AssertionError(f"no {what} in {seconds} s: {told()}")
        await asyncio.sleep(step)


class Tool:
    """`switchroom call` or `switchroom agent`: its JSON lines as they come."""

    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        self.process = process
        self.name = name
        self.events: list[dict[str, Any]] = []
        self.noise: list[str] = []
        self._changed = asyncio.Event()
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._noise())]

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            with contextlib.suppress(ValueError):
                self.events.append(json.loads(line))
            self._changed.set()
        self._changed.set()

    async def _noise(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.noise.append(line.decode(errors="replace"))

    async def event(self, name: str, *, count: int = 1, timeout: float = 30.0) -> dict[str, Any]:
        """The `count`-th event of this name; waits for it."""

        def found() -> list[dict[str, Any]]:
            return [e for e in self.events if e.get("event") == name]

        try:
            async with asyncio.timeout(timeout):
                while len(found()) < count:
                    self._changed.clear()
                    if len(found()) >= count:
                        break
                    if self.process.returncode is not None and self._tasks[0].done():
                        raise AssertionError(f"{self.name} ended without {name!r}: {self.events} {''.join(self.noise)[-2000:]}")
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(
                f"{self.name}: no {name!r} in {timeout} s: {self.events} {''.join(self.noise)[-2000:]}"
            ) from None
        return found()[count - 1]

    async def first(self, fits: Callable[[dict[str, Any]], bool], what: str, timeout: float = 30.0) -> dict[str, Any]:
        """The first event that fits, of those that came and will come; asked again with each that comes."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    self._changed.clear()
                    found = next((e for e in self.events if fits(e)), None)
                    if found is not None:
                        return found
                    if self.process.returncode is not None and self._tasks[0].done():
                        raise AssertionError(f"{self.name} ended without {what}: {self.events} {''.join(self.noise)[-2000:]}")
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(
                f"{self.name}: not {what} in {timeout} s: {self.events[-20:]} {''.join(self.noise)[-2000:]}"
            ) from None

    async def end(self, timeout: float = 40.0) -> dict[str, Any]:
        """Wait for its end; the summary."""
        try:
            await asyncio.wait_for(self.process.wait(), timeout)
        except TimeoutError:
            raise AssertionError(f"{self.name} does not end: {self.events} {''.join(self.noise)[-2000:]}") from None
        await asyncio.gather(*self._tasks)
        summaries = [e for e in self.events if e.get("event") == "summary"]
        assert summaries, f"{self.name} gave no summary: {self.events} {''.join(self.noise)[-2000:]}"
        return summaries[-1]

    async def stop(self) -> None:
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), 10)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        await asyncio.gather(*self._tasks)


class Switchroom:
    """One running system."""

    def __init__(self, data: Path, *options: str, lines: int = 8, environment: dict[str, str] | None = None) -> None:
        self.data = data
        self.http = free_port()
        self.sip = free_port(socket.SOCK_DGRAM)
        self.listen = self.address = "127.0.0.1"
        self.url = f"http://127.0.0.1:{self.http}"
        self.inside: tuple[str, ...] = ()
        self.options = options
        self.lines = lines
        self.environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})}
        self.rtp = free_range(2000)
        self.server: asyncio.subprocess.Process | None = None
        self.tools: list[Tool] = []

    async def start(self) -> None:
        """Start and wait until calls can be taken."""
        self.data.mkdir(parents=True, exist_ok=True)
        out = (self.data / "serve.out").open("ab")
        self.server = await asyncio.create_subprocess_exec(
            *self.inside,
            *self.command(
                "serve",
                "--data",
                str(self.data),
                "--http",
                f"{self.listen}:{self.http}",
                "--sip",
                f"{self.listen}:{self.sip}",
                "--rtp",
                self.rtp,
                "--lines",
                str(self.lines),
                "--demo-password",
                PASSWORD,
                *self.options,
            ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=self.environment,
        )
        out.close()
        await self.until(self.healthy, 120, "health")

    async def stop(self) -> None:
        """End it at once, with everything it started."""
        for tool in self.tools:
            await tool.stop()
        if self.server is not None and self.server.returncode is None:
            for _ in range(2):
                with contextlib.suppress(ProcessLookupError):
                    self.server.send_signal(signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.server.wait(), 15)
                    break
        for process in (await self.processes()) if self.data.exists() else []:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process["pid"], signal.SIGKILL)
        run = run_directory(self.data)
        if not run.is_relative_to(self.data.resolve()):
            shutil.rmtree(run, ignore_errors=True)

    @staticmethod
    def command(*words: str) -> list[str]:
        return [sys.executable, "-m", "exchange.cli", *words]

    async def run(self, *words: str) -> tuple[int, str]:
        """A CLI command to its end: exit code and output."""
        process = await asyncio.create_subprocess_exec(
            *self.command(*words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=self.environment
        )
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode(errors="replace")

    async def status(self) -> dict[str, Any]:
        """What `switchroom status --json` says, without starting a process for each look."""
        found: dict[str, Any] = msgspec.to_builtins(await report.take(self.data))
        return found

    async def processes(self, role: str = "") -> list[dict[str, Any]]:
        return [p for p in (await self.status())["processes"] if not role or p["role"] == role]

    async def pid(self, role: str, name: str = "") -> int:
        found = [p for p in await self.processes(role) if p["pid"] and (not name or p["name"] == name)]
        assert found, f"no process {role} {name}"
        return int(found[0]["pid"])

    async def kill(self, role: str, name: str = "") -> int:
        """`kill -9` one process; its pid."""
        pid = await self.pid(role, name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def trust(self) -> ssl.SSLContext | bool:
        """Whom a client believes: our own certificate, once there is one; without TLS it need not read any."""
        own = self.data / "keys" / "switchroom.crt"
        if not self.url.startswith("https:"):
            return False
        return ssl.create_default_context(cafile=own) if own.exists() else True

    async def healthy(self) -> bool:
        if self.server is not None and self.server.returncode is not None:
            raise AssertionError(f"serve ended: {self.log()}")
        with contextlib.suppress(httpx2.HTTPError):
            async with httpx2.AsyncClient(verify=self.trust()) as client:
                return (await client.get(f"{self.url}/health", timeout=2)).status_code == 200
        return False

    async def until(self, true: Callable[[], Any], timeout: float, what: str) -> Any:
        """Ask again and again, with a limit; the truthy answer."""
        return await asked_until(true, timeout, what, self.log)

    @contextlib.asynccontextmanager
    async def api(self, user: str = "supervisor") -> AsyncIterator[httpx2.AsyncClient]:
        """A client that is logged in."""
        async with httpx2.AsyncClient(base_url=self.url, timeout=10, verify=self.trust()) as client:
            answer = await client.post("/api/v1/login", json={"name": user, "password": PASSWORD})
            assert answer.status_code == 200, answer.text
            client.cookies.clear()
            client.headers["authorization"] = f"Bearer {answer.json()['token']}"
            yield client

    async def tool(self, *words: str) -> Tool:
        """Start `switchroom …`; ended with the system at the latest."""
        process = await asyncio.create_subprocess_exec(
            *self.command(*words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.environment,
        )
        tool = Tool(process, " ".join(words[:2]))
        self.tools.append(tool)
        return tool

    async def call(self, *options: str, number: str = "5000") -> Tool:
        """A SIP caller."""
        return await self.tool("call", f"sip:{number}@{self.address}:{self.sip}", "--json", *options)

    async def agent(self, name: str = "agent1", *options: str) -> Tool:
        """A WebRTC agent who answers."""
        return await self.tool("agent", name, "--server", self.url, "--password", PASSWORD, "--json", *options)

    def log(self) -> str:
        """The last lines of what was logged, for a failing test."""
        parts = []
        for path in [self.data / "serve.out", *sorted((self.data / "logs").glob("*.log"))]:
            if path.exists():
                text = path.read_text(errors="replace")
                errors = [ln for ln in text.splitlines() if "rror" in ln or "Traceback" in ln or "critical" in ln]
                parts.append(f"--- {path.name}\n" + "\n".join(errors[-15:] + text.splitlines()[-5:]))
        return "\n".join(parts)[-6000:]


@contextlib.asynccontextmanager
async def switchroom(
    data: Path, *options: str, lines: int = 8, environment: dict[str, str] | None = None
) -> AsyncIterator[Switchroom]:
    """A running system, ended whatever happens."""
    system = Switchroom(data, *options, lines=lines, environment=environment)
    try:
        await system.start()
        yield system
    finally:
        await system.stop()
