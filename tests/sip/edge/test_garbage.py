"""Torture messages, garbage and floods against a real edge process: it stays, answers, and does not grow."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import psutil
import pytest

from sip.message import BadMessage, Request, Response, parse
from tests.sip.edge.peers import FakeCard, Front, Peer, Phone, edge_process, free_port
from tests.sip.edge.test_messages import TORTURE

pytestmark = pytest.mark.adversity


async def alive(edge: Front, phone: Phone) -> None:
    """The edge answers an OPTIONS, whatever else it may answer before."""
    request = phone.build("OPTIONS", f"sip:{edge.uri}")
    async with asyncio.timeout(5):
        while True:
            phone.send(request, edge.address)
            try:
                async with asyncio.timeout(0.5):
                    while (await phone.response()).headers.get("Call-ID") != request.call_id:
                        pass
                    return
            except TimeoutError:
                continue


class Deaf(Peer):
    """Counts what comes and keeps nothing."""

    heard = 0

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.heard += 1


async def test_the_49_messages_of_rfc_4475(run: Path, card: FakeCard, phone: Phone) -> None:
    files = sorted(TORTURE.glob("*.dat"))
    if not files:
        pytest.skip(f"no RFC 4475 messages in {TORTURE}")
    assert len(files) >= 49
    sender = Deaf()
    await sender.open()
    async with edge_process(run, free_port()) as (edge, process):
        await edge.cards(1)
        for number, file in enumerate(files):
            data = file.read_bytes()
            sender.send(data, edge.address)
            await alive(edge, phone)
            assert process.returncode is None, file.name
            counters = (await edge.inventory()).counters
            handled = sum(
                v for k, v in counters.items() if k.startswith(("requests.outside", "responses.outside", "dropped.bad"))
            )
            assert handled >= 2 * (number + 1), f"{file.name} was neither served nor counted as dropped"
    while not card.sip.inbox.empty():  # what reached the card must be readable and in bounds
        message, _ = card.sip.inbox.get_nowait()
        assert isinstance(message, Request)
        assert len(bytes(message)) <= 3800
    sender.close()


async def test_garbage_and_floods_do_not_hurt(run: Path, card: FakeCard, phone: Phone) -> None:
    source = random.Random(4475)
    valid = bytes(phone.build("INVITE", "sip:5000@127.0.0.1"))
    sender = Deaf()
    await sender.open()
    async with edge_process(run, free_port()) as (edge, process):
        await edge.cards(1)
        await alive(edge, phone)
        memory = psutil.Process(process.pid)
        sizes: list[int] = []
        for _ in range(3):
            for number in range(3_000):
                match number % 3:
                    case 0:
                        data = source.randbytes(source.randrange(1, 1500))
                    case 1:
                        raw = bytearray(valid)
                        for _ in range(5):
                            raw[source.randrange(len(raw))] = source.randrange(256)
                        data = bytes(raw)
                    case _:
                        data = bytes(phone.build("INVITE", f"sip:{number}@127.0.0.1"))
                sender.send(data, edge.address)
                if number % 100 == 99:
                    await asyncio.sleep(0)
            await alive(edge, phone)
            sizes.append(memory.memory_info().rss)
        assert sender.heard > 0
        assert sizes[-1] < 200 * 1024 * 1024
        assert process.returncode is None
        counters = (await edge.inventory()).counters
        assert counters["dropped.bad-message"] > 1000
        assert counters["invites.no-line"] > 1000
        assert counters["softmap.entries"] <= 20_000


async def test_a_long_list_is_read_quickly() -> None:
    """Input that a careless reader needs quadratic time for."""
    loop = asyncio.get_running_loop()
    head = b"INVITE sip:a@b SIP/2.0\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n"
    lines = (
        b"Via: " + b"SIP/2.0/UDP a," * 1100,
        b"Contact: " + b"<" * 15000,
        b'From: "' + b'\\"' * 7500,
        b"Via: " + b";a" * 7500,
        b"X:" + b"\r\n " * 5000,
        b"Record-Route: " + b"<sip:a>," * 1800,
    )
    for line in lines:
        began = loop.time()
        try:
            message = parse(head + line + b"\r\n\r\n")
        except BadMessage:
            pass
        else:
            assert not isinstance(message, Response)
        assert loop.time() - began < 0.25, line[:20]
