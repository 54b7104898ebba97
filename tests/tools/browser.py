"""Chromium with a microphone that hums, and the people who sit before it: agents at their desks, supervisors at the records."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request, Response, expect
from playwright.async_api import async_playwright as playwright_started

from tests.tools import tones
from tests.tools.switchroom import PASSWORD, Switchroom

MICROPHONE_HZ = 930
"""What the agent hums: no tone of the music on hold, nor an overtone of one, so that the music does not hide it."""
HUM = -4
"""dBFS: the browser takes a steady tone for noise and passes 20 dB less."""
RATE = 48_000
EXECUTABLE = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SHOTS = os.environ.get("SWITCHROOM_SHOTS", "")
"""A directory for screenshots of every state; none by default."""
LOUD = -40
"""dBFS above which the page hears something, in JavaScript's and in our figures."""
QUIET = -60
TONE, LEVEL = "__switchroom.remoteTone()", "__switchroom.remoteLevel()"


@contextlib.asynccontextmanager
async def chromium(folder: Path, *, microphone: bool = True, executable: Path | str = EXECUTABLE) -> AsyncIterator[Browser]:
    """A browser; with `microphone=False` it denies it to every page, as a user would."""
    hum = tones.write(folder / "hum.wav", tones.sine(MICROPHONE_HZ, 10, RATE, HUM), RATE)
    answer = "--use-fake-ui-for-media-stream" if microphone else "--deny-permission-prompts"
    flags = [*FLAGS, answer, f"--use-file-for-fake-audio-capture={hum}"]
    async with playwright_started() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=flags)
        try:
            yield browser
        finally:
            await browser.close()


class Person:
    """Somebody with a browser profile of their own; `page` is the tab in front."""

    def __init__(self, context: BrowserContext, name: str) -> None:
        self.context = context
        self.name = name
        self.page: Page
        self.complaints: list[str] = []

    @classmethod
    async def come(cls, browser: Browser, house: Switchroom, name: str, path: str, *, shot: str = "") -> Self:
        """Log in by the form and open a page."""
        context = await browser.new_context(
            base_url=house.url,
            viewport={"width": 1280, "height": 800},
            accept_downloads=True,
            ignore_https_errors=house.url.startswith("https:"),  # who reads the warning about our own certificate goes on
        )
        person = cls(context, name)
        page = await person.tab()
        await page.goto(path)
        await person.at("login-name").fill(name)
        await person.at("login-password").fill(PASSWORD)
        if shot:
            await person.shot(shot)
        await person.at("login-submit").click()
        await person.at("log-out").wait_for()
        return person

    async def tab(self) -> Page:
        """A new tab, in front, that is listened to for complaints."""
        self.page = page = await self.context.new_page()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        page.on("requestfailed", self._failed)
        page.on("response", self._response)
        return page

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def _failed(self, request: Request) -> None:
        # A page that is left, and a player that has heard enough, abort what they were loading.
        if request.failure != "net::ERR_ABORTED":
            self.complaints.append(f"failed: {request.method} {request.url} {request.failure}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.complaints.append(f"{response.status}: {response.request.method} {response.url}")

    def pardon(self) -> None:
        """What the browser said of vain tries while there was no exchange is no complaint."""
        self.complaints = [words for words in self.complaints if "ERR_CONNECTION_REFUSED" not in words]

    def at(self, id: str) -> Locator:
        """The element with this test id."""
        return self.page.get_by_test_id(id)

    async def shot(self, name: str) -> None:
        """A screenshot, if somebody wants them."""
        if SHOTS:
            Path(SHOTS).mkdir(parents=True, exist_ok=True)
            await self.page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)

    async def leave(self) -> None:
        """Out of the queues and gone; a call that is still there has been hung up by the caller."""
        with contextlib.suppress(Exception):
            await self.context.close()


class Agent(Person):
    """Somebody at the desk."""

    async def softphone(self, state: str, *, page: Page | None = None) -> None:
        """Wait for the softphone's state as the page tells it."""
        await expect((page or self.page).get_by_test_id("softphone-state")).to_have_attribute(
            "data-state", state, timeout=20_000
        )

    async def state(self, *states: str) -> None:
        """Wait until the agent is in one of these states."""
        await self.page.wait_for_function(
            "states => states.includes(document.querySelector('[data-testid=agent-state]')?.dataset.state)",
            arg=list(states),
            timeout=20_000,
        )

    async def available(self) -> None:
        """Be available, by the button and its menu."""
        await self.at("state-button").click()
        await self.at("state-available").click()
        await self.state("available")

    async def call(self, **attributes: str) -> None:
        """Wait until the call panel has these data attributes."""
        for name, value in attributes.items():
            await expect(self.at("call")).to_have_attribute(f"data-{name}", value, timeout=10_000)

    async def hears(self, hz: float, timeout: float = 10.0) -> None:
        """Wait until the page really hears this tone."""
        await self._until(
            "hz => Math.abs(__switchroom.remoteTone() - hz) < 3 && __switchroom.remoteLevel() > LOUD", hz, timeout
        )

    async def hears_nothing(self, timeout: float = 10.0) -> None:
        """Wait until silence arrives, over the whole window of the tone finder."""
        await self._until(f"() => {TONE} === 0 && {LEVEL} < {QUIET}", None, timeout)

    async def _until(self, condition: str, value: Any, timeout: float) -> None:
        script = condition.replace("LOUD", str(LOUD)).replace("QUIET", str(QUIET))
        try:
            await self.page.wait_for_function(script, arg=value, timeout=timeout * 1000, polling=50)
        except Exception as error:
            heard = await self.page.evaluate("[__switchroom.remoteTone(), __switchroom.remoteLevel()]")
            raise AssertionError(
                f"{self.name} hears {heard[0]:.0f} Hz at {heard[1]:.0f} dBFS, not: {condition} {value}"
            ) from error

    async def leave(self) -> None:
        """Log out by the button and close the browser profile."""
        if not self.page.is_closed() and await self.at("log-out").count():
            await self.state("available", "idle", "wrap-up", "not-responding", "logged-out")
            await self.at("log-out").click()
            await self.at("login-name").wait_for()
        await super().leave()


EARS = """hz => {
    window.ears = { heard: [], online: [] };
    const now = () => performance.timeOrigin + performance.now();
    addEventListener("online", () => window.ears.online.push(now()));
    setInterval(() => {
      const tone = Math.abs(__switchroom.remoteTone() - hz) < 3 && __switchroom.remoteLevel() > LOUD;
      window.ears.heard.push([now(), tone]);
    }, 50);
}"""


class Ears:
    """What a page heard, looked at every 50 ms; times are of `time.monotonic`."""

    def __init__(self, heard: list[tuple[float, bool]], online: list[float]) -> None:
        self.heard, self.online = heard, online

    @classmethod
    async def open(cls, page: Page, hz: float) -> None:
        """Begin to listen for this tone."""
        await page.evaluate(EARS.replace("LOUD", str(LOUD)), hz)

    @classmethod
    async def of(cls, page: Page) -> Ears:
        told = await page.evaluate("window.ears")
        clock = time.monotonic() - time.time()
        return cls([(at / 1000 + clock, tone) for at, tone in told["heard"]], [at / 1000 + clock for at in told["online"]])

    def back(self, after: float) -> float:
        """When the tone was there again after it had been missing."""
        missed = next(at for at, tone in self.heard if at > after and not tone)
        return next(at for at, tone in self.heard if at > missed and tone)

    def held_up(self, begin: float, end: float) -> float:
        """Seconds between two times for which the page's clock stood still: a busy machine's doing."""
        looks = [begin, *(at for at, _ in self.heard if begin < at < end), end]
        return sum(max(0.0, later - sooner - 0.1) for sooner, later in pairwise(looks))


def family(pid: int) -> list[int]:
    """A process and all that come from it."""
    found = [pid]
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += family(int(child))
    return found


@contextlib.contextmanager
def asleep() -> Iterator[None]:
    """Every browser that this test has started stands still, as on a laptop whose lid is closed."""
    browsers = [pid for pid in family(os.getpid()) if b"chromium" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]]
    assert len(browsers) > 3, browsers
    for pid in browsers:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in browsers:
            os.kill(pid, signal.SIGCONT)


async def loaded(page: Page) -> float:
    """When the page's load event was over, by our monotonic clock."""
    wall: float = await page.evaluate("performance.timeOrigin + performance.getEntriesByType('navigation')[0].loadEventEnd")
    return wall / 1000 - time.time() + time.monotonic()
