"""A browser with a fake microphone, the built pages, and the scripted exchange behind them."""

from __future__ import annotations

import json
import sys
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright

sys.path.insert(0, str(Path(__file__).parent))

from fake_exchange import DIST, RATE, FakeExchange, served

MICROPHONE_HZ = 880
AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = [
    "--no-sandbox",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

OpenPage = Callable[..., Awaitable[Page]]


async def accessible(page: Page) -> None:
    """Run axe in the page; fails with the rules and elements that it complains of."""
    await page.evaluate(AXE.read_text())
    found = await page.evaluate("async () => (await axe.run()).violations.map(v => [v.id, v.nodes.map(n => n.html)])")
    assert not found, json.dumps(found, indent=1)


async def log_in(page: Page, name: str) -> None:
    await page.goto("/")
    await page.get_by_test_id("login-name").fill(name)
    await page.get_by_test_id("login-password").fill("secret")
    await page.get_by_test_id("login-submit").click()


@pytest_asyncio.fixture(loop_scope="session")
async def exchange(tmp_path: Path) -> FakeExchange:
    return FakeExchange(tmp_path)


@pytest_asyncio.fixture(loop_scope="session")
async def address(exchange: FakeExchange, browser: Browser) -> AsyncIterator[str]:
    """Where the exchange is served; whatever a test has opened is closed: a page that talks costs a part of a core."""
    if not (DIST / "index.html").exists():
        pytest.fail("The pages are not built: run `make setup`, or `npm ci && npm run build` in web/.")
    async with served(exchange) as url:
        yield url
        for context in browser.contexts:
            await context.close()


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    microphone = tmp_path_factory.mktemp("microphone") / "microphone.wav"
    with wave.open(str(microphone), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        times = np.arange(RATE * 10) / RATE
        file.writeframes((np.sin(2 * np.pi * MICROPHONE_HZ * times) * 8000).astype("<i2").tobytes())
    async with async_playwright() as playwright:
        flags = [*CHROMIUM, f"--use-file-for-fake-audio-capture={microphone}"]
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser: Browser, address: str) -> AsyncIterator[OpenPage]:
    """Opens a page, logged in as `name`; at the end no page may have complained in the console."""
    complaints: list[str] = []
    contexts: list[BrowserContext] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    async def open_page(path: str, name: str, *, scheme: str = "light", width: int = 1280) -> Page:
        context = await browser.new_context(
            base_url=address,
            color_scheme="dark" if scheme == "dark" else "light",
            reduced_motion="reduce",
            viewport={"width": width, "height": 800},
        )
        contexts.append(context)
        page = await context.new_page()
        page.on("console", heard)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await log_in(page, name)
        await page.get_by_test_id("log-out").wait_for()
        if not page.url.endswith(path):
            await page.goto(path)
        return page

    yield open_page
    for context in contexts:
        await context.close()
    assert not complaints
