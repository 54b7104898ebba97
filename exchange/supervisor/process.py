"""A process by its pidfd: a child of ours, a zygote's, or one left by a dead supervisor; all are watched the same way."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from exchange import logs
from exchange.supervisor.records import age, start_ticks


class Process:
    """One running process; `exited` resolves when it is gone."""

    def __init__(self, pid: int, ticks: int, pidfd: int, popen: subprocess.Popen[bytes] | None = None) -> None:
        self.pid = pid
        self.ticks = ticks
        self.exited: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._pidfd = pidfd
        self._popen = popen
        asyncio.get_running_loop().add_reader(pidfd, self._gone)

    @classmethod
    def open(cls, pid: int, ticks: int | None = None, popen: subprocess.Popen[bytes] | None = None) -> Process | None:
        """Watch a running process; None when it is gone or (by `ticks`) another one has its number."""
        try:
            pidfd = os.pidfd_open(pid)
        except (ProcessLookupError, OverflowError, OSError):
            return None
        # Read after the pidfd is ours: from here on the number cannot change hands unnoticed.
        found = start_ticks(pid)
        if popen is not None and found is None:
            found = 0
        if found is None or (ticks is not None and found != ticks):
            os.close(pidfd)
            return None
        return cls(pid, found, pidfd, popen)

    def age(self) -> float:
        """Seconds since it was started."""
        return age(self.ticks)

    def send(self, number: signal.Signals) -> None:
        """Signal it; no error when it is gone."""
        if self._pidfd < 0:
            return
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            return

    def abandon(self) -> None:
        """Stop watching; the process lives on."""
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        if self._popen is not None:
            self._popen.returncode = 0  # else its destructor warns that it still runs, which is what we want
        if not self.exited.done():
            self.exited.cancel()

    def _gone(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
        status = self._popen.wait() if self._popen is not None else None
        if not self.exited.done():
            self.exited.set_result(status)


def inherited() -> dict[str, str]:
    """Our environment without our settings: a child gets those that are meant for it, and no other's secrets."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SWITCHROOM_")}


def launch(
    argv: tuple[str, ...],
    environment: Mapping[str, str],
    log: Path,
    *,
    stdin: int | None = None,
    cwd: Path | None = None,
    user: int | None = None,
    group: int | None = None,
) -> Process:
    """Start a program in a session of its own: neither the terminal's Ctrl-C nor our death reaches it.

    With `user` and `group` (root only) it becomes that user, without further groups. With `stdin` it is one that waits, while
    another one writes the log.
    """
    output = logs.open_log(log, rotating=stdin is None)
    try:
        popen = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=cwd,
            user=user,
            group=group,
            extra_groups=[] if user is not None else None,
            env={**inherited(), "PYTHONUNBUFFERED": "1", **environment},
        )
    finally:
        os.close(output)
    process = Process.open(popen.pid, None, popen)
    if process is None:
        raise OSError(f"process {popen.pid} cannot be watched")
    return process
