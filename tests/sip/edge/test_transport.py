"""A UDP wire keeps reading, whatever happens to one message; under both loops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from sip.edge.counters import Counters
from sip.edge.transport import Address, UdpWire, Wire

pytestmark = pytest.mark.layer


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_message_that_breaks_the_reader_does_not_close_the_socket(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def scene() -> None:
        counters, heard = Counters(), asyncio.Event()
        sender, reader = UdpWire("127.0.0.1", 0, "0", counters), UdpWire("127.0.0.1", 0, "1", counters)

        def receive(data: bytes, peer: Address, wire: Wire) -> None:
            if data == b"bad":
                raise ZeroDivisionError
            assert peer == sender.local
            heard.set()

        await reader.open(receive)
        await sender.open(receive)
        sender.send(b"bad", reader.local)
        sender.send(b"good", reader.local)
        await asyncio.wait_for(heard.wait(), 3)
        assert counters["dropped.internal"] == 1
        await sender.close()
        sender.send(b"late", reader.local)
        assert counters["unsent.closed"] == 1
        await reader.close()
        again = UdpWire(*reader.local, "1", counters)  # the port is free
        await again.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scene())
