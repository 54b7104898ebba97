"""What the speech and the vault worker share: one thread for the work, a control socket, an orderly end."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

import structlog

from media.control import logs
from media.control.envelope import ControlError
from media.control.server import ControlServer

log = structlog.get_logger()
T = TypeVar("T")


class Jobs:
    """Runs blocking jobs one after the other in a thread; the same key at the same time is one job with several waiters."""

    def __init__(self, name: str) -> None:
        self.done = self.failed = self.shared = 0
        self._stopping = False
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._turn = asyncio.Lock()
        self._tasks: dict[str, asyncio.Task[Any]] = {}

    @property
    def busy(self) -> int:
        """Jobs running or waiting."""
        return len(self._tasks)

    async def run(self, key: str, job: Callable[[], T]) -> T:
        """The job's result; a waiter that is cancelled does not stop the job for the others."""
        task: asyncio.Task[T] | None = self._tasks.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._one(job), name=f"job {key}")
            self._tasks[key] = task
            task.add_done_callback(lambda ended: self._ended(key, ended))
        else:
            self.shared += 1
        return await asyncio.shield(task)

    async def drain(self) -> None:
        """Let the running job end, refuse the waiting ones; their waiters have their answers when this returns."""
        self._stopping = True
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()))
        self._executor.shutdown(wait=True)

    async def _one(self, job: Callable[[], T]) -> T:
        async with self._turn:
            if self._stopping:
                raise ControlError("stopping", "The worker is stopping.", retryable=True)
            return await asyncio.get_running_loop().run_in_executor(self._executor, job)

    def _ended(self, key: str, task: asyncio.Task[Any]) -> None:
        del self._tasks[key]
        # Reading the exception also tells asyncio that it was seen, should every waiter be gone.
        if task.cancelled() or task.exception() is not None:
            self.failed += 1
        else:
            self.done += 1


class Handler(Protocol):
    """One worker's commands."""

    stopped: asyncio.Event

    async def handle(self, command: Any) -> Any: ...

    def start(self, control: ControlServer) -> None: ...

    async def drain(self) -> None: ...


def arguments(description: str) -> argparse.ArgumentParser:
    """The flags that every worker has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--run", type=Path, required=True, metavar="DIR", help="run directory; the control socket is made there"
    )
    parser.add_argument("--name", required=True, help="name of the process and of its socket")
    parser.add_argument("--nice", type=int, metavar="N", help="what to add to the process's niceness")
    return parser


async def serve(run: Path, name: str, kind: str, commands: Any, worker: Handler) -> None:
    """Answer commands until a Shutdown or a SIGTERM, then finish the job in hand; a second SIGTERM or a SIGINT ends at once."""
    loop = asyncio.get_running_loop()
    path = run / f"{name}.ctl"

    def asked(number: signal.Signals) -> None:
        if number == signal.SIGTERM and not worker.stopped.is_set():
            log.info("draining", card=name)
            worker.stopped.set()
            return
        log.warning("stopping at once", card=name, signal=number.name)
        path.unlink(missing_ok=True)
        # Not by exceptions: the thread cannot be interrupted, and both workers are made to be killed at any moment.
        os._exit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked, number)
    async with ControlServer(path, card=name, kind=kind, commands=commands, handler=worker.handle) as control:
        log.info("listening", card=name, socket=str(path), generation=control.generation)
        worker.start(control)
        await worker.stopped.wait()
        await worker.drain()
        # The last replies pass from the job to its command to the socket, one turn of the loop each.
        for _ in range(5):
            await asyncio.sleep(0)
    log.info("stopped", card=name)


def main(
    parser: argparse.ArgumentParser, niceness: int, begin: Callable[[argparse.Namespace], Coroutine[Any, Any, None]]
) -> None:
    """Read the flags, step back behind the processes with a clock, run."""
    flags = parser.parse_args()
    logs.configure_child()
    os.nice(flags.nice if flags.nice is not None else niceness)
    asyncio.run(begin(flags))
