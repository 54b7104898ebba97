"""The vault worker's commands, and how its errors look to the exchange."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import structlog

from media.control.envelope import ControlError
from media.control.server import ControlServer
from media.control.work import Inventory, Salvaged, SalvageRecordings, Shutdown, Stored, StoreRecording, TakeInventory
from media.vault.errors import VaultError
from media.vault.filing import Filing
from media.vault.store import Vault
from media.worker import Jobs

log = structlog.get_logger()
T = TypeVar("T")


class VaultWorker:
    """Files one recording at a time; the order is that of arrival."""

    def __init__(self, vault: Vault, scratch: Path) -> None:
        self.stopped = asyncio.Event()
        self._jobs = Jobs("vault")
        self._filing = Filing(vault, scratch)
        self._control: ControlServer | None = None

    def start(self, control: ControlServer) -> None:
        """Called once, when the socket is there."""
        self._control = control

    def prepare(self) -> None:
        """Before the socket: clear what was left half done."""
        self._filing.prepare()

    async def handle(self, command: Any) -> Any:
        """One command; raises ControlError with a VaultError's code, `disk`, or `stopping`."""
        match command:
            case StoreRecording():
                return await self._store(command.recording, lambda: self._filing.store(command))
            case SalvageRecordings():
                return await self._salvage(command)
            case TakeInventory():
                return self._inventory()
            case Shutdown():
                self.stopped.set()
                return None
        raise ControlError("bad-command", f"{type(command).__name__} is not for the vault.")

    async def drain(self) -> None:
        """Finish the job in hand, refuse the waiting ones: their WAVs stay, and whoever asked for them asks again."""
        await self._jobs.drain()

    async def _store(self, recording: str, job: Callable[[], Stored]) -> Stored:
        try:
            return await self._jobs.run(recording, lambda: _explained(recording, job))
        except ControlError as error:
            log.warning("recording not filed", recording=recording, code=error.code, error=error.message)
            raise

    async def _salvage(self, command: SalvageRecordings) -> Salvaged:
        stored: list[Stored] = []
        failed: dict[str, str] = {}
        for recording in command.recordings:
            job = partial(self._filing.salvage, recording, Path(command.directory))
            try:
                stored.append(await self._store(recording, job))
            except ControlError as error:
                if error.retryable:
                    raise
                failed[recording] = error.code
        return Salvaged(stored, failed)

    def _inventory(self) -> Inventory:
        control = self._control
        return Inventory(
            card=control.card if control is not None else "",
            generation=control.generation if control is not None else "",
            seq=control.seq if control is not None else 0,
            busy=self._jobs.busy,
            done=self._jobs.done,
            failed=self._jobs.failed,
            counters={"shared": float(self._jobs.shared), **msgspec.structs.asdict(self._filing.totals)},
        )


def _explained(recording: str, job: Callable[[], Stored]) -> Stored:
    try:
        return job()
    except VaultError as error:
        raise ControlError(error.code, error.message, retryable=error.retryable) from error
    except OSError as error:
        raise ControlError("disk", f"Recording {recording} could not be filed: {error.strerror}.", retryable=True) from error
