"""The agent works in a real browser, against the real system: what each side hears is measured, not believed."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import soundfile
from playwright.async_api import Browser, Page, expect

from tests.tools import tones
from tests.tools.browser import MICROPHONE_HZ, Agent, Person, chromium, loaded
from tests.tools.ears import SURE, Caller
from tests.tools.switchroom import PASSWORD, Switchroom

DIST = Path(__file__).parents[2] / "web" / "dist" / "index.html"

AXE = DIST.parents[1] / "node_modules" / "axe-core" / "axe.min.js"

pytestmark = [pytest.mark.interop, pytest.mark.realtime, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

CALLER_HZ = 440
MARKS = 0.04
"""Seconds by which the marks of a pause may miss the silence in the sound: a frame each way, and what Opus smears."""


class Stage:
    """Who takes part in a test; at its end all go home, and no page may have complained."""

    def __init__(self, browser: Browser, folder: Path) -> None:
        self.browser = browser
        self.folder = folder
        self.people: list[Person] = []
        self.callers: list[Caller] = []

    async def agent(self, house: Switchroom, name: str = "agent1", *, browser: Browser | None = None, shot: str = "") -> Agent:
        """An agent at the desk."""
        agent = await Agent.come(browser or self.browser, house, name, "/", shot=shot)
        self.people.append(agent)
        return agent

    async def supervisor(self, house: Switchroom) -> Person:
        """A supervisor at the records."""
        person = await Person.come(self.browser, house, "supervisor", "/")
        self.people.append(person)
        return person

    async def caller(self, house: Switchroom, number: str) -> Caller:
        """Somebody who dials, presses 1 and hums."""
        caller = await Caller.dial(house, self.folder, number, hz=CALLER_HZ)
        self.callers.append(caller)
        return caller

    async def talk(self, house: Switchroom, number: str) -> tuple[Agent, Caller]:
        """An agent and a caller who hear each other."""
        agent = await self.agent(house)
        await agent.softphone("ready")
        await agent.available()
        caller = await self.caller(house, number)
        await agent.at("offer").wait_for(timeout=30_000)
        await agent.page.keyboard.press("F2")
        await agent.call(state="talking")
        await agent.hears(CALLER_HZ)
        await caller.hears(MICROPHONE_HZ)
        return agent, caller

    async def home(self) -> None:
        """Callers hang up, agents log out, browsers close."""
        for caller in self.callers:
            await caller.tool.stop()
        for person in self.people:
            await person.leave()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    if not DIST.exists():
        pytest.fail("The pages are not built: run `make setup`, or `npm ci && npm run build` in web/.")
    async with chromium(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def stage(browser: Browser, tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Stage(browser, tmp_path)
    yield stage
    await stage.home()
    complaints = [f"{person.name}: {words}" for person in stage.people for words in person.complaints]
    assert not complaints


def told(what: str, **seconds: float) -> None:
    """Print what was measured (`pytest -s` shows it)."""
    print(f"\n  {what}: " + ", ".join(f"{name.replace('_', ' ')} {value:.2f} s" for name, value in seconds.items()))


async def test_a_call_by_keyboard_with_mute_hold_and_digits(house: Switchroom, stage: Stage) -> None:
    agent = await stage.agent(house, shot="login")
    await agent.softphone("ready")
    await expect(agent.page.get_by_text("The microphone hears you.")).to_be_visible()
    await agent.shot("desk-idle")
    await agent.available()
    await agent.shot("desk-available")
    caller = await stage.caller(house, "4930100")

    offer = agent.at("offer")
    await expect(offer).to_contain_text("4930100", timeout=30_000)
    await expect(offer).to_contain_text("Sales")
    await agent.shot("offer")
    answered = time.monotonic()
    await agent.page.keyboard.press("F2")
    agent_hears = asyncio.ensure_future(agent.hears(CALLER_HZ))
    caller_hears = asyncio.ensure_future(caller.hears(MICROPHONE_HZ))
    first = (await caller_hears)["t"]
    await agent_hears
    told("answer pressed to sound", page_heard_the_caller=time.monotonic() - answered, caller_was_sure=first - answered)
    await agent.call(state="talking", held="false", muted="false", recording="on")
    await agent.shot("call")

    await agent.page.keyboard.press("F9")
    await agent.call(muted="true")
    mute = await caller.hears(0)
    await agent.hears(CALLER_HZ)
    await agent.shot("call-muted")
    unmuted = time.monotonic()
    await agent.page.keyboard.press("F9")
    await agent.call(muted="false")
    unmute = await caller.hears(MICROPHONE_HZ, after=unmuted)

    await agent.page.keyboard.press("F8")
    await agent.call(held="true")
    hold = await caller.hears_other(MICROPHONE_HZ)
    await agent.hears_nothing()
    await agent.shot("call-held")
    held_until = time.monotonic()
    await agent.page.keyboard.press("F8")
    await agent.call(held="false")
    resume = await caller.hears(MICROPHONE_HZ, after=held_until)
    await agent.hears(CALLER_HZ)

    await agent.at("call-digits").click()
    await agent.at("digit-5").click()
    await agent.at("digit-#").click()
    await agent.page.keyboard.press("9")
    await expect(agent.at("digits-sent")).to_have_text("5#9")
    await caller.tool.event("digit", count=3)
    assert [e["digit"] for e in caller.tool.events if e["event"] == "digit"] == ["5", "#", "9"]
    await agent.shot("call-digits")
    await agent.hears(CALLER_HZ)

    await agent.at("log-out").click()
    await expect(agent.at("notice")).to_contain_text("You are in a call")
    await agent.hears(CALLER_HZ)
    await agent.shot("log-out-refused")

    ended = time.monotonic()
    await agent.page.keyboard.press("F4")
    await agent.at("wrapup").wait_for()
    await agent.shot("wrapup")
    await expect(agent.at("wrapup")).to_contain_text("4930100")
    await expect(agent.at("wrapup-done")).to_be_disabled()
    await agent.at("wrapup-code-sold").click()
    await agent.at("wrapup-done").click()
    await agent.state("available")
    summary = await caller.tool.end()
    assert summary["answered"]
    assert summary["lost"] == 0, summary

    heard = caller.heard()
    assert heard.power(mute["t"], unmuted) < -60, "muted: silence"
    assert heard.level(MICROPHONE_HZ, unmute["t"] - SURE, unmute["t"]) > -30
    music = hold["t"], held_until
    assert heard.power(*music) > -35, "on hold: music"
    assert heard.level(MICROPHONE_HZ, *music) < -45, "on hold: nothing of the agent"
    assert heard.level(MICROPHONE_HZ, resume["t"] - SURE, resume["t"]) > -30
    async with house.api() as api:
        contact = await contact_of(house, api, "4930100")
        assert contact["wrap_up_code"] == "sold"
        told("call", hang_up_to_wrap_up_done=time.monotonic() - ended)


CHAT = """
contact: {entry_point: chat, customer: jo@example.org, name: Jo Miller, cad: {order: "4711"}}
steps:
  - wait: agent
  - say: Where is my parcel?
  - wait: answer
  - say: |-
      Thank you!
      <b>No markup</b>
  - wait: answer
"""


async def test_a_chat_and_words_of_a_supervisor(house: Switchroom, stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "chat.yaml").write_text(CHAT)
    agent = await stage.agent(house)
    await agent.softphone("ready")
    await agent.available()
    options = ("--server", house.url, "--password", PASSWORD, "--json")
    customer = await house.tool("loopback", str(tmp_path / "chat.yaml"), *options)
    await expect(agent.at("offer")).to_contain_text("Jo Miller", timeout=30_000)
    await expect(agent.at("offer")).to_contain_text("Incoming chat")
    await agent.shot("chat-offer")
    await agent.page.keyboard.press("F2")
    await expect(agent.at("message")).to_contain_text("Where is my parcel?")
    await expect(agent.at("conversations")).to_contain_text("4711")
    await agent.at("chat-text").fill("It comes today.")
    await agent.page.keyboard.press("Enter")
    await expect(agent.at("message")).to_have_count(3)
    await expect(agent.at("message").nth(2)).to_contain_text("<b>No markup</b>")
    await expect(agent.at("chat-text")).to_have_value("")
    assert (await customer.event("heard"))["text"] == "It comes today."
    async with house.api() as api:
        assert (await api.post("/api/v1/broadcasts", json={"text": "The lift is broken."})).status_code == 201
    await expect(agent.at("broadcast")).to_contain_text("The lift is broken.")
    await agent.shot("chat")
    await agent.page.get_by_label("Put the message of Supervisor away").click()
    await expect(agent.at("broadcast")).to_have_count(0)
    await agent.at("chat-park").click()
    await expect(agent.at("chat-text")).to_be_disabled()
    await agent.shot("chat-parked")
    await agent.at("chat-park").click()
    await expect(agent.at("chat-text")).to_be_enabled()
    await accessible(agent.page)
    await agent.page.reload(wait_until="load")
    await expect(agent.at("message")).to_have_count(3)
    await agent.at("chat-end").click()
    await agent.shot("chat-wrapup")
    await agent.at("chat-code").click()
    await agent.page.get_by_role("option", name="Solved").click()
    await agent.at("chat-done").click()
    await expect(agent.at("conversations")).to_have_count(0)
    assert (await customer.end())["finals"] == {"handled": 1}


async def accessible(page: Page) -> None:
    """No complaint of axe."""
    await page.evaluate(AXE.read_text())
    found = await page.evaluate("async () => (await axe.run()).violations.map(v => [v.id, v.nodes.map(n => n.html)])")
    assert found == []


async def contact_of(house: Switchroom, api: Any, number: str) -> dict[str, Any]:
    """The one contact with this number, once it has its final state."""

    async def found() -> dict[str, Any] | None:
        items = (await api.get("/api/v1/contacts", params={"number": number})).json()["items"]
        assert len(items) <= 1, items
        return (await api.get(f"/api/v1/contacts/{items[0]['id']}")).json() if items and items[0]["final"] else None

    contact: dict[str, Any] = await house.until(found, 20, f"ended contact {number}")
    return contact


async def test_a_recording_with_a_gap_is_found_seen_and_heard(house: Switchroom, stage: Stage, tmp_path: Path) -> None:
    agent, caller = await stage.talk(house, "4930200")
    paused = time.monotonic()
    await agent.at("call-record").click()
    await agent.call(recording="paused")
    await agent.shot("call-recording-paused")
    # The pause is long enough to be told from its edges; the parties hear each other meanwhile.
    await house.until(lambda: time.monotonic() - paused > 1.5, 5, "pause of 1.5 s")
    await agent.hears(CALLER_HZ)
    resumed = time.monotonic()
    await agent.at("call-record").click()
    await agent.call(recording="on")
    await house.until(lambda: time.monotonic() - resumed > 1.5, 5, "talk of 1.5 s")
    await caller.hang_up()
    await agent.at("wrapup").wait_for()

    supervisor = await stage.supervisor(house)
    await supervisor.at("recordings-table").wait_for()
    await supervisor.page.get_by_label("Number").fill("4930200")
    row = supervisor.at("recording-row")

    async def stored() -> bool:
        await supervisor.at("recordings-search-submit").click()
        await supervisor.page.wait_for_load_state("networkidle")
        return await row.count() == 1 and "stored" in await row.inner_text()

    if not await stored():
        await supervisor.page.reload()
    await house.until(lambda: reloaded(supervisor.page, row), 30, "stored recording on the page")
    await expect(row).to_contain_text("Sales")
    await expect(row).to_contain_text("Agent One")
    await supervisor.shot("recordings")
    await supervisor.at("recording-open").click()
    await supervisor.at("waveform").wait_for()
    await plays(supervisor.page)
    await supervisor.shot("player")

    async with supervisor.page.expect_download() as download:
        await supervisor.at("player-download").click()
    file = tmp_path / "download"
    name = (await download.value).suggested_filename
    await (await download.value).save_as(file)
    assert name.endswith((".ogg", ".opus", ".flac")), name
    samples, rate = soundfile.read(file, always_2d=True)
    left, right = samples[:, 0], samples[:, 1]
    async with house.api() as api:
        items = (await api.get("/api/v1/recordings", params={"number": "4930200"})).json()["items"]
        recording = (await api.get(f"/api/v1/recordings/{items[0]['id']}")).json()
    assert len(recording["paused"]) == 1, recording["paused"]
    gap = recording["paused"][0]
    assert abs(gap["end"] - gap["start"] - (resumed - paused)) < 0.5
    inside = slice(round((gap["start"] + 0.1) * rate), round((gap["end"] - 0.1) * rate))
    assert tones.power(left[inside]) < -60
    assert tones.power(right[inside]) < -60
    for channel in (left, right):
        begin, end = silence_around((gap["start"] + gap["end"]) / 2, channel, rate)
        told("gap's edges in the sound, after its marks", begin=begin - gap["start"], end=end - gap["end"])
        assert abs(begin - gap["start"]) < MARKS
        assert abs(end - gap["end"]) < MARKS
    after = slice(round((gap["end"] + 0.2) * rate), round((gap["end"] + 1.2) * rate))
    for own, other, channel in ((CALLER_HZ, MICROPHONE_HZ, left), (MICROPHONE_HZ, CALLER_HZ, right)):
        assert tones.level(channel[after], rate, own) > -35
        assert tones.level(channel[after], rate, other) < tones.level(channel[after], rate, own) - 25

    await supervisor.page.get_by_role("link", name="Contacts").click()
    await expect(supervisor.page.get_by_role("heading", name="Contacts", exact=True)).to_be_visible()
    await expect(supervisor.page.get_by_role("cell", name="4930200").first).to_be_visible()
    await supervisor.shot("contacts")


def silence_around(second: float, channel: Any, rate: int) -> tuple[float, float]:
    """Where the silence that holds this second begins and ends, to a thousandth."""
    size = rate // 1000
    loud = [tones.power(channel[i : i + 5 * size]) > -45 for i in range(0, len(channel) - 5 * size, size)]
    middle = round(second * 1000)
    begin = max(i for i in range(middle) if loud[i])
    end = min(i for i in range(middle, len(loud)) if loud[i])
    return begin / 1000, end / 1000


async def reloaded(page: Page, row: Any) -> bool:
    """Load the page, with its search, again; whether the one row says that the recording is there."""
    await page.reload(wait_until="networkidle")
    return await row.count() == 1 and "stored" in await row.inner_text()


async def plays(page: Page) -> None:
    """The waveform has something in both channels, and time passes while it plays."""
    drawn = await page.get_by_test_id("waveform").evaluate(
        """canvas => {
             const {width, height} = canvas, copy = new OffscreenCanvas(width, height);
             const context = copy.getContext("2d", {willReadFrequently: true});
             context.drawImage(canvas, 0, 0);
             const half = top => context.getImageData(0, top, width, Math.floor(height / 2)).data;
             return [0, Math.ceil(height / 2)].map(top => new Set(new Uint32Array(half(top).buffer)).size);
           }"""
    )
    assert all(colours > 2 for colours in drawn), drawn
    await page.get_by_test_id("player-play").click()
    await page.wait_for_function("() => document.querySelector('audio[src*=recordings]').currentTime > 1", timeout=10_000)
    await expect(page.get_by_test_id("player-time")).to_contain_text(re.compile(r"0:0[1-9] /"))


async def test_a_refresh_during_a_call_is_back_within_two_seconds(house: Switchroom, stage: Stage) -> None:
    agent, caller = await stage.talk(house, "4930300")
    since = await agent.at("call-timer").inner_text()
    reload = time.monotonic()
    await agent.page.reload(wait_until="load")
    at = await loaded(agent.page)
    await agent.hears(CALLER_HZ)
    page_heard = time.monotonic()
    await agent.softphone("ready")
    await agent.call(state="talking")
    await expect(agent.at("call-number")).to_have_text("4930300")
    assert await agent.at("call-timer").inner_text() >= since
    await caller.hears(MICROPHONE_HZ)
    await house.until(lambda: time.monotonic() - at > 4, 6, "four seconds of talk")
    await agent.page.keyboard.press("F4")
    await agent.at("wrapup").wait_for()
    await caller.tool.end()
    heard = caller.heard()
    caller_heard = heard.since(MICROPHONE_HZ, at - 0.5)
    assert caller_heard is not None
    gap = heard.gaps(MICROPHONE_HZ, reload - 0.5, at + 3)
    told("refresh, from the load event", agent_hears=page_heard - at, caller_hears=caller_heard - at, caller_missed=gap)
    assert page_heard - at < 2.0
    assert caller_heard - at < 2.0
    async with house.api() as api:
        contact = await contact_of(house, api, "4930300")
    assert contact["final"] == "handled"
    assert len(contact["segments"]) == 1


async def test_a_second_tab_takes_the_softphone(house: Switchroom, stage: Stage) -> None:
    agent, caller = await stage.talk(house, "4930400")
    first = agent.page
    await agent.tab()
    await agent.page.goto("/desk")
    await agent.softphone("ready")
    await agent.softphone("replaced", page=first)
    await expect(first.get_by_test_id("banner-replaced")).to_be_visible()
    await agent.hears(CALLER_HZ)
    await caller.hears(MICROPHONE_HZ)
    second, agent.page = agent.page, first
    await agent.shot("replaced")
    await agent.at("softphone-take").click()
    await agent.softphone("ready")
    await agent.softphone("replaced", page=second)
    await agent.hears(CALLER_HZ)
    await caller.hears(MICROPHONE_HZ)
    await second.close()
    await agent.softphone("ready")
    await agent.hears(CALLER_HZ)


async def test_without_a_microphone_nothing_is_offered(house: Switchroom, stage: Stage, tmp_path: Path) -> None:
    async with chromium(tmp_path, microphone=False) as denied:
        opened = time.monotonic()
        agent = await stage.agent(house, browser=denied)
        await expect(agent.at("banner-microphone")).to_contain_text("not allowed")
        told("log-in to the word about the microphone", seen=time.monotonic() - opened)
        await agent.softphone("none")
        await agent.available()
        await expect(agent.page.get_by_text("No calls are offered to you yet")).to_be_visible()
        await agent.shot("no-microphone")
        caller = await stage.caller(house, "4930500")
        await expect(agent.at("queue-sales")).to_contain_text("1", timeout=30_000)
        # Another agent, who came later and so has waited less, is offered the call at once: the first was not asked.
        other = await house.agent("agent2", "--answer-after", "0.2", "--tone", "700")
        assert (await other.event("offer"))["ani"] == "4930500"
        await caller.hears(700)
        assert await agent.at("offer").count() == 0
        await agent.state("available")
        await caller.hang_up()
        await other.stop()
        await agent.leave()
    async with house.api() as api:
        contact = await contact_of(house, api, "4930500")
    assert contact["agent"] == "agent2"


async def test_a_killed_exchange_is_not_heard(house: Switchroom, stage: Stage) -> None:
    agent, caller = await stage.talk(house, "4930600")
    await agent.page.evaluate(
        """() => {
             window.samples = [];
             setInterval(() => window.samples.push([__switchroom.remoteTone(), __switchroom.remoteLevel()]), 20);
           }"""
    )
    killed = time.monotonic()
    await house.kill("exchange")
    await agent.at("banner-link").wait_for()
    await agent.shot("exchange-gone")
    await expect(agent.at("banner-link")).to_have_count(0, timeout=30_000)
    back = time.monotonic()
    agent.pardon()
    samples = await agent.page.evaluate("window.samples")
    assert len(samples) > 3
    wrong = [s for s in samples if abs(s[0] - CALLER_HZ) > 3 or s[1] < -40]
    assert not wrong, f"{len(wrong)} of {len(samples)} looks: {wrong[:5]}"
    await agent.softphone("ready")
    await agent.call(state="talking", held="false")
    pressed = time.monotonic()
    await agent.page.keyboard.press("F8")
    hold = await caller.hears_other(MICROPHONE_HZ)
    await agent.hears_nothing()
    told("exchange killed", desk_was_back=back - killed, hold_was_heard_after_the_key=hold["t"] - pressed)
    assert hold["t"] - pressed < 3.0
    await agent.call(held="true")
    await agent.page.keyboard.press("F8")
    await agent.hears(CALLER_HZ)
    await caller.hears(MICROPHONE_HZ, after=hold["t"])
    await agent.page.keyboard.press("F4")
    await agent.at("wrapup").wait_for()
    await caller.tool.end()
    heard = caller.heard()
    assert heard.gaps(MICROPHONE_HZ, killed, pressed) == 0, "the caller hears the agent throughout"
    async with house.api() as api:
        contact = await contact_of(house, api, "4930600")
    assert contact["final"] == "handled"
