"""WebRTC agents of a bench: they answer what they are offered, through the public API, on the lean audio path."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from bench.tools.clock import Clock
from bench.tools.sound import Ears, silence, voice
from media.desk_client import DeskClient, DeskError
from media.deskcard.contact_surface import LOOPBACK, IceSettings, make_certificate
from media.deskcard.errors import LinkError
from media.deskcard.peer import Peer
from media.patch import PatchFrame

RATES = {"PCMU": 8000, "PCMA": 8000, "opus": 16000}
"""Sampling rate at this end: as a browser, the agent needs no more than its codec carries."""
AGAIN = 0.5
"""Seconds before a softphone that the desk misses is made anew."""
REPORTS = 25
"""Ticks between two looks at RTCP."""
RARE = 50
"""A quiet agent sends one packet in so many ticks: enough to be there, as a browser with discontinuous transmission."""


class BenchAgent:
    """One agent; `async with` logs in and out."""

    def __init__(
        self,
        name: str,
        server: str,
        password: str,
        clock: Clock,
        *,
        codec: str = "opus",
        hertz: float = 880.0,
        ears: bool = True,
        quiet: bool = False,
    ) -> None:
        self.name = name
        self.quiet = quiet
        self.codec = codec
        self.rate = RATES[codec]
        self.talking = False
        """Whether the tone is sent; silence otherwise, as a browser does."""
        self.in_contact = asyncio.Event()
        self.free = asyncio.Event()
        self.accepted = 0.0
        """Monotonic time of the last click on answer."""
        self.accept_after = 0.0
        self.contacts = 0
        self.freed = 0.0
        """Monotonic time of the last wrap-up that was sent, until an offer has followed."""
        self.offers: list[float] = []
        """Seconds from a wrap-up sent to the offer after it."""
        self.refused: list[str] = []
        self.ears = Ears(self.rate) if ears else None
        self.on_frame: Callable[[bytes, float], None] | None = None
        self.on_contact: Callable[[str], None] | None = None
        """Gets the caller's number when the desk says that they talk (and again whenever it says so)."""
        self.peer = self._new_peer()
        self.renewed = 0
        """How often a lost softphone was made anew."""
        self.customer = ""
        """The number of whom the contact is with."""
        self._client = DeskClient(server, on_desk=self._look)
        self._password = password
        self._clock = clock
        self._voice, self._silence = voice(self.rate, hertz), silence(self.rate)
        self._burst: deque[bytes] = deque()
        self._told: Callable[[float], None] | None = None
        self._number = 0
        self._key = 0
        self._seen: set[str] = set()
        self._state = ""
        self._connected = self._sending = False
        self._softphone = ""
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> BenchAgent:
        await self._client.__aenter__()
        await self._client.log_in(self.name, self._password)
        await self._client.start()
        await self._connect()
        self._key = self._clock.listen(self._tick)
        return self

    def _new_peer(self) -> Peer:
        return Peer(IceSettings(public=LOOPBACK), make_certificate(), offering=True, on_lost=self._lost)

    async def _connect(self) -> None:
        answer = await self._client.command("softphone", sdp=await self.peer.offer((self.codec,)))
        self.peer.accept(str(answer["sdp"]))
        await self.peer.connect()
        assert self.peer.outbound is not None
        assert self.peer.inbound is not None
        self.peer.outbound.begin(self.rate)
        if not self.quiet:
            self.peer.inbound.begin(self.rate, self._take)
        self._connected = self._sending = True

    async def _renew(self) -> None:
        """The desk says that the softphone is gone: a new connection, unless an exchange that has just begun finds it yet."""
        await asyncio.sleep(AGAIN)
        if self._softphone not in ("none", "lost"):
            self._connected = True
            return
        self._sending = False
        await self.peer.close()
        self.peer = self._new_peer()
        try:
            await self._connect()
            self.renewed += 1
        except (DeskError, LinkError, OSError) as error:
            self.refused.append(f"softphone: {error}")
            self._soon(self._renew())

    async def __aexit__(self, *exc: object) -> None:
        with contextlib.suppress(TimeoutError):
            # A good agent finishes the wrap-up first; who logs out while talking is logged out after it.
            await asyncio.wait_for(self._rested(), 10)
        self._connected = False  # a softphone that goes with its agent is not missed
        self._clock.leave(self._key)
        try:
            await self._client.command("log_out", timeout=5.0)
        except DeskError as error:
            self.refused.append(error.code)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.peer.close()
        await self._client.__aexit__(None, None, None)

    async def _rested(self) -> None:
        while self._tasks or self._state in ("reserved", "engaged", "wrap-up"):
            self._changed.clear()
            await self._changed.wait()

    async def available(self) -> None:
        """Take contacts."""
        await self._client.command("set_state", state="available")

    async def idle(self) -> None:
        """Be there, but take none: its queues have somebody logged in."""
        await self._client.command("set_state", state="idle", code="break")

    async def hold(self, on: bool) -> None:
        """The customer hears music."""
        await self._client.command("hold", on=on)

    async def hang_up(self) -> None:
        """End the contact."""
        await self._client.command("hang_up")

    def burst(self, frames: list[bytes], told: Callable[[float], None]) -> None:
        """Say these frames instead of the next ones; `told` gets the moment in which the first leaves."""
        self._burst.extend(frames)
        self._told = told

    def move(self, slot: int) -> None:
        """Send in another slot of the clock from now on: the phase to the bridge's clock is another one then."""
        self._clock.leave(self._key)
        self._key = self._clock.listen(self._tick, slot)

    # --- the desk --------------------------------------------------------------------------------------------------

    def _look(self, desk: dict[str, Any]) -> None:
        offer, contact, wrap_up = desk.get("offer"), desk.get("contact"), desk.get("wrap_up")
        if offer is not None and offer["id"] not in self._seen:
            self._seen.add(offer["id"])
            if self.freed:
                self.offers.append(time.monotonic() - self.freed)
                self.freed = 0.0
            self._soon(self._accept(offer["id"]))
        self._softphone = (desk.get("softphone") or {}).get("state", "")
        if self._connected and self._softphone in ("none", "lost"):
            self._connected = False
            self._soon(self._renew())
        if contact is not None and contact.get("state") != "ended":
            self.customer = str(contact.get("ani", ""))
            if not self.in_contact.is_set():
                self.contacts += 1
                self.talking = True
                if self.ears is not None:
                    self.ears.restart()
            self.in_contact.set()
            if self.on_contact is not None and contact.get("state") == "talking":
                self.on_contact(str(contact["ani"]))
        elif self.in_contact.is_set():
            self.in_contact.clear()
            self.talking = False
        if wrap_up is not None and wrap_up["contact"] not in self._seen:
            self._seen.add(wrap_up["contact"])
            self.freed = time.monotonic()
            self._soon(self._act("wrap_up", code=next((c["code"] for c in wrap_up["codes"]), "")))
        state = (desk.get("agent") or {}).get("state", "")
        if state == "not-responding" != self._state:
            self.refused.append(state)
            self._soon(self._act("set_state", state="available"))
        self._state = state
        self._changed.set()
        if state == "available":
            self.free.set()
        else:
            self.free.clear()

    async def _accept(self, offer: str) -> None:
        if self.accept_after:
            await asyncio.sleep(self.accept_after)
        self.accepted = time.monotonic()
        await self._act("accept", offer=offer)

    async def _act(self, kind: str, **fields: Any) -> None:
        try:
            await self._client.command(kind, **fields)
        except DeskError as error:
            self.refused.append(f"{kind}: {error.code}")

    def _soon(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._changed.set()

    def _lost(self, reason: str) -> None:
        self.refused.append(f"softphone lost: {reason}")

    # --- audio -----------------------------------------------------------------------------------------------------

    def _take(self, pcm: bytes, media_time: int, flags: int) -> None:
        now = time.monotonic()
        if self.on_frame is not None:
            self.on_frame(pcm, now)
        if self.ears is not None and self.talking:
            self.ears.receiver.push(PatchFrame(0, media_time, flags, pcm))

    def _tick(self) -> None:
        if not self._sending:
            return
        number = self._number
        self._number += 1
        if self.quiet and number % RARE:
            return
        pcm = self._voice[number % 50] if self.talking else self._silence
        if self._burst:
            pcm = self._burst.popleft()
            told, self._told = self._told, None
            if told is not None:
                told(time.monotonic())
        self.peer.send(PatchFrame(number & 0xFFFFFFFF, number * (len(pcm) // 2) & 0xFFFFFFFF, 0, pcm))
        if number % REPORTS == 0:
            self.peer.tick(asyncio.get_running_loop().time())
        if self.ears is not None and self.talking:
            self.ears.pull()
