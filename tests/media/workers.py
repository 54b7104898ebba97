"""Starts the real worker processes for tests, and talks to them as the exchange does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from media.control.client import ControlClient
from media.control.work import Nothing


class Worker:
    """One process and a commander's connection to it."""

    def __init__(self, process: asyncio.subprocess.Process, client: ControlClient, output: Path) -> None:
        self.process = process
        self.client = client
        self._output = output

    def logs(self) -> list[dict[str, Any]]:
        """Its log lines so far; each must be a JSON object."""
        return [json.loads(line) for line in self._output.read_text().splitlines()]

    def events(self) -> list[str]:
        return [line["event"] for line in self.logs()]

    def peak_memory(self) -> int:
        """The most resident memory it ever had, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait for the exit status."""
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 20)


@contextlib.asynccontextmanager
async def started(module: str, run: Path, name: str, *flags: str) -> AsyncIterator[Worker]:
    """The worker, connected; killed at the end if it still runs."""
    _make(run)
    output = run / f"{name}.log"
    with output.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, "--run", str(run), "--name", name, *flags, stdout=log, stderr=log, env={**os.environ}
        )
    try:
        async with ControlClient(run / f"{name}.ctl", events=Nothing) as client:
            await asyncio.wait_for(client.connected(), 20)
            yield Worker(process, client, output)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _make(run: Path) -> None:
    run.mkdir(mode=0o700, exist_ok=True)
