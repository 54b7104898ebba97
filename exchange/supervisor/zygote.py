"""Asks the line cards' zygote, which has pjsua2 imported already, to fork one more card."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from exchange import logs
from exchange.supervisor import ask
from exchange.supervisor.process import Process
from exchange.supervisor.specs import Launcher, Spec

PATIENCE = 10.0
"""Seconds that a fork may take, the zygote's own restart included."""


class ForkOrder(msgspec.Struct, frozen=True):
    name: str
    args: list[str]
    log: str


class ForkRequest(msgspec.Struct, frozen=True):
    fork: ForkOrder


class ForkReply(msgspec.Struct, frozen=True):
    pid: int = 0
    error: str = ""


def forked_by(zygote: Path) -> Launcher:
    """A launcher that has the zygote behind this socket fork the process."""

    async def launcher(spec: Spec, log: Path) -> Process:
        log.parent.mkdir(parents=True, exist_ok=True)
        logs.rotate(log)
        order = ForkRequest(ForkOrder(spec.name, list(spec.argv), str(log)))
        try:
            async with asyncio.timeout(PATIENCE):
                await ask.listening(zygote)
                answer = await _request(zygote, order)
        except TimeoutError:
            raise OSError(f"the zygote {zygote.name} does not answer") from None
        except msgspec.DecodeError as error:
            raise OSError(f"the zygote {zygote.name} answered something else: {error}") from error
        if answer.error or not answer.pid:
            raise OSError(f"the zygote cannot fork: {answer.error}")
        process = Process.open(answer.pid)
        if process is None:
            raise OSError(f"process {answer.pid} ended at once")
        return process

    return launcher


async def _request(zygote: Path, order: ForkRequest) -> ForkReply:
    reader, writer = await asyncio.open_unix_connection(str(zygote))
    try:
        writer.write(msgspec.json.encode(order) + b"\n")
        return msgspec.json.decode(await reader.readline(), type=ForkReply)
    finally:
        writer.close()
