"""Floods and garbage on every port while two people talk and one waits: nobody notices, and the next caller is answered."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import random
import socket
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from tests.adversity import media_raid, sip_raid, web_raid
from tests.adversity.media_raid import STRANGER_HZ, Shower
from tests.adversity.sip_raid import CallFlood, scan
from tests.adversity.standing import Standing
from tests.adversity.web_raid import DESK, WEB_CALL, Crowd, Sockets
from tests.sip.edge.test_messages import TORTURE
from tests.tools import tones
from tests.tools.ears import Caller
from tests.tools.stalls import stalls
from tests.tools.switchroom import Switchroom, free_port, switchroom

pytestmark = [pytest.mark.adversity, pytest.mark.realtime, pytest.mark.timeout(400)]

CALLER_HZ, AGENT_HZ, WAITER_HZ = 440, 880, 523
LINES, MAD_TRUNK, MAD_TRUNKS_LINES = 8, "127.0.0.66", 2
MOST_GROWTH = 48 * 2**20
"""Bytes of memory that a process may have more afterwards; one endless header alone once took 400 MiB."""
MOST_LOGGED = 8 * 1024
"""Bytes a second that may come into one log file."""
LONGEST_BREAK = 3
"""Windows of 0.1 s without the tone: a machine that others use, too, makes its listeners miss one or two."""
STALLS = 3
"""Clocks on a talk's way from end to end, each of which a machine that stands still holds up."""
PATIENCE = 90.0
"""Seconds for what takes two when nobody else uses the machine."""


class Raid:
    """One house under attack."""

    def __init__(self, house: Switchroom) -> None:
        self.house = house
        self.chance = random.Random(4475)
        self.sip = "127.0.0.1", house.sip
        self.http = "127.0.0.1", house.http
        self.waves: list[tuple[str, float, float]] = []

    async def wave(self, name: str, *attacks: Awaitable[None]) -> None:
        """Attacks at the same time; remembers when."""
        began = time.monotonic()
        await asyncio.gather(*attacks)
        self.waves.append((name, began, time.monotonic()))

    # --- SIP --------------------------------------------------------------------------------------------------------

    async def calls(self) -> None:
        """A trunk that calls and never acknowledges anything; somebody who calls, hangs up, takes back."""
        mad = CallFlood(self.sip, ["deaf"], source=MAD_TRUNK)
        busy = CallFlood(self.sip, ["talked", "cancelled", "cancelled"])
        async with mad, busy:
            await mad.call(20, 200)  # it has its lines before the other one can take them
            await asyncio.gather(mad.call(580, 200), busy.call(900, 300))
            await self.house.until(lambda: not mad.unanswered and not busy.unanswered, PATIENCE, "an answer to each call")
        assert mad.finals == {200: MAD_TRUNKS_LINES, 503: 600 - MAD_TRUNKS_LINES}
        assert set(busy.finals) <= {200, 487, 503}
        assert busy.finals[503] > 300, "more than there are lines"

    async def torture(self) -> None:
        """RFC 4475, and mutants of it."""
        messages = [file.read_bytes() for file in sorted(TORTURE.glob("*.dat"))]
        assert len(messages) >= 49
        mutants = sip_raid.mutants(messages, self.chance)
        assert await sip_raid.by_udp(self.sip, itertools.chain(messages, mutants), 1000, 400) > 0
        assert await sip_raid.by_tcp(self.sip, itertools.chain(messages, mutants), 400, 200) > 0

    async def scans(self, folder: Path) -> None:
        """What sipvicious finds: that there is SIP, no extension, no password."""
        words = [["svmap"], *(["svwar", "-e100-160", f"-m{method}"] for method in ("REGISTER", "OPTIONS", "INVITE"))]
        words += [["svcrack", "-u1000", "-r100-200", "--maximumtime=3"]]
        ports = [f"-P{free_port(socket.SOCK_DGRAM)}" for _ in words]
        target = f"-p{self.sip[1]}", self.sip[0]
        scans = [scan(*each, port, *target, folder=folder, timeout=PATIENCE) for each, port in zip(words, ports, strict=True)]
        # The calls come last: OPTIONS gets 503, too, while they have all lines, and sipvicious takes the change for a find.
        calls = scans.pop(3)
        found, register, options, password = await asyncio.gather(*scans)
        invite = await calls
        assert "| unknown " in found, found
        assert "method not allowed" in register, register
        assert "found nothing" in register, register
        for scanned in (options, invite):  # 503 while all lines are taken is "weird"; an extension is `noauth` or `reqauth`
            assert "auth" not in scanned.replace("| Authentication |", ""), scanned
        assert "found nothing" in password, password

    # --- media ------------------------------------------------------------------------------------------------------

    async def media(self) -> None:
        """Strangers on each socket of the talk."""
        first, last = map(int, self.house.rtp.split("-"))
        half = (first + last + 1) // 2
        line, desk = [], []
        for row in await self.house.processes():
            if row["role"] == "linecard":
                line += media_raid.media_ports(row["pid"], range(first, half))
            elif row["role"] == "deskcard":
                desk += media_raid.media_ports(row["pid"], range(half, last + 1))
        assert len(line) >= 4, "two legs with RTP and RTCP"
        assert desk, "a softphone, on each address of this machine"
        rtp, rtcp, chance = line[::2], line[1::2], self.chance
        answers, *_ = await asyncio.gather(
            Shower(desk, 300).throw(media_raid.strangers_stun(chance), 1200),
            Shower(desk, 200).throw(media_raid.strangers_dtls(chance), 800),
            Shower(desk, 200).throw(media_raid.strangers_srtp(chance), 800),
            Shower(rtp, 200).throw(media_raid.strangers_rtp(chance), 800),
            Shower(rtcp, 200).throw(media_raid.strangers_rtcp(chance), 800),
        )
        assert max(answers.values()) > 100, "STUN got there: a false credential is told so"

    # --- HTTP -------------------------------------------------------------------------------------------------------

    async def requests(self) -> None:
        """What is no request, or too much of one."""
        for sent, (status, code) in (await web_raid.bad_requests(self.http)).items():
            assert status == web_raid.BAD_REQUESTS[sent], sent[:60]
            assert code
        assert await web_raid.endless_head(self.http, 50) < 50 * web_raid.MEGABYTE

    async def sockets(self) -> None:
        """Desks with a log-in (the talking agent's own, and another's), one without, and the web caller's."""
        nobody = Sockets(self.http, DESK)
        await nobody.thrown_out(*["{}"] * 20)
        assert nobody.closed == {4401: 20}
        for path, name, most in ((DESK, "agent1", 15), (DESK, "agent2", 16), (WEB_CALL, "", 24)):
            raid = Sockets(self.http, path, await self.token(name) if name else "")
            await raid.odd()
            assert {"invalid", "unknown-type"} <= set(raid.errors)
            await raid.thrown_out(b"\x00binary", "x" * 200_000, b"y" * 1_000_000)
            assert raid.closed == {1003: 1, 1009: 2}
            async with raid.many(30) as kept:
                assert len(kept) == most, name
            assert raid.closed[1013] == 30 - most
            asks = [{"type": "ping"}, {"type": "nonsense"}, {"type": "digits", "digits": "x" * 100}]
            assert await raid.rush(asks, 1000, 1000) == 1000
        assert await web_raid.raw_frames(self.http, WEB_CALL, web_raid.random_frames(self.chance, 60)) == 60

    async def states(self) -> None:
        """An agent who cannot decide."""
        asks = [{"type": "set_state", "state": "idle", "code": "break"}, {"type": "set_state", "state": "available"}]
        asks += [{"type": "log_out"}]
        assert await Sockets(self.http, DESK, await self.token("agent2")).rush(asks, 300, 300) == 300

    async def token(self, name: str) -> str:
        async with self.house.api(name) as api:
            return str(api.headers["authorization"]).split()[1]


async def test_floods_on_every_port_while_two_talk_and_one_waits(tmp_path: Path) -> None:
    trunks = [{"name": "mad", "sources": [MAD_TRUNK], "max_calls": MAD_TRUNKS_LINES}]
    async with switchroom(tmp_path / "data", lines=LINES, environment={"SWITCHROOM_TRUNKS": json.dumps(trunks)}) as house:
        saved = tmp_path / "agent.wav"
        with stalls() as machine:
            agent = await house.agent("agent1", "--answer-after", "0.2", "--tone", str(AGENT_HZ), "--save", str(saved))
            await agent.event("available", timeout=PATIENCE)
            talking = await Caller.dial(house, tmp_path, "31", hz=CALLER_HZ, seconds=250)
            await agent.event("audio-in", timeout=PATIENCE)
            waiting = await Caller.dial(house, tmp_path, "32", hz=WAITER_HZ, seconds=250, early=False)
            await waiting.tool.event("digits-sent", timeout=PATIENCE)
            raid, before = Raid(house), await Standing.of(house)
            async with Crowd(raid.http) as silent, Crowd(raid.http, b"GET / HTTP/1.1\r\n", b"x: y\r\n") as slow:
                await raid.wave("calls and crowds", raid.calls(), silent.gather(300, 300), slow.gather(300, 300))
                await raid.wave("torture and media", raid.torture(), raid.media())
                await raid.wave("scans and web", raid.scans(tmp_path), raid.requests(), raid.sockets(), raid.states())
                await asyncio.wait_for(asyncio.gather(silent.all_gone(), slow.all_gone()), PATIENCE)
            after = await Standing.of(house)
            told(raid, before, after)
            assert after.pids == before.pids
            assert not after.accidents(before)
            assert max(after.grown(before).values()) < MOST_GROWTH, after.grown(before)
            assert max(after.logged(before).values()) < MOST_LOGGED, after.logged(before)

            new = await Caller.dial(house, tmp_path, "33", hz=660, seconds=250)
            answered = await new.tool.event("answered", timeout=PATIENCE)
            seconds = answered["t"] - (await new.tool.event("dialling"))["t"]
            print({"answered_after_s": round(seconds, 2)})
            assert seconds < 5
            await new.tool.event("digits-sent", timeout=PATIENCE)
            await talking.hang_up()
            assert (await agent.event("offer", count=2, timeout=PATIENCE))["ani"] == "32", "who waited keeps the place"
            for caller in (waiting, new):
                await caller.hang_up()
            await agent.stop()

            async def idle() -> bool:
                return bool((await house.status())["lines"]["used"] == 0)

            await house.until(idle, PATIENCE, "all lines free: the mad trunk's are given up after 32 s")
        print({"machine_stood_still_s": round(machine.longest, 3)})
        await heard_by_all(house, raid, talking, waiting, saved, machine.longest)


async def heard_by_all(house: Switchroom, raid: Raid, talking: Caller, waiting: Caller, saved: Path, stall: float) -> None:
    """The tones at both ends and in the recording never broke, the music went on, and the stranger was nowhere."""
    began, ended = raid.waves[0][1], raid.waves[-1][2]
    talk, music = talking.heard(), waiting.heard()
    for name, first, last in raid.waves:
        print({"wave": name, "seconds": round(last - first, 1), "missing": round(talk.gaps(AGENT_HZ, first, last), 1)})
    assert talk.gaps(AGENT_HZ, began, ended) < 0.02 * (ended - began)
    assert not [n for n in range(int(began), int(ended)) if music.power(n, n + 1.0) < -55], "music throughout"
    samples, rate = tones.load(saved)
    unbroken("agent", samples, rate, CALLER_HZ, stall)
    async with house.api() as api:

        async def recorded() -> Any:
            items = (await api.get("/api/v1/recordings", params={"number": "31"})).json()["items"]
            return items[0] if items and items[0]["state"] == "stored" else None

        recording = await house.until(recorded, PATIENCE, "stored recording")
        audio = await api.get(f"/api/v1/recordings/{recording['id']}/audio")
    samples, rate = soundfile.read(io.BytesIO(audio.content), always_2d=True)
    unbroken("recording, left", samples[:, 0], rate, CALLER_HZ, stall)
    unbroken("recording, right", samples[:, 1], rate, AGENT_HZ, stall)


def unbroken(where: str, samples: tones.Samples, rate: int, hz: float, stall: float) -> None:
    """From first to last the tone is there, and the stranger's never; `stall`: how long the machine stood still meanwhile."""
    most = LONGEST_BREAK + STALLS * stall / 0.1
    there = [level > -35 for _, level in tones.windows(samples, rate, hz)]
    there = there[there.index(True) : len(there) - there[::-1].index(True)]
    breaks = [len(list(group)) for missing, group in itertools.groupby(there, lambda heard: not heard) if missing]
    missed = [round(window / 10, 1) for window, heard in enumerate(there) if not heard]
    print({"where": where, "seconds": len(there) / 10, "missing": missed, "longest": max(breaks, default=0)})
    assert len(there) > 200, where
    assert max(breaks, default=0) <= most, f"{where}: {max(breaks)} windows, the machine stood still for {stall:.2f} s"
    assert sum(breaks) < 0.02 * len(there) + most - LONGEST_BREAK, where
    assert tones.heard(samples, rate, STRANGER_HZ, above=-50.0) < 0.3, where


def told(raid: Raid, before: Standing, after: Standing) -> None:
    """What the raid cost, for those who read the output."""
    print({"grown_MiB": {name: round(size / 2**20, 1) for name, size in after.grown(before).items() if size > 2**20}})
    print({"logged_bytes_a_second": {name: round(rate) for name, rate in after.logged(before).items() if rate > 100}})
    print({"descriptors": {name: count for name, count in after.opened(before).items() if count}})
    print({"accidents": after.accidents(before)[:5]})
