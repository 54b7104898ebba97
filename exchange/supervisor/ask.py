"""One question to a card over its control socket, without staying connected."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from media.control.client import ControlClient
from media.control.envelope import ControlError, Welcome

T = TypeVar("T")


@asynccontextmanager
async def connection(path: Path, timeout: float = 2.0) -> AsyncIterator[tuple[ControlClient, Welcome]]:
    """A connected observer; raises ControlError(card-gone) when nobody answers in time."""
    async with ControlClient(path, role="observer") as client:
        try:
            welcome = await asyncio.wait_for(client.connected(), timeout)
        except TimeoutError:
            raise ControlError("card-gone", f"{path.stem} does not answer.", retryable=True) from None
        yield client, welcome


async def ask(path: Path, body: Any, reply: type[T], *, timeout: float = 2.0) -> T:
    """Send one command and return its reply; raises ControlError."""
    _must_exist(path)
    async with connection(path, timeout) as (client, _):
        return await client.command(body, reply, timeout=timeout)


async def tell(path: Path, body: Any, *, timeout: float = 2.0) -> None:
    """Send one command that returns nothing; raises ControlError."""
    _must_exist(path)
    async with connection(path, timeout) as (client, _):
        await client.command(body, timeout=timeout)


async def welcomed(path: Path) -> Welcome:
    """Wait for ever until the card greets us: it has finished starting."""
    async with ControlClient(path, role="observer") as client:
        return await client.connected()


async def listening(path: Path) -> None:
    """Wait for ever until somebody accepts connections at a unix socket."""
    loop = asyncio.get_running_loop()
    while True:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            await loop.sock_connect(probe, str(path))
            return
        await asyncio.sleep(0.02)


def _must_exist(path: Path) -> None:
    """Without a socket there is nobody: say so at once instead of waiting for one."""
    if not path.is_socket():
        raise ControlError("card-gone", f"{path.stem} is not running.", retryable=True)
