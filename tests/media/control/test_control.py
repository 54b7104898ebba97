"""The control protocol: framing as a property, commands once, events resumed, one commander."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.control import line
from media.control.client import ControlClient
from media.control.envelope import (
    MAX_FRAME,
    Ack,
    Command,
    ControlError,
    Envelope,
    Event,
    Failure,
    FrameError,
    FrameReader,
    Hello,
    Reply,
    Welcome,
    decode,
    encode,
    encode_body,
)
from media.control.server import ControlServer

pytestmark = pytest.mark.layer

texts = st.text(max_size=30)
numbers = st.integers(0, 2**40)
bodies = st.recursive(st.none() | texts | numbers | st.booleans(), lambda x: st.lists(x, max_size=3), max_leaves=5).map(
    encode_body
)
envelopes: st.SearchStrategy[Envelope] = st.one_of(
    st.builds(Hello, st.sampled_from(["commander", "observer"]), numbers, texts, numbers),
    st.builds(Welcome, texts, texts, texts, numbers, numbers, st.booleans()),
    st.builds(Command, texts, bodies),
    st.builds(Reply, texts, st.none() | st.builds(Failure, texts, texts, st.booleans()), bodies),
    st.builds(Event, texts, texts, numbers, st.floats(allow_nan=False), bodies),
    st.builds(Ack, numbers),
)


@given(st.lists(envelopes, max_size=6), st.data())
def test_any_cut_of_the_stream_gives_the_same_envelopes(sent: list[Envelope], data: st.DataObject) -> None:
    stream = b"".join(encode(e) for e in sent)
    reader, got, at = FrameReader(), list[Envelope](), 0
    while at < len(stream):
        step = data.draw(st.integers(1, len(stream) - at))
        got += reader.feed(stream[at : at + step])
        at += step
    assert got == sent


@given(envelopes)
def test_every_truncation_is_a_frame_error(sent: Envelope) -> None:
    payload = encode(sent)[4:]
    for size in range(len(payload)):
        with pytest.raises(FrameError):
            decode(payload[:size])


@given(st.binary(max_size=200))
def test_garbage_is_a_frame_error_or_an_envelope(data: bytes) -> None:
    try:
        decode(data)
    except FrameError:
        return


def test_a_frame_over_the_limit_is_refused_before_it_is_held() -> None:
    with pytest.raises(FrameError):
        FrameReader().feed((MAX_FRAME + 1).to_bytes(4, "big"))


class Card:
    """A card that counts what it is told."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def handle(self, body: Any) -> Any:
        await self.gate.wait()
        self.done.append(body)
        if isinstance(body, line.Reject):
            raise ControlError("no-such-call", "There is no such call.")
        if isinstance(body, line.TakeInventory):
            return line.Inventory("linecard0", "g", 0, "sip:x", 4, 16000, [])
        return None


@asynccontextmanager
async def running(path: Path, card: Card, **more: Any) -> AsyncIterator[ControlServer]:
    async with ControlServer(
        path, card="linecard0", kind="linecard", commands=line.LineCommand, handler=card.handle, **more
    ) as server:
        yield server


async def test_a_command_is_answered_and_done_once(tmp_path: Path) -> None:
    card = Card()
    async with running(tmp_path / "c", card) as server, ControlClient(tmp_path / "c") as client:
        await client.connected()
        assert server.commanded
        inventory = await client.command(line.TakeInventory(), line.Inventory)
        assert inventory.lines == 4
        await client.command(line.Answer("c", "p"), id="x")
        await client.command(line.Answer("c", "p"), id="x")
        assert card.done.count(line.Answer("c", "p")) == 1
        with pytest.raises(ControlError) as error:
            await client.command(line.Reject("c", "p"))
        assert error.value.code == "no-such-call"
        assert server.statistics().repeated == 1


async def test_a_command_repeated_after_reconnecting_shares_the_first(tmp_path: Path) -> None:
    card = Card()
    card.gate.clear()
    async with running(tmp_path / "c", card):
        async with ControlClient(tmp_path / "c") as first:
            await first.connected()
            with pytest.raises(ControlError) as error:
                await first.command(line.Answer("c", "p"), id="x", timeout=0.05)
            assert error.value.code == "timeout"
        async with ControlClient(tmp_path / "c") as second:
            await second.connected()
            waiting = asyncio.create_task(second.command(line.Answer("c", "p"), id="x"))
            card.gate.set()
            await waiting
    assert len(card.done) == 1


async def test_missed_events_come_after_a_reconnect_and_never_twice(tmp_path: Path) -> None:
    got: list[str] = []
    seen = asyncio.Event()

    def on_event(event: Event, body: Any) -> None:
        got.append(body.digit)
        seen.set()

    def digit(d: str) -> line.Digit:
        return line.Digit("c", "p", d, "rfc4733")

    async with running(tmp_path / "c", Card()) as server:
        async with ControlClient(tmp_path / "c", events=line.LineEvent, on_event=on_event) as client:
            await client.connected()
            server.emit(digit("1"))
            await seen.wait()
            generation, after = client.generation, client.after
        server.emit(digit("2"))
        server.emit(digit("3"))
        seen.clear()
        async with ControlClient(
            tmp_path / "c", events=line.LineEvent, on_event=on_event, generation=generation, after=after
        ) as client:
            welcome = await client.connected()
            assert welcome.resumed
            server.emit(digit("4"))
            while len(got) < 4:
                seen.clear()
                await seen.wait()
    assert got == ["1", "2", "3", "4"]


async def test_acknowledged_events_are_forgotten_and_an_old_reader_is_told(tmp_path: Path) -> None:
    async with running(tmp_path / "c", Card()) as server, ControlClient(tmp_path / "c", events=line.LineEvent) as client:
        await client.connected()
        for _ in range(5):
            server.emit(line.Digit("c", "p", "1", "info"))
        client.ack(4)
        await client.command(line.TakeInventory(), line.Inventory)
        assert server.statistics().kept == 1
        async with ControlClient(tmp_path / "c", role="observer", generation=server.generation, after=1) as late:
            assert not (await late.connected()).resumed


async def test_the_newer_commander_wins_and_a_loss_is_noticed(tmp_path: Path) -> None:
    lost = asyncio.Event()
    async with running(tmp_path / "c", Card()) as server, ControlClient(tmp_path / "c", on_lost=lost.set) as old:
        assert server.uncommanded_since is not None
        await old.connected()
        assert server.uncommanded_since is None
        async with ControlClient(tmp_path / "c") as new:
            await new.connected()
            await asyncio.wait_for(lost.wait(), 5)
            assert server.commanded


async def test_a_commander_of_an_older_epoch_does_not_take_the_card_from_a_newer_one(tmp_path: Path) -> None:
    card = Card()
    async with running(tmp_path / "c", card), ControlClient(tmp_path / "c", epoch=1) as old:
        await old.connected()
        async with ControlClient(tmp_path / "c", epoch=2) as new:
            await new.connected()
            async with ControlClient(tmp_path / "c", epoch=1) as late:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(late.connected(), 0.1)
                with pytest.raises(ControlError):
                    await old.command(line.Answer("c", "p"))
                await new.command(line.Answer("c", "p"))
        await asyncio.wait_for(old.connected(), 5)
        await old.command(line.Answer("c", "q"))
    assert card.done == [line.Answer("c", "p"), line.Answer("c", "q")]


async def test_who_leaves_late_leaves_the_socket_of_its_successor(tmp_path: Path) -> None:
    async with running(tmp_path / "c", Card()) as old:
        async with running(tmp_path / "c", Card()) as new, ControlClient(tmp_path / "c") as client:
            await old.__aexit__()
            await client.connected()
            assert (new.commanded, old.commanded) == (True, False)
        assert not (tmp_path / "c").exists()


async def test_garbage_costs_the_connection_not_the_card(tmp_path: Path) -> None:
    async with running(tmp_path / "c", Card()):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "c"))
        writer.write(b"\x00\x00\x00\x05hello")
        assert await reader.read() == b""
        writer.close()
        async with ControlClient(tmp_path / "c") as client:
            await client.connected()
            with pytest.raises(ControlError) as error:
                await client.command(Failure("not", "a command"))
            assert error.value.code == "bad-command"


async def test_a_pending_command_fails_when_the_card_goes(tmp_path: Path) -> None:
    card = Card()
    card.gate.clear()
    async with ControlClient(tmp_path / "c") as client:
        async with running(tmp_path / "c", card):
            await client.connected()
            pending = asyncio.create_task(client.command(line.Answer("c", "p")))
            await asyncio.sleep(0)
        with pytest.raises(ControlError) as error:
            await pending
        assert error.value.code in {"card-gone", "stopping"}
        assert error.value.retryable


def test_messages_of_the_call_model_have_distinct_tags() -> None:
    for union in (line.LineCommand, line.LineEvent):
        tags = [t.__struct_config__.tag for t in union.__args__]
        assert len(tags) == len(set(tags))
        msgspec.msgpack.Decoder(union)
