"""Log-in, lists and player in a real browser; accessibility of every page in both colour schemes; the security policy holds."""

from __future__ import annotations

import re

import pytest
from conftest import OpenPage, accessible, log_in
from fake_exchange import FakeExchange
from playwright.async_api import Browser, expect

pytestmark = [pytest.mark.interop, pytest.mark.asyncio(loop_scope="session")]


async def test_a_wrong_password_is_told_in_a_sentence(browser: Browser, address: str) -> None:
    page = await (await browser.new_context(base_url=address)).new_page()
    await page.goto("/recordings?number=7")
    await expect(page).to_have_url(re.compile(r"/login\?next="))
    await page.get_by_test_id("login-name").fill("supervisor")
    await page.get_by_test_id("login-password").fill("wrong")
    await page.get_by_test_id("login-submit").click()
    await expect(page.get_by_role("alert")).to_have_text("Name or password is wrong.")
    await accessible(page)
    await page.get_by_test_id("login-password").fill("right")
    await page.keyboard.press("Enter")
    # The visitor gets to where the way led.
    await expect(page).to_have_url(re.compile(r"/recordings\?number=7"))
    await page.get_by_test_id("log-out").click()
    await expect(page.get_by_test_id("login-name")).to_be_visible()
    await page.context.close()


async def test_each_role_has_its_pages(open_page: OpenPage) -> None:
    agent = await open_page("/recordings", "agent1")
    await expect(agent.get_by_role("heading", name="There is no such page")).to_be_visible()
    await expect(agent.get_by_role("navigation").get_by_role("link")).to_have_text(["Desk"])
    supervisor = await open_page("/", "supervisor")
    await expect(supervisor.get_by_role("navigation").get_by_role("link")).to_have_text(["Recordings", "Contacts"])
    await expect(supervisor).to_have_url(re.compile("/recordings$"))


async def test_a_session_that_ends_leads_to_the_login(browser: Browser, address: str, exchange: FakeExchange) -> None:
    page = await (await browser.new_context(base_url=address)).new_page()
    await log_in(page, "agent1")
    await page.locator("[data-testid=softphone-state][data-state=ready]").wait_for()
    exchange.end_sessions()
    await exchange.cut("agent1")
    await expect(page.get_by_test_id("login-name")).to_be_visible()
    await page.context.close()


async def test_recordings_are_searched_paged_and_played(open_page: OpenPage) -> None:
    page = await open_page("/recordings", "supervisor")
    rows = page.get_by_test_id("recording-row")
    await expect(rows).to_have_count(50)
    await page.get_by_test_id("load-more").click()
    await expect(rows).to_have_count(70)
    await expect(page.get_by_test_id("load-more")).to_have_count(0)

    form = page.get_by_test_id("recordings-search")
    await form.get_by_label("Queue").select_option(label="Support")
    await form.get_by_label("Number").fill("901801")
    await form.get_by_role("button", name="Search").click()
    await expect(rows).to_have_count(1)
    await rows.get_by_test_id("recording-open").click()

    player = page.get_by_test_id("player")
    await expect(player.get_by_test_id("player-figures")).to_contain_text("0:09 (40 %)")
    await expect(player.get_by_test_id("player-figures")).to_contain_text("Paused")
    await player.get_by_test_id("player-play").click()
    await expect(player.get_by_test_id("player-time")).to_have_text(re.compile("^0:0[1-9] / 0:24"))
    wave = player.get_by_test_id("waveform")
    box = await wave.bounding_box()
    assert box is not None
    await wave.click(position={"x": box["width"] / 2, "y": 20})
    await expect(player.get_by_test_id("player-time")).to_have_text(re.compile("^0:1[2-4]"))
    await expect(wave).to_have_attribute("aria-valuetext", re.compile("12 seconds of 24 seconds, recording paused here"))
    await wave.press("Space")
    await wave.press("Home")
    await wave.press("ArrowRight")
    await expect(player.get_by_test_id("player-time")).to_have_text("0:05 / 0:24")

    async with page.expect_download() as download:
        await player.get_by_test_id("player-download").click()
    assert (await download.value).suggested_filename == "r1.ogg"

    # The search and the open recording stand in the address.
    await page.reload()
    await expect(player).to_be_visible()
    await expect(rows).to_have_count(1)


async def test_contacts_are_searched_and_an_empty_list_says_so(open_page: OpenPage) -> None:
    page = await open_page("/contacts", "supervisor")
    await expect(page.get_by_test_id("contact-row")).to_have_count(50)
    await page.get_by_label("Final state").select_option("abandoned")
    await page.get_by_role("button", name="Search").click()
    await expect(page.get_by_test_id("contact-row")).to_have_count(20)
    await page.get_by_label("Number").fill("no such number")
    await page.get_by_role("button", name="Search").click()
    await expect(page.get_by_text("Nothing found")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_are_accessible(open_page: OpenPage, exchange: FakeExchange, scheme: str) -> None:
    desk = await open_page("/desk", "agent1", scheme=scheme)
    await desk.locator("[data-testid=softphone-state][data-state=ready]").wait_for()
    await accessible(desk)
    for state in ("available", "not-responding", "wrap-up", "logged-out", "engaged"):
        await exchange.change("agent1", state=state)
        await desk.locator(f"[data-testid=agent-state][data-state={state}]").wait_for()
        await accessible(desk)
    await exchange.offer("agent1")
    await desk.get_by_test_id("offer").wait_for()
    await accessible(desk)
    await desk.keyboard.press("F2")
    await desk.get_by_test_id("call-mute").click()
    await desk.get_by_test_id("call-hold").click()
    await desk.get_by_test_id("call-record").click()
    await desk.get_by_test_id("call-digits").click()
    await expect(desk.get_by_test_id("call")).to_have_attribute("data-recording", "paused")
    await accessible(desk)
    await exchange.hang_up("agent1")
    await desk.get_by_test_id("wrapup-code-order").click()
    await accessible(desk)

    lists = await open_page("/recordings", "supervisor", scheme=scheme)
    await lists.get_by_test_id("recording-row").nth(1).get_by_test_id("recording-open").click()
    await lists.get_by_test_id("waveform").wait_for()
    await accessible(lists)
    await lists.goto("/contacts")
    await lists.get_by_test_id("contact-row").first.wait_for()
    await accessible(lists)
    await lists.goto("/nowhere")
    await accessible(lists)


@pytest.mark.parametrize("path", ["/recordings", "/contacts"])
async def test_lists_fit_a_telephone(open_page: OpenPage, path: str) -> None:
    page = await open_page(path, "supervisor", width=390)
    await page.locator("table").wait_for()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
