"""Somebody calls from the browser: no login, a key pad, music, an agent; both directions measured, every refusal a sentence."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import pytest
import pytest_asyncio
import soundfile
from playwright.async_api import Browser, WebSocketRoute, expect
from websockets.asyncio.client import connect

from tests.e2e.conftest import MOST_WEB_CALLS, WEB_CALLS_A_MINUTE
from tests.tools import tones
from tests.tools.browser import LEVEL, LOUD, MICROPHONE_HZ, SHOTS, TONE, Person, chromium
from tests.tools.ears import Caller
from tests.tools.switchroom import Switchroom

ROOT = Path(__file__).parents[2]
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"

pytestmark = [pytest.mark.interop, pytest.mark.realtime, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

AGENT_HZ = 880
NOTES = [440 * 2 ** ((midi - 69) / 12) for midi in (60, 62, 64, 65, 67, 69, 71, 72, 74, 76)]
"""What the arpeggio of the music on hold is made of."""
SIZES = {"wide": (1280, 800), "phone": (390, 844)}


class WebCaller(Person):
    """A customer with a browser, on the page for callers."""

    @classmethod
    async def arrive(cls, browser: Browser, house: Switchroom, path: str = "/call", *, size: str = "wide") -> Self:
        width, height = SIZES[size]
        context = await browser.new_context(base_url=house.url, viewport={"width": width, "height": height})
        caller = cls(context, "web caller")
        await (await caller.tab()).goto(path)
        return caller

    async def dial(self, name: str = "") -> None:
        """Press the button."""
        if name:
            await self.at("caller-name").fill(name)
        await self.at("caller-call").click()

    async def phase(self, phase: str, timeout: float = 20.0, **attributes: str) -> None:
        """Wait for a state of the call."""
        for key, value in {"phase": phase, **attributes}.items():
            await expect(self.at("caller-panel")).to_have_attribute(f"data-{key}", value, timeout=timeout * 1000)

    async def ended(self, *words: str) -> None:
        """The call is over, and the page says why."""
        await self.phase("ended")
        for word in words:
            await expect(self.at("caller-ended")).to_contain_text(word)

    async def back(self, timeout: float = 60.0) -> None:
        """Wait until the page has found the exchange again."""
        await expect(self.at("caller-away")).to_have_count(0, timeout=timeout * 1000)
        self.pardon()

    async def hears(self, hz: float, timeout: float = 15.0) -> None:
        await self._until(f"hz => Math.abs({TONE} - hz) < 3 && {LEVEL} > {LOUD}", hz, timeout)

    async def hears_something(self, timeout: float = 15.0) -> None:
        await self._until(f"() => {LEVEL} > {LOUD}", None, timeout)

    async def hears_music(self, timeout: float = 25.0) -> None:
        """Wait for three different notes of the music."""
        script = f"""notes => {{
            const tone = {TONE};
            const note = notes.findIndex(hz => Math.abs(tone - hz) < 4);
            window.notes ??= new Set();
            if (note >= 0 && {LEVEL} > {LOUD}) window.notes.add(note);
            return window.notes.size >= 3;
        }}"""
        await self._until(script, NOTES, timeout)

    async def _until(self, condition: str, value: Any, timeout: float) -> None:
        try:
            await self.page.wait_for_function(condition, arg=value, timeout=timeout * 1000, polling=50)
        except Exception as error:
            heard = await self.page.evaluate(f"[{TONE}, {LEVEL}]")
            raise AssertionError(f"the page hears {heard[0]:.0f} Hz at {heard[1]:.0f} dBFS, not: {condition}") from error

    async def shot(self, name: str) -> None:
        """The page as it is now, in both sizes."""
        if SHOTS:
            before = self.page.viewport_size
            for size, (width, height) in SIZES.items():
                await self.page.set_viewport_size({"width": width, "height": height})
                await super().shot(f"caller-{name}-{size}")
            if before is not None:
                await self.page.set_viewport_size(before)

    async def accessible(self) -> None:
        """Nothing that axe complains of."""
        await self.page.evaluate(AXE.read_text())
        found = await self.page.evaluate("async () => (await axe.run()).violations.map(v => [v.id, v.nodes.map(n => n.html)])")
        assert not found, json.dumps(found, indent=1)


class Stage:
    """The house and everybody in it; at the end all go home, and no page may have complained."""

    def __init__(self, browser: Browser, house: Switchroom) -> None:
        self.browser = browser
        self.house = house
        self.people: list[WebCaller] = []

    async def caller(self, path: str = "/call", *, browser: Browser | None = None, size: str = "wide") -> WebCaller:
        caller = await WebCaller.arrive(browser or self.browser, self.house, path, size=size)
        self.people.append(caller)
        return caller

    async def contact(self, ani: str) -> dict[str, Any]:
        """The ended contact of this caller."""
        async with self.house.api() as api:

            async def found() -> dict[str, Any] | None:
                items = (await api.get("/api/v1/contacts")).json()["items"]
                mine = [i for i in items if i["ani"] == ani]
                assert len(mine) <= 1, mine
                contact = (await api.get(f"/api/v1/contacts/{mine[0]['id']}")).json() if mine and mine[0]["final"] else None
                return contact if contact is not None and all(leg["ended"] for leg in contact["legs"]) else None

            contact: dict[str, Any] = await self.house.until(found, 20, f"ended contact of {ani}")
            return contact

    async def home(self) -> None:
        for person in self.people:
            await person.leave()
        for tool in self.house.tools:
            await tool.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    if not (ROOT / "web" / "dist" / "index.html").exists():
        pytest.fail("The pages are not built: run `make setup`, or `npm ci && npm run build` in web/.")
    async with chromium(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def stage(browser: Browser, house: Switchroom) -> AsyncIterator[Stage]:
    stage = Stage(browser, house)
    yield stage
    await stage.home()
    complaints = [words for person in stage.people for words in person.complaints]
    assert not complaints


async def test_a_web_caller_waits_with_music_talks_and_is_recorded(stage: Stage) -> None:
    agent = await stage.house.agent("agent1", "--answer-after", "7", "--tone", str(AGENT_HZ), "--contacts", "1")
    await agent.event("available")
    caller = await stage.caller("/login")
    await caller.page.get_by_role("link", name="Call us from the browser").click()
    await expect(caller.at("caller-number")).to_have_value("5000")
    await caller.shot("form")
    await caller.accessible()
    pressed = time.monotonic()
    await caller.dial("Jane")
    await caller.phase("connected", talking="false")
    connected = time.monotonic()
    await caller.hears_something()
    await expect(caller.at("caller-state")).to_have_text("Connected")
    await caller.shot("flow")
    await caller.accessible()
    await caller.at("digit-1").click()
    await expect(caller.at("digits-sent")).to_have_text("1")
    assert (await agent.event("offer"))["ani"] == "Jane"
    await caller.hears_music()
    await caller.phase("connected", talking="false")
    await caller.phase("connected", talking="true")
    await caller.hears(AGENT_HZ)
    await expect(caller.at("caller-state")).to_contain_text("agent")
    await expect(caller.at("caller-timer")).to_have_text(re.compile(r"0:[0-5]\d"))
    await caller.shot("talking")
    talked = time.monotonic()
    await stage.house.until(lambda: time.monotonic() - talked > 2.5, 5, "2.5 s of talk")
    await caller.at("caller-hangup").click()
    await caller.ended("You hung up.")
    await expect(caller.page.get_by_text("It lasted")).to_be_visible()
    await caller.shot("hung-up")
    await caller.accessible()
    await agent.end(20)
    end = await agent.event("contact-ended")
    assert abs(end["heard_hz"] - MICROPHONE_HZ) < 15, end
    print(f"\n  web call: button to connected {connected - pressed:.2f} s")
    assert await caller.page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0

    contact = await stage.contact("Jane")
    assert contact["final"] == "handled"
    assert contact["dnis"] == "5000"
    assert {leg["kind"] for leg in contact["legs"]} == {"webrtc"}, contact["legs"]
    assert len(contact["legs"]) == 2
    assert "remote-hangup" in {leg["reason"] for leg in contact["legs"]}, contact["legs"]
    assert all(leg["quality"]["mos"] > 4 for leg in contact["legs"]), contact["legs"]
    await both_sides_recorded(stage.house, contact["id"])


async def both_sides_recorded(house: Switchroom, contact: str) -> None:
    """The web caller is on the left, the agent on the right."""
    async with house.api() as api:

        async def stored() -> dict[str, Any] | None:
            items = (await api.get("/api/v1/recordings")).json()["items"]
            return next((i for i in items if i["contact"] == contact and i["state"] == "stored"), None)

        recording = await house.until(stored, 30, "stored recording")
        audio = await api.get(f"/api/v1/recordings/{recording['id']}/audio")
    samples, rate = soundfile.read(io.BytesIO(audio.content), always_2d=True)
    late = slice(-int(1.5 * rate), -int(0.3 * rate))
    for own, other, channel in ((MICROPHONE_HZ, AGENT_HZ, samples[late, 0]), (AGENT_HZ, MICROPHONE_HZ, samples[late, 1])):
        assert tones.level(channel, rate, own) > -35
        assert tones.level(channel, rate, other) < tones.level(channel, rate, own) - 25


async def test_the_agent_hangs_up_and_the_caller_calls_again_by_phone(stage: Stage) -> None:
    agent = await stage.house.agent(
        "agent1", "--answer-after", "0.2", "--tone", str(AGENT_HZ), "--hang-up-after", "4", "--contacts", "1"
    )
    await agent.event("available")
    caller = await stage.caller("/call/5000", size="phone")
    await caller.dial("Phone")
    await caller.phase("connected")
    await caller.hears_something()
    await caller.page.keyboard.press("1")
    await expect(caller.at("digits-sent")).to_have_text("1")
    await caller.phase("connected", talking="true")
    await caller.hears(AGENT_HZ)
    await caller.at("caller-mute").click()
    await caller.phase("connected", muted="true")
    await caller.shot("muted")
    await caller.ended("Thank you for calling.")
    await caller.shot("ended")
    await agent.end(20)
    await caller.at("caller-again").click()
    await caller.phase("connected", talking="false")
    await caller.hears_something()
    await expect(caller.at("digits-sent")).not_to_contain_text("1")
    await caller.at("caller-hangup").click()
    await caller.ended("You hung up.")
    await caller.at("caller-back").click()
    await expect(caller.at("caller-name")).to_have_value("Phone")

    async def nobody() -> bool:
        return not (await stage.house.status())["contacts"]

    await stage.house.until(nobody, 10, "end of all contacts")


async def test_a_closed_page_ends_its_contact_and_no_other(stage: Stage, tmp_path: Path) -> None:
    first = await stage.house.agent("agent1", "--answer-after", "0.2", "--tone", str(AGENT_HZ))
    await first.event("available")
    caller = await stage.caller()
    await caller.dial("Closing")
    await caller.phase("connected")
    await caller.hears_something()
    await caller.at("digit-1").click()
    await caller.hears(AGENT_HZ, timeout=20)
    second = await stage.house.agent("agent2", "--answer-after", "0.2", "--tone", "700")
    await second.event("available")
    sip = await Caller.dial(stage.house, tmp_path, "4930700")
    await sip.hears(700, timeout=30)
    await caller.hears(AGENT_HZ)
    closed = time.monotonic()
    await caller.page.close()

    async def gone() -> bool:
        return len((await stage.house.status())["contacts"]) == 1

    await stage.house.until(gone, 10, "end of the web caller's contact")
    print(f"\n  page closed to contact gone {time.monotonic() - closed:.2f} s")
    await stage.house.until(lambda: time.monotonic() - closed > 1.5, 5, "1.5 s of the other call")
    await sip.hang_up()
    contact = await stage.contact("Closing")
    assert contact["final"] == "handled"
    heard = sip.heard()
    assert heard.gaps(700, closed - 0.1, closed + 1.4) == 0, "the other call is not touched"


async def test_each_step_on_the_way_is_said(stage: Stage) -> None:
    caller = await stage.caller()
    connecting, ringing = asyncio.Event(), asyncio.Event()

    def held(page: WebSocketRoute) -> None:
        """Lets the exchange's answer through when told to, its news later still."""
        server = page.connect_to_server()

        async def later(event: asyncio.Event, message: str | bytes) -> None:
            await event.wait()
            page.send(message)

        def answered(message: str | bytes) -> None:
            answer = json.loads(message)
            event = connecting if "sdp" in answer.get("result", {}) else ringing if "talking" in answer else None
            if event is None:
                page.send(message)
            else:
                held_back.append(asyncio.ensure_future(later(event, message)))

        server.on_message(answered)

    held_back: list[asyncio.Future[None]] = []
    await caller.page.route_web_socket("**/web-call", held)
    await caller.dial()
    await caller.phase("connecting")
    await expect(caller.at("caller-state")).to_have_text("Connecting …")
    await expect(caller.at("digit-1")).to_be_disabled()
    await caller.shot("connecting")
    await caller.accessible()
    connecting.set()
    await caller.phase("ringing")
    await expect(caller.at("caller-state")).to_have_text("Ringing …")
    await caller.shot("ringing")
    ringing.set()
    await caller.phase("connected")
    await caller.at("caller-hangup").click()
    await caller.ended("You hung up.")
    await asyncio.gather(*held_back)


async def test_an_unknown_number_is_said(stage: Stage) -> None:
    caller = await stage.caller("/call/5999")
    await caller.at("caller-number").fill("")
    await caller.at("caller-call").click()
    await expect(caller.page.get_by_text("Please enter the number")).to_be_visible()
    await caller.shot("no-number")
    await caller.at("caller-number").fill("5999")
    await caller.dial()
    await caller.ended("This number cannot be called from the web.")
    await caller.shot("unknown-number")
    await caller.accessible()


async def test_a_denied_microphone_is_said_at_once(stage: Stage, tmp_path: Path) -> None:
    async with chromium(tmp_path, microphone=False) as denied:
        caller = await stage.caller(browser=denied)
        pressed = time.monotonic()
        await caller.dial()
        await caller.ended("The microphone is not allowed", "allow the microphone for this page")
        assert time.monotonic() - pressed < 2.0
        await caller.shot("microphone-denied")
        await caller.accessible()
        await caller.leave()
    assert not (await stage.house.status())["contacts"]


async def test_more_web_callers_than_allowed_hear_that_all_lines_are_busy(stage: Stage) -> None:
    callers = [await stage.caller() for _ in range(MOST_WEB_CALLS)]
    for caller in callers:
        await caller.dial()
    for caller in callers:
        await caller.phase("connected")
    late = await stage.caller()
    await late.dial()
    await late.ended("All lines are busy")
    await late.shot("busy")
    await callers[0].at("caller-hangup").click()
    await callers[0].ended()

    async def room() -> bool:
        return len((await stage.house.status())["contacts"]) < MOST_WEB_CALLS

    await stage.house.until(room, 10, "room for one more")
    await late.at("caller-again").click()
    await late.phase("connected")


async def test_a_killed_exchange_costs_nobody_a_call(stage: Stage, tmp_path: Path) -> None:
    """First in the menu, where a key that is pressed while it is away counts, then in a talk."""
    heard = tmp_path / "agent.wav"
    agent = await stage.house.agent("agent1", "--answer-after", "0.2", "--tone", str(AGENT_HZ), "--save", str(heard))
    await agent.event("available")
    caller = await stage.caller()
    await caller.dial("Killed")
    await caller.phase("connected")
    await caller.hears_something()
    killed = time.monotonic()
    await stage.house.kill("exchange")
    await caller.at("caller-away").wait_for()
    await caller.at("digit-1").click()
    await caller.shot("away")
    await caller.accessible()
    await caller.back()
    in_menu = time.monotonic() - killed
    await caller.phase("connected", talking="true")
    await caller.hears(AGENT_HZ)
    await caller.page.evaluate(f"window.samples = []; setInterval(() => samples.push([{TONE}, {LEVEL}]), 100)")
    await stage.house.kill("exchange")
    await caller.at("caller-away").wait_for()
    await caller.phase("connected", talking="true")
    await caller.back()
    samples = await caller.page.evaluate("window.samples")
    wrong = [tone for tone, level in samples if abs(tone - AGENT_HZ) > 3 or level < LOUD]
    assert len(samples) > 5
    assert len(wrong) <= len(samples) / 20, f"the caller hears the agent throughout, but {len(wrong)} times of {len(samples)}"
    await caller.phase("connected", talking="true")
    since = time.monotonic()
    await stage.house.until(lambda: time.monotonic() - since > 2, 5, "2 s of talk after it")
    await caller.hears(AGENT_HZ)
    await caller.at("caller-hangup").click()
    await caller.ended("You hung up.")
    await agent.event("contact-ended")
    await agent.stop()
    contact = await stage.contact("Killed")
    print(f"\n  exchange killed in the menu: page back after {in_menu:.1f} s")
    assert contact["final"] == "handled"
    assert [leg["kind"] for leg in contact["legs"]] == ["webrtc"] * 2, contact["legs"]
    assert "remote-hangup" in {leg["reason"] for leg in contact["legs"]}, contact["legs"]
    assert all(leg["quality"]["mos"] > 3.5 for leg in contact["legs"]), contact["legs"]
    sound, rate = tones.load(heard)
    late = tones.mono(sound)[-int(1.8 * rate) : -int(0.3 * rate)]
    assert tones.level(late, rate, MICROPHONE_HZ) > -45
    await both_sides_recorded(stage.house, contact["id"])


async def test_a_broken_connection_is_mended_and_a_hang_up_needs_none(stage: Stage) -> None:
    """The WebSocket breaks on both sides; later the caller hangs up while there is no exchange to tell it to."""
    caller = await stage.caller()
    sockets: list[WebSocketRoute] = []

    def through(page: WebSocketRoute) -> None:
        sockets.extend((page, page.connect_to_server()))

    await caller.page.route_web_socket("**/web-call", through)
    await caller.dial("Broken")
    await caller.phase("connected")
    await caller.hears_something()
    for socket in tuple(sockets):
        await socket.close(code=3000)
    await caller.at("caller-away").wait_for()
    await caller.back()
    assert len(sockets) == 4, "one new socket for the page, one for the exchange"
    await caller.at("digit-2").click()
    await expect(caller.at("digits-sent")).to_have_text("2")

    async def in_queue() -> bool:
        contacts = (await stage.house.status())["contacts"]
        return [c["activity"] for c in contacts] != ["menu"] and len(contacts) == 1

    await stage.house.until(in_queue, 15, "the key's effect")
    await stage.house.kill("exchange")
    await caller.at("caller-away").wait_for()
    await caller.at("caller-hangup").click()
    await caller.ended("You hung up.")
    caller.pardon()
    await stage.house.until(stage.house.healthy, 60, "health")
    contact = await stage.contact("Broken")
    assert {leg["reason"] for leg in contact["legs"]} == {"remote-hangup"}, "the closed connection says it, no patience ran out"


async def test_a_foreign_page_cannot_call(stage: Stage) -> None:
    url = stage.house.url.replace("http", "ws") + "/api/v1/web-call"
    with pytest.raises(Exception, match="403"):
        async with connect(url, origin="https://evil.example"):  # type: ignore[arg-type]
            pass


async def test_too_many_calls_in_a_minute_are_refused_with_a_sentence(stage: Stage) -> None:
    """Last: the address that all these callers have is refused from here on."""
    url = stage.house.url.replace("http", "ws") + "/api/v1/web-call"
    codes: list[str] = []
    for n in range(WEB_CALLS_A_MINUTE + 1):
        async with connect(url) as socket, asyncio.timeout(5):
            start = {"type": "start", "id": n, "entry_point": "5000", "name": "", "sdp": "no offer"}
            await socket.send(json.dumps(start))
            while (answer := json.loads(await socket.recv()))["type"] != "reply":
                pass
        assert not answer["ok"]
        codes.append(answer["error"]["code"])
        if codes[-1] == "too-many-calls":
            break
    assert codes[-1] == "too-many-calls", codes
    caller = await stage.caller()
    await caller.dial()
    await caller.ended("Too many calls from your address", "wait a minute")
    await caller.shot("too-many")
    # SIP callers are not counted with them.
    tool = await stage.house.call("--seconds", "3")
    assert (await tool.end(30))["answered"]
    with contextlib.suppress(TimeoutError):
        await tool.stop()
