"""The agent's desk in a real browser: audio both ways, every button, refresh, loss, a second tab, no microphone."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from conftest import MICROPHONE_HZ, OpenPage, accessible, log_in
from fake_exchange import FakeExchange
from playwright.async_api import Browser, Page, expect

pytestmark = [pytest.mark.interop, pytest.mark.asyncio(loop_scope="session")]

HEARS_TONE = "hz => Math.abs(__switchroom.remoteTone() - hz) < 3 && __switchroom.remoteLevel() > -40"


async def softphone(page: Page, state: str) -> None:
    await expect(page.get_by_test_id("softphone-state")).to_have_attribute("data-state", state, timeout=10_000)


async def in_call(page: Page, exchange: FakeExchange) -> None:
    """Bring agent1's page into a call."""
    await softphone(page, "ready")
    await exchange.change("agent1", state="available")
    await exchange.offer("agent1")
    await page.get_by_test_id("offer-answer").click()
    await page.get_by_test_id("call").wait_for()


async def sent(exchange: FakeExchange, **fields: object) -> None:
    """Wait until agent1's page has sent a command with these fields."""
    desk = exchange.desk("agent1")
    await exchange.wait(lambda: any(fields.items() <= command.items() for command in desk.commands))


async def test_audio_flows_both_ways(open_page: OpenPage, exchange: FakeExchange) -> None:
    page = await open_page("/desk", "agent1")
    await softphone(page, "ready")
    await page.wait_for_function(HEARS_TONE, arg=exchange.tone)
    desk = exchange.desk("agent1")
    await exchange.wait(lambda: abs(desk.microphone_tone() - MICROPHONE_HZ) < 5)
    await expect(page.get_by_text("The microphone hears you.")).to_be_visible()


async def test_a_call_from_offer_to_wrap_up_by_mouse(open_page: OpenPage, exchange: FakeExchange) -> None:
    page = await open_page("/desk", "agent1")
    await softphone(page, "ready")
    await page.get_by_test_id("state-button").click()
    await page.get_by_test_id("state-idle-lunch").click()
    await expect(page.get_by_test_id("agent-state")).to_have_text("Lunch")
    await page.get_by_test_id("state-button").click()
    await page.get_by_test_id("state-available").click()
    await expect(page.get_by_test_id("agent-state")).to_have_text("Available")

    await exchange.offer("agent1")
    offer = page.get_by_test_id("offer")
    await expect(offer).to_contain_text("+49 30 901820")
    await expect(offer).to_contain_text("Sales, waited 0:42")
    await expect(offer).to_contain_text(re.compile(r"(19|20) s left"))
    await expect(page).to_have_title(re.compile("incoming call"))
    await page.get_by_test_id("offer-answer").click()

    call = page.get_by_test_id("call")
    await expect(call).to_have_attribute("data-state", "talking")
    await page.get_by_test_id("call-mute").click()
    await expect(call).to_have_attribute("data-muted", "true")
    await page.get_by_test_id("call-mute").click()
    await expect(call).to_have_attribute("data-muted", "false")
    await page.get_by_test_id("call-hold").click()
    await expect(call).to_have_attribute("data-held", "true")
    await page.get_by_test_id("call-hold").click()
    await page.get_by_test_id("call-record").click()
    await expect(call).to_have_attribute("data-recording", "paused")
    await page.get_by_test_id("call-record").click()
    await expect(call).to_have_attribute("data-recording", "on")
    await page.get_by_test_id("call-digits").click()
    await page.get_by_test_id("digit-5").click()
    await page.get_by_test_id("digit-#").click()
    await expect(page.get_by_test_id("digits-sent")).to_have_text("5#")
    await exchange.wait(lambda: exchange.desk("agent1").digits == "5#")
    await page.get_by_test_id("call-hangup").click()

    await expect(page.get_by_test_id("wrapup-done")).to_be_disabled()
    await page.get_by_test_id("wrapup-code-question").click()
    await page.get_by_test_id("wrapup-done").click()
    await sent(exchange, type="wrap_up", code="question")
    await expect(page.get_by_test_id("agent-state")).to_have_text("Available")


async def test_a_call_by_keyboard_alone(open_page: OpenPage, exchange: FakeExchange) -> None:
    page = await open_page("/desk", "agent1")
    await softphone(page, "ready")
    await exchange.offer("agent1")
    await page.get_by_test_id("offer").wait_for()
    await page.keyboard.press("F4")
    await sent(exchange, type="decline", offer="o1")
    await expect(page.get_by_test_id("offer")).to_have_count(0)

    await exchange.offer("agent1")
    await page.get_by_test_id("offer").wait_for()
    await page.keyboard.press("F2")
    call = page.get_by_test_id("call")
    await call.wait_for()
    await page.keyboard.press("F9")
    await expect(call).to_have_attribute("data-muted", "true")
    await page.keyboard.press("F8")
    await expect(call).to_have_attribute("data-held", "true")
    for key in "9*":
        await page.keyboard.press(key)
    await exchange.wait(lambda: exchange.desk("agent1").digits == "9*")
    await page.keyboard.press("F4")
    await page.get_by_test_id("wrapup").wait_for()
    await page.keyboard.press("Space")
    await page.keyboard.press("Enter")
    await sent(exchange, type="wrap_up", code="order")


async def test_a_muted_microphone_sends_silence(open_page: OpenPage, exchange: FakeExchange) -> None:
    page = await open_page("/desk", "agent1")
    await in_call(page, exchange)
    desk = exchange.desk("agent1")
    await exchange.wait(lambda: desk.microphone_tone() > 0)
    await page.get_by_test_id("call-mute").click()
    await exchange.wait(lambda: desk.microphone_tone() == 0)
    await page.get_by_test_id("call-mute").click()
    await exchange.wait(lambda: desk.microphone_tone() > 0)


async def test_a_refresh_is_back_in_the_call_within_two_seconds(open_page: OpenPage, exchange: FakeExchange) -> None:
    page = await open_page("/desk", "agent1")
    await in_call(page, exchange)
    await page.reload(wait_until="commit")
    there = time.monotonic()
    await page.get_by_test_id("call").wait_for()
    await page.wait_for_function("() => window.__switchroom?.softphoneState === 'ready'")
    await page.wait_for_function(HEARS_TONE, arg=exchange.tone)
    assert time.monotonic() - there < 2.0


async def test_a_lost_link_comes_back_and_keeps_the_softphone(open_page: OpenPage, exchange: FakeExchange) -> None:
    page = await open_page("/desk", "agent1")
    await in_call(page, exchange)
    desk = exchange.desk("agent1")
    old = desk.tabs[0]
    # As after a restart of the exchange: the WebSocket dies, the media does not.
    connection, old.connection = old.connection, None
    await exchange.cut("agent1")
    await exchange.wait(lambda: len(desk.tabs) == 1 and desk.tabs[0] is not old)
    desk.tabs[0].connection, desk.tabs[0].softphone = connection, "ready"
    await exchange.show(desk)
    await page.get_by_test_id("call-hold").click()
    await expect(page.get_by_test_id("call")).to_have_attribute("data-held", "true")
    await softphone(page, "ready")
    assert len([c for c in desk.commands if c["type"] == "softphone"]) == 1


async def test_a_softphone_that_the_server_lost_is_made_anew(open_page: OpenPage, exchange: FakeExchange) -> None:
    page = await open_page("/desk", "agent1")
    await in_call(page, exchange)
    desk = exchange.desk("agent1")
    old = desk.tabs[0].connection
    desk.tabs[0].softphone = "lost"
    await exchange.show(desk)
    await page.get_by_test_id("banner-softphone").wait_for()
    await exchange.wait(lambda: desk.tabs[0].connection is not old and desk.tabs[0].softphone == "ready")
    await softphone(page, "ready")
    await page.wait_for_function(HEARS_TONE, arg=exchange.tone)


async def test_a_connection_that_fails_here_is_made_anew(browser: Browser, address: str, exchange: FakeExchange) -> None:
    page = await (await browser.new_context(base_url=address)).new_page()
    # Remember the connection, so that the test can say of it what a dead network makes the browser say.
    await page.add_init_script(
        """window.RTCPeerConnection = class extends RTCPeerConnection {
             constructor(...asked) { super(...asked); window.connection = this; }
             get connectionState() { return this.said ?? super.connectionState; }
             say(state) { this.said = state; this.dispatchEvent(new Event('connectionstatechange')); }
           };"""
    )
    await log_in(page, "agent1")
    await softphone(page, "ready")
    desk = exchange.desk("agent1")
    old = desk.tabs[0].connection
    # In the page, since a round trip to it may take longer than what a lost connection gets to come back.
    await page.evaluate(
        """() => new Promise((done) => {
             window.connection.say("disconnected");
             const shown = document.querySelector("[data-testid=softphone-state]");
             const look = () => {
               if (shown.dataset.state !== "lost") return setTimeout(look, 10);
               window.connection.say("connected");
               done();
             };
             look();
           })"""
    )
    await softphone(page, "ready")
    assert desk.tabs[0].connection is old
    await page.evaluate("window.connection.say('disconnected')")
    await exchange.wait(lambda: desk.tabs[0].connection is not old and desk.tabs[0].softphone == "ready")
    await softphone(page, "ready")
    await page.wait_for_function(HEARS_TONE, arg=exchange.tone)
    await page.context.close()


async def test_sound_that_is_held_back_takes_one_click(browser: Browser, address: str) -> None:
    page = await (await browser.new_context(base_url=address)).new_page()
    await page.add_init_script(
        """HTMLMediaElement.prototype.play = (real => function () {
             return window.allowed ? real.call(this) : Promise.reject(new DOMException("", "NotAllowedError"));
           })(HTMLMediaElement.prototype.play);"""
    )
    await log_in(page, "agent1")
    banner = page.get_by_test_id("banner-blocked")
    await banner.wait_for()
    await page.evaluate("window.allowed = true")
    await banner.get_by_role("button", name="Turn the sound on").click()
    await expect(banner).to_have_count(0)
    await page.context.close()


async def test_two_tabs_have_one_softphone(open_page: OpenPage, exchange: FakeExchange) -> None:
    first = await open_page("/desk", "agent1")
    await softphone(first, "ready")
    second = await first.context.new_page()
    await second.goto("/desk")
    await softphone(second, "ready")
    await softphone(first, "replaced")
    await accessible(first)
    await first.get_by_test_id("softphone-take").click()
    await softphone(first, "ready")
    await softphone(second, "replaced")
    await first.wait_for_function(HEARS_TONE, arg=exchange.tone)


async def test_a_microphone_that_is_denied_is_said_at_once(browser: Browser, address: str, exchange: FakeExchange) -> None:
    context = await browser.new_context(base_url=address)
    page = await context.new_page()
    await page.add_init_script(
        """navigator.mediaDevices.getUserMedia = (real => function (...asked) {
             return window.allowed ? real.apply(this, asked) : Promise.reject(new DOMException("", "NotAllowedError"));
           })(navigator.mediaDevices.getUserMedia);"""
    )
    await log_in(page, "agent1")
    banner = page.get_by_test_id("banner-microphone")
    await expect(banner).to_contain_text("not allowed")
    await accessible(page)
    await softphone(page, "none")
    await page.evaluate("window.allowed = true")
    await banner.get_by_role("button", name="Try again").click()
    await softphone(page, "ready")
    await expect(banner).to_have_count(0)


async def test_another_microphone_is_taken_without_a_new_softphone(open_page: OpenPage, exchange: FakeExchange) -> None:
    page = await open_page("/desk", "agent1")
    await softphone(page, "ready")
    desk = exchange.desk("agent1")
    devices = page.get_by_test_id("microphone-device")
    await expect(devices.locator("option")).not_to_have_count(1)
    await page.evaluate("window.wanted = document.querySelectorAll('[data-testid=microphone-device] option')[1].value")
    await devices.select_option(index=1)
    await page.wait_for_function("localStorage.getItem('switchroom.microphone') === window.wanted")
    desk.heard.clear()
    await exchange.wait(lambda: abs(desk.microphone_tone() - MICROPHONE_HZ) < 5)
    await softphone(page, "ready")
    assert len([c for c in desk.commands if c["type"] == "softphone"]) == 1


# Remembers the track, so that the test can end or silence it as the device would.
KEEP_TRACK = """navigator.mediaDevices.getUserMedia = (real => async function (...asked) {
     const stream = await real.apply(this, asked);
     window.track = stream.getAudioTracks()[0];
     return stream;
   })(navigator.mediaDevices.getUserMedia);"""
UNPLUG = "() => { window.track.stop(); window.track.dispatchEvent(new Event('ended')); }"


@pytest_asyncio.fixture(loop_scope="session")
async def desk_with_track(browser: Browser, address: str, exchange: FakeExchange) -> AsyncIterator[Page]:
    """agent1's page, whose microphone the test has in its hand; the softphone is ready."""
    context = await browser.new_context(base_url=address)
    page = await context.new_page()
    await page.add_init_script(KEEP_TRACK)
    await log_in(page, "agent1")
    await softphone(page, "ready")
    yield page
    await context.close()


async def gone(exchange: FakeExchange) -> None:
    """Wait until the page's connection has ended at the exchange, which offers nothing then."""
    tab = exchange.desk("agent1").tabs[0]
    await exchange.wait(lambda: tab.connection is None or tab.connection.connectionState == "closed")


async def test_an_unplugged_microphone_is_said_and_taken_again(desk_with_track: Page, exchange: FakeExchange) -> None:
    page = desk_with_track
    await page.evaluate(UNPLUG)
    banner = page.get_by_test_id("banner-microphone")
    await expect(banner).to_contain_text("unplugged")
    await softphone(page, "none")
    await gone(exchange)
    desk = exchange.desk("agent1")
    desk.heard.clear()
    await page.evaluate("navigator.mediaDevices.dispatchEvent(new Event('devicechange'))")
    await expect(banner).to_have_count(0)
    await softphone(page, "ready")
    await exchange.wait(lambda: abs(desk.microphone_tone() - MICROPHONE_HZ) < 5)


async def test_a_microphone_that_its_device_silences_is_said_and_nothing_is_offered(
    desk_with_track: Page, exchange: FakeExchange
) -> None:
    page = desk_with_track
    await page.evaluate("() => { window.track.dispatchEvent(new Event('mute')); }")
    banner = page.get_by_test_id("banner-microphone")
    await expect(banner).to_contain_text("silenced outside of this page")
    await softphone(page, "none")
    await gone(exchange)
    await page.evaluate("() => { window.track.dispatchEvent(new Event('unmute')); }")
    await expect(banner).to_have_count(0)
    await softphone(page, "ready")


async def test_a_microphone_that_fails_in_a_call_leaves_the_agent_in_it(desk_with_track: Page, exchange: FakeExchange) -> None:
    page = desk_with_track
    await in_call(page, exchange)
    await page.evaluate(UNPLUG)
    await expect(page.get_by_test_id("banner-microphone")).to_contain_text("unplugged")
    await page.wait_for_function(HEARS_TONE, arg=exchange.tone)
    await softphone(page, "ready")
    await page.get_by_test_id("call-hangup").click()
    await page.get_by_test_id("wrapup").wait_for()
    await softphone(page, "none")
    await gone(exchange)


async def test_a_refused_command_is_said(open_page: OpenPage, exchange: FakeExchange) -> None:
    page = await open_page("/desk", "agent1")
    await in_call(page, exchange)
    exchange.refuse.add("hold")
    await page.get_by_test_id("call-hold").click()
    await expect(page.get_by_test_id("notice")).to_contain_text("The exchange refuses hold now.")
    await page.get_by_role("button", name="Dismiss").click()
    await expect(page.get_by_test_id("notice")).to_have_count(0)
    await page.get_by_test_id("log-out").click()
    await expect(page.get_by_test_id("notice")).to_contain_text("You are in a call")
    await expect(page.get_by_test_id("call")).to_be_visible()


async def test_a_refused_log_out_stays_on_the_desk(open_page: OpenPage, exchange: FakeExchange) -> None:
    page = await open_page("/desk", "agent1")
    await softphone(page, "ready")
    exchange.refuse.add("log_out")
    await page.get_by_test_id("log-out").click()
    await expect(page.get_by_test_id("notice")).to_contain_text("The exchange refuses log_out now.")
    await expect(page.get_by_test_id("softphone-state")).to_be_visible()
