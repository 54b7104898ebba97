"""Reached from elsewhere: a switchroom behind a NAT, a browser out in the world by HTTPS, with and without a TURN server.

Everything that is measured here went through an address that is not this machine's loopback. Needs root and nft.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aioice.stun import TransactionFailed
from aioice.turn import create_turn_endpoint
from playwright.async_api import expect

from exchange.brain.ice import credentials
from exchange.certificates import check_certificate
from tests.tools.browser import MICROPHONE_HZ, Agent, Ears, asleep, chromium
from tests.tools.ears import Caller
from tests.tools.network import NotPermitted, World, world
from tests.tools.switchroom import PASSWORD, Switchroom

DIST = Path(__file__).parents[2] / "web" / "dist" / "index.html"

pytestmark = [pytest.mark.interop, pytest.mark.realtime, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

CALLER_HZ = 440
TURN_PORT = 3478
SECRET = "between coturn and us"
LINES = 4
KEEP_CONNECTIONS = """
    window.connections = [];
    window.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(...settings) { super(...settings); window.connections.push(this); }
    };
"""
PATH = """async () => {
    const stats = await window.connections.at(-1).getStats();
    const all = [...stats.values()];
    const pair = stats.get(all.find((one) => one.type === "transport").selectedCandidatePairId);
    const [local, remote] = [stats.get(pair.localCandidateId), stats.get(pair.remoteCandidateId)];
    return { local: local.candidateType, remote: remote.candidateType, address: remote.address, port: remote.port };
}"""


@pytest.fixture(scope="module")
def net() -> Iterator[World]:
    with contextlib.ExitStack() as stack:
        try:
            made = stack.enter_context(world())
        except NotPermitted as error:
            pytest.skip(str(error))
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def coturn(net: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """coturn as docs/network.md has it; its log."""
    if shutil.which("turnserver") is None:
        pytest.fail("coturn is missing: run `make setup-debian`.")
    folder = tmp_path_factory.mktemp("coturn")
    log = folder / "log"
    configuration = folder / "turnserver.conf"
    configuration.write_text(
        f"listening-port={TURN_PORT}\nlistening-ip={net.turn}\nrelay-ip={net.turn}\nuse-auth-secret\n"
        f"static-auth-secret={SECRET}\nrealm=switchroom\nmin-port=49160\nmax-port=49300\nfingerprint\nno-tls\nno-dtls\n"
        f"no-multicast-peers\nno-cli\nlog-file={log}\nsimple-log\nverbose\npidfile={folder / 'pid'}\n"
        f"userdb={folder / 'turndb'}\n"
    )
    process = await asyncio.create_subprocess_exec(
        *net.within("turn"),
        *("turnserver", "-c", str(configuration)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(15):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection(net.turn, TURN_PORT)
                    writer.close()
                    break
                await asyncio.sleep(0.1)
        yield log
    finally:
        process.terminate()
        await process.wait()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(net: World, coturn: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Switchroom]:
    """A switchroom behind the NAT, which the world knows by `--public`."""
    if not DIST.exists():
        pytest.fail("The pages are not built: run `make setup`, or `npm ci && npm run build` in web/.")
    data = tmp_path_factory.mktemp("behind") / "d"
    system = Switchroom(
        data,
        *("--public", net.public, "--allow", net.world),
        lines=LINES,
        environment={
            "SWITCHROOM_ICE_SERVERS": f"turn:{net.turn}:{TURN_PORT}?transport=udp",
            "SWITCHROOM_TURN_SECRET": SECRET,
        },
    )
    system.inside = net.within("in")
    system.listen, system.address = net.private, net.public
    system.url = f"https://{net.public}:{system.http}"
    net.forward(tcp=system.http, udp=system.sip, rtp=system.rtp)
    try:
        await system.start()
        yield system
    finally:
        await system.stop()


@contextlib.asynccontextmanager
async def talking(net: World, house: Switchroom, folder: Path, number: str) -> AsyncIterator[tuple[Agent, Caller]]:
    """An agent's browser out in the world and a caller, who hear each other."""
    async with chromium(folder, executable=net.chromium(folder)) as browser:
        agent = await Agent.come(browser, house, "agent1", "/")
        await agent.page.add_init_script(KEEP_CONNECTIONS)
        await agent.page.reload()
        caller: Caller | None = None
        try:
            await agent.softphone("ready")
            await agent.available()
            caller = await Caller.dial(house, folder, number, hz=CALLER_HZ)
            await agent.at("offer").wait_for(timeout=30_000)
            await agent.page.keyboard.press("F2")
            await agent.call(state="talking")
            await agent.hears(CALLER_HZ)
            await caller.hears(MICROPHONE_HZ)
            yield agent, caller
        finally:
            if caller is not None:
                await caller.tool.stop()
            await agent.leave()


async def path_of(agent: Agent) -> dict[str, Any]:
    """The pair of candidates that the browser's media takes."""
    found: dict[str, Any] = await agent.page.evaluate(PATH)
    return found


def sockets(pid: int) -> set[tuple[str, int]]:
    """The UDP sockets of a process that hear anybody (no connected ones), in whatever namespace: address and port."""
    own = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            own.add(os.readlink(descriptor))
    found = set()
    for line in Path(f"/proc/{pid}/net/udp").read_text().splitlines()[1:]:
        words = line.split()
        if f"socket:[{words[9]}]" in own and words[2] == "00000000:0000":
            address, port = words[1].split(":")
            found.add((".".join(str(byte) for byte in reversed(bytes.fromhex(address))), int(port, 16)))
    return found


async def test_the_screen_tells_where_and_that_browsers_will_warn(house: Switchroom, net: World) -> None:
    screen = house.data / "serve.out"
    await house.until(lambda: "Stop  " in screen.read_text(), 30, "last line of the screen")
    said = screen.read_text()
    assert f"https://{net.private}:{house.http}/desk" in said
    assert f"https://{net.public}:{house.http}/desk" in said
    assert f"sip:5000@{net.public}:{house.sip}" in said
    assert "browsers warn of it once" in said
    fingerprint = check_certificate(house.data / "keys" / "switchroom.crt", house.data / "keys" / "switchroom.key").fingerprint
    assert fingerprint.replace(":", "") in re.sub(r"[^0-9A-F]", "", said)


async def test_https_by_our_own_certificate_and_nothing_without(house: Switchroom, net: World) -> None:
    async with house.api("agent1") as api:
        assert (await api.get("/health")).json()["ok"]
        answer = await api.post("/api/v1/login", json={"name": "agent1", "password": PASSWORD})
        assert "; Secure" in answer.headers["set-cookie"]
        assert "strict-transport-security" not in answer.headers
    context = ssl.create_default_context()
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.open_connection(net.public, house.http, ssl=context)
    reader, writer = await asyncio.open_connection(net.public, house.http)
    writer.write(f"GET /desk HTTP/1.1\r\nHost: {net.public}:{house.http}\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    writer.close()
    assert head.startswith("HTTP/1.1 308")
    assert f"location: {house.url}/desk" in head


async def test_a_browser_beyond_the_nat_talks_both_ways(house: Switchroom, net: World, tmp_path: Path) -> None:
    async with talking(net, house, tmp_path, "4930701") as (agent, caller):
        assert agent.page.url.startswith(f"https://{net.public}:")
        assert await agent.page.evaluate("isSecureContext")
        taken = await path_of(agent)
        assert taken["local"] != "relay"
        assert taken["address"] == net.public

        # Every socket that hears the world is in the card's share of --rtp, which is all that a firewall lets through.
        first, last = (int(end) for end in house.rtp.split("-"))
        middle = (first + last) // 2 + 1
        shares = {"linecard": range(first, middle), "deskcard": range(middle, last + 1)}
        talks: dict[str, int] = {}
        for role, share in shares.items():
            for process in await house.processes(role):
                heard = {found for found in sockets(process["pid"]) if not found[0].startswith("127.")}
                assert all(port in share for _, port in heard), (process, heard, share)
                talks[role] = talks.get(role, 0) + len(heard)
        assert talks["linecard"] >= 2, "RTP and RTCP of the call"
        assert talks["deskcard"] >= 1
        assert taken["port"] in shares["deskcard"]

        await caller.hang_up()
        await agent.at("wrapup").wait_for()
    assert not agent.complaints


async def test_another_network_and_a_sleep_in_one_talk(house: Switchroom, net: World, tmp_path: Path) -> None:
    async with talking(net, house, tmp_path, "4930705") as (agent, caller):
        await Ears.open(agent.page, CALLER_HZ)
        unplugged = time.monotonic()
        net.unplug()
        music = await caller.hears_other(MICROPHONE_HZ, after=unplugged)
        await agent.hears_nothing()
        net.plug(net.elsewhere)
        await agent.hears(CALLER_HZ)
        again = await caller.hears(MICROPHONE_HZ, after=music["t"])
        await agent.softphone("ready")
        await house.until(lambda: time.monotonic() - again["t"] > 1.0, 5, "a second of talk")

        slept = time.monotonic()
        with asleep():
            music = await caller.hears_other(MICROPHONE_HZ, after=slept)
            await house.until(lambda: time.monotonic() - slept > 8, 20, "eight seconds of sleep")
        woke = time.monotonic()
        again = await caller.hears(MICROPHONE_HZ, after=music["t"])
        await house.until(lambda: time.monotonic() - again["t"] > 1.0, 5, "a second of talk")
        await agent.hears(CALLER_HZ)
        await agent.softphone("ready")
        await agent.call(state="talking")
        ears = await Ears.of(agent.page)
        await caller.hang_up()
        await agent.at("wrapup").wait_for()

    heard = caller.heard()
    for what, gone, there in (("network", unplugged, ears.online[-1]), ("sleep", slept, woke)):
        silent, replaced = heard.replaced(MICROPHONE_HZ, gone)
        assert replaced - silent < 3.0, f"{what}: music after {replaced - silent:.2f} s"
        caller_hears = heard.since(MICROPHONE_HZ, there, seconds=0.6)
        assert caller_hears is not None
        agent_hears = ears.back(there)
        spent = max(caller_hears, agent_hears) - there
        print(f"{what}: music {replaced - silent:.2f}, caller {caller_hears - there:.2f}, agent {agent_hears - there:.2f}")
        assert spent < 2.0 + ears.held_up(there, there + spent), f"{what}: both heard each other after {spent:.2f} s"


async def test_the_agent_hangs_up_and_the_caller_beyond_the_nat_hears_of_it(
    house: Switchroom, net: World, tmp_path: Path
) -> None:
    async with talking(net, house, tmp_path, "4930702") as (agent, caller):
        await agent.page.keyboard.press("F4")
        await agent.at("wrapup").wait_for()
        summary = await caller.tool.end(20)
        assert summary["answered"]


async def test_switchroom_agent_works_by_https(house: Switchroom) -> None:
    refused = await house.agent("agent2", "--seconds", "5")
    assert (await refused.event("error"))["code"] == "unreachable"
    await refused.stop()
    agent = await house.agent("agent2", "--no-verify", "--tone", "880", "--contacts", "1")
    await agent.event("available")
    call = await house.call("--digits", "1", "--tone", str(CALLER_HZ), "--seconds", "12", "--caller", "4930703")
    ended = await agent.event("contact-ended", timeout=60)
    assert abs(ended["heard_hz"] - CALLER_HZ) < 5
    await call.end(30)
    await agent.end()


async def test_each_user_gets_turn_credentials_that_end(house: Switchroom, net: World) -> None:
    servers = {}
    for user in ("agent1", "agent2"):
        async with house.api(user) as api:
            (servers[user],) = (await api.get("/api/v1/ice")).json()["ice_servers"]
    own = servers["agent1"]
    ends, name = own["username"].split(":")
    assert name == "agent1"
    assert 12 * 3600 < int(ends) - time.time() <= 13 * 3600
    assert servers["agent2"]["credential"] != own["credential"]

    async def allocate(username: str, credential: str) -> None:
        transport, _ = await create_turn_endpoint(
            asyncio.DatagramProtocol, server_addr=(net.turn, TURN_PORT), username=username, password=credential
        )
        transport.close()

    await allocate(own["username"], own["credential"])
    for username, credential in (
        credentials(SECRET, "agent1", int(time.time()) - 5),
        credentials("another secret", "agent1", int(ends)),
        (own["username"].replace("agent1", "agent2"), own["credential"]),
    ):
        with pytest.raises(TransactionFailed) as caught:
            await allocate(username, credential)
        assert caught.value.response.attributes["ERROR-CODE"][0] == 401


async def test_a_browser_that_reaches_only_the_turn_server_talks_both_ways(
    house: Switchroom, net: World, coturn: Path, tmp_path: Path
) -> None:
    net.only_turn(TURN_PORT)
    async with talking(net, house, tmp_path, "4930704") as (agent, caller):
        taken = await path_of(agent)
        assert taken["local"] == "relay"
        assert net.refused() > 0, "the browser has tried the direct way"
        await agent.page.keyboard.press("F8")
        await agent.hears_nothing()
        await agent.page.keyboard.press("F8")
        await agent.hears(CALLER_HZ)
        await caller.hears(MICROPHONE_HZ)
        await agent.page.keyboard.press("F4")
        await expect(agent.at("wrapup")).to_be_visible()
    log = coturn.read_text()
    assert re.search(r"user <\d+:agent1>", log), "with the agent's own credentials"
    assert re.search(r"user <\d+:deskcard\d+>", log), "and the desk card with its own"
