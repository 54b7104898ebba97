"""The internal API from another process: what a channel asks arrives as it was meant, also when the network breaks."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from api.channel import (
    Action,
    Assign,
    Callback,
    Change,
    End,
    Happened,
    NewContact,
    Park,
    Pick,
    Place,
    Requeue,
    Resume,
    Said,
    Transfer,
)
from api.client import RemoteContacts
from api.errors import ApiError
from tests.api.surface import PASSWORD, World

pytestmark = pytest.mark.layer

ACTIONS: list[Action] = [
    Change(priority=2),
    End(by="customer"),
    Transfer(kind="queue", id="sales", keep_place=False),
    Park(),
    Resume(by="customer", patience=5),
    Assign(agent="a1", force=True),
    Pick(agent="a1"),
    Requeue(),
    Callback(number="+4930"),
]


class Wire:
    """A cable to the server that can be cut; the next connection finds it mended."""

    def __init__(self, address: str) -> None:
        self.address = ""
        self._far = address.split(":")
        self._ends: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._joined, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        for end in self._ends:
            end.transport.abort()

    async def _joined(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        far_reader, far = await asyncio.open_connection(self._far[0], int(self._far[1]))
        self._ends |= {near, far}
        for reader, writer in ((near_reader, far), (far_reader, near)):
            task = asyncio.create_task(self._carry(reader, writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()


async def test_everything_that_a_channel_asks_arrives_as_it_was_meant() -> None:
    world = World()
    async with world.served() as address, RemoteContacts(f"http://{address}") as contacts:
        user = await contacts.log_in("supervisor", PASSWORD)
        new = NewContact(channel="chat", entry_point="chat", cad={"order": "1"})
        assert (await contacts.create(user, new, "k0")).id == "d1"
        for action in ACTIONS:
            await contacts.act(user, "c1", action, "k1")
        await contacts.say(user, "c1", Said(text="Hello"), "k2")
        (message,) = await contacts.messages(user, "c1", 4)
        now = await contacts.now(user, "c1")
        assert (message.number, now is not None, await contacts.now(user, "c2")) == (5, True, None)
        asked = world.contacts.asked
        assert asked[0] == ("create", "s1", new, "k0")
        assert asked[1 : 1 + len(ACTIONS)] == [("c1", "s1", action, "k1") for action in ACTIONS]
        assert asked[1 + len(ACTIONS)] == ("c1", "s1", Said(text="Hello"), "k2")
        world.contacts.refusal = ApiError(409, "not-waiting", "Contact c1 is engaged.")
        with pytest.raises(ApiError, match="is engaged") as error:
            await contacts.act(user, "c1", Park())
        assert (error.value.status, error.value.code) == (409, "not-waiting")


async def test_what_has_a_key_is_asked_again_and_what_has_none_is_not() -> None:
    world = World()
    async with world.served() as address, RemoteContacts(f"http://{address}", patience=5) as contacts:
        user = await contacts.log_in("supervisor", PASSWORD)
        world.contacts.refusal = ApiError(503, "restarting", "Please try again in a moment.")
        with pytest.raises(ApiError):
            await contacts.act(user, "c1", Park())
        assert len(world.contacts.asked) == 1
        asking = asyncio.create_task(contacts.act(user, "c1", Park(), "k1"))
        while len(world.contacts.asked) < 3:
            await asyncio.sleep(0.01)
        world.contacts.refusal = None
        assert (await asking).id == "d1"


async def test_a_stream_that_breaks_goes_on_where_it_was() -> None:
    world = World()
    world.contacts.items = [Happened(Place(1, number, 0), 0.0, "assigned", {}) for number in range(1, 5)]
    async with world.served() as address, Wire(address) as wire, RemoteContacts(f"http://{wire.address}") as contacts:
        user = await contacts.log_in("supervisor", PASSWORD)
        had: list[Place] = []
        async with asyncio.timeout(10), contextlib.aclosing(contacts.follow(user)) as items:
            async for item in items:
                if item.type == "following":
                    continue
                had.append(item.place)
                if len(had) == 4:
                    world.contacts.items += [Happened(Place(2, number, 0), 0.0, "assigned", {}) for number in (1, 2)]
                if len(had) in (2, 4):
                    wire.cut()
                if len(had) == 6:
                    break
        assert had == [Place(1, 1, 0), Place(1, 2, 0), Place(1, 3, 0), Place(1, 4, 0), Place(2, 1, 0), Place(2, 2, 0)]
        first, *again = [place for _, place in world.contacts.followers]
        assert first is None
        assert again, "what was on its way may still come after a cut, but the cut is noticed"
        assert set(again) <= set(had)


async def test_a_stream_that_is_of_no_use_ends() -> None:
    world = World()
    world.contacts.end = ApiError(410, "gone", "That is not kept any more.")
    async with world.served() as address, RemoteContacts(f"http://{address}") as contacts:
        user = await contacts.log_in("supervisor", PASSWORD)
        items = contacts.follow(user)
        assert (await anext(items)).type == "following"
        with pytest.raises(ApiError, match="not kept") as error:
            await anext(items)
        assert error.value.status == 410
