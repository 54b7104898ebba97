"""`switchroom agent`: a headless WebRTC agent that works through the public API, for trying, testing and loading a system."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from media.agent_chats import Chats
from media.desk_client import DeskClient, DeskError
from media.deskcard.errors import DeskError as PhoneError
from media.softphone import FrameClock, Softphone, ice_settings

REFUSED, UNREACHABLE, UNDONE = 1, 2, 3
"""Exit codes: login or softphone refused; no server; fewer contacts than asked for."""
RETRY = 0.5
"""Seconds between two tries to get a lost softphone back."""
NO_WRAP_UP = 1.0
"""Seconds after which a contact that ended is finished, when the desk asks for no wrap-up."""


@dataclass(frozen=True)
class AgentOptions:
    """What an agent does; seconds and Hz."""

    name: str
    server: str
    password: str
    answer_after: float = 0.2
    tone: float = 880.0
    save: Path | None = None
    json: bool = False
    codec: str = ""
    contacts: int = 0
    seconds: float = 0.0
    hold_at: float = 0.0
    hold_for: float = 2.0
    hang_up_after: float = 0.0
    wrap_up_after: float = 0.0
    wrap_up_code: str = ""
    decline: int = 0
    chat_answer: str = "I will look into it."
    chat_answers: int = 0
    media: bool = True
    verify: bool = True


Report = Callable[[dict[str, Any]], None]


class Agent:
    """One agent: follows the desk's snapshots, and acts on what they show."""

    def __init__(self, options: AgentOptions, clock: FrameClock, report: Report) -> None:
        self.done = asyncio.Event()
        self.exit = 0
        self._options = options
        self._report = report
        self._desk: dict[str, Any] = {}
        self._changed = asyncio.Event()
        self._client = DeskClient(options.server, on_desk=self._snapshot, on_link=self._linked, verify=options.verify)
        self._phone = Softphone(clock, hertz=options.tone, save=options.save)
        self._stages: asyncio.TaskGroup | None = None
        self._offer = ""
        self._contact = ""
        self._ended = ""
        self._wrapped = ""
        self._handled = 0
        self._declined = 0
        self._up = True
        self._state = ""
        self._phone_since = 0.0
        self._timers: set[asyncio.Task[None]] = set()
        self._chats = Chats(
            self._client,
            self._say,
            self._later,
            self._count,
            answer=options.chat_answer,
            answers=options.chat_answers,
            code=options.wrap_up_code,
        )

    async def run(self) -> int:
        """From log-in to bye; the exit code."""
        try:
            async with self._client:
                try:
                    await self._begin()
                    async with asyncio.TaskGroup() as group:
                        self._stages = group
                        follow = group.create_task(self._follow())
                        await self._wait_for_end()
                        follow.cancel()
                        for timer in self._timers:
                            timer.cancel()
                    self._stages = None
                    await self._bye()
                finally:
                    await self._phone.close()
        except DeskError as error:
            self._say("error", code=error.code, message=error.message)
            self.exit = UNREACHABLE if error.code == "unreachable" else REFUSED
        except PhoneError as error:
            self._say("error", code=error.code, message=str(error))
            self.exit = REFUSED
        if not self.exit and self._handled < self._options.contacts:
            self.exit = UNDONE
        self._say("summary", contacts=self._handled, exit=self.exit, **self._phone.statistics())
        return self.exit

    def stop(self) -> None:
        """Say goodbye and leave."""
        self.done.set()

    # --- stages ----------------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        options = self._options
        user = await self._client.log_in(options.name, options.password)
        self._say("logged-in", user=user.get("id", ""))
        await self._client.start()
        if options.media:
            await self._connect_phone()
        await self._client.command("set_state", state="available")
        self._say("available")

    async def _connect_phone(self) -> None:
        codecs = (self._options.codec,) if self._options.codec else ("opus", "PCMU", "PCMA")
        settings = ice_settings(await self._client.ice_servers(), self._options.server)
        await self._phone.connect(self._exchange_sdp, codecs=codecs, settings=settings, on_lost=self._phone_lost)
        self._phone_since = time.monotonic()
        self._say("softphone-connected", codec=self._phone.codec)

    async def _exchange_sdp(self, offer: str) -> str:
        return str((await self._client.command("softphone", sdp=offer))["sdp"])

    async def _wait_for_end(self) -> None:
        limit = self._options.seconds or None
        try:
            async with asyncio.timeout(limit):
                await self.done.wait()
        except TimeoutError:
            self._say("time-is-up")
            self.done.set()

    async def _bye(self) -> None:
        try:
            if self._contact:
                await self._client.command("hang_up", timeout=3.0)
                self._close_contact("agent-leaves")
            await self._client.command("log_out", timeout=3.0)
        except DeskError as error:
            self._say("bye", error=error.code)
            return
        self._say("bye")

    async def _follow(self) -> None:
        """Look at the desk whenever it changes."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            self._look(self._desk)
            if self._options.media and self._phone_is_gone():
                await self._again()

    def _phone_is_gone(self) -> bool:
        state = (self._desk.get("softphone") or {}).get("state", "")
        if not self._phone.connected:
            return True
        # A snapshot from before our last handshake may still show the old connection.
        return state in ("none", "lost") and time.monotonic() - self._phone_since > 2 * RETRY

    async def _again(self) -> None:
        """The softphone is lost: get it back, as a page does that was loaded again."""
        self._say("softphone-again", reason=self._phone.lost)
        try:
            await self._connect_phone()
        except (DeskError, PhoneError) as error:
            self._say("softphone-failed", message=str(error))
            await asyncio.sleep(RETRY)
            self._changed.set()

    # --- what the desk shows ---------------------------------------------------------------------------------------

    def _snapshot(self, desk: dict[str, Any]) -> None:
        self._desk = desk
        self._changed.set()

    def _linked(self, up: bool) -> None:
        if self.done.is_set():
            return
        if self._client.ended:
            self._say("error", code="logged-out", message=self._client.ended)
            self.exit = REFUSED
            self.done.set()
        elif up != self._up:
            self._up = up
            self._say("desk-back" if up else "desk-lost")

    def _phone_lost(self, reason: str) -> None:
        self._say("softphone-lost", reason=reason)
        self._changed.set()

    def _look(self, desk: dict[str, Any]) -> None:
        if (desk.get("softphone") or {}).get("state") == "replaced":
            self._say("softphone-replaced")
            self.exit = REFUSED
            self.done.set()
            return
        self._look_at_offer(desk.get("offer"))
        self._look_at_contact(desk.get("contact"))
        self._look_at_wrap_up(desk.get("wrap_up"))
        self._chats.look(desk.get("conversations") or [])
        state = (desk.get("agent") or {}).get("state", "")
        if state == "not-responding" and state != self._state:
            self._say("not-responding")
            self._later(0.0, self._available_again)
        self._state = state

    def _look_at_offer(self, offer: dict[str, Any] | None) -> None:
        if offer is None or offer["id"] == self._offer:
            return
        self._offer = offer["id"]
        self._say("offer", offer=offer["id"], contact=offer.get("contact"), queue=offer.get("queue"), ani=offer.get("ani"))
        if self._declined < self._options.decline:
            self._declined += 1
            self._later(self._options.answer_after, lambda: self._act("declined", "decline", offer=offer["id"], reason="busy"))
        else:
            self._later(self._options.answer_after, lambda: self._accept(offer["id"]))

    async def _accept(self, offer: str) -> None:
        await self._act("accepted", "accept", offer=offer)

    def _look_at_contact(self, contact: dict[str, Any] | None) -> None:
        live = contact["id"] if contact is not None and contact.get("state") != "ended" else ""
        if self._contact and live != self._contact:
            self._close_contact("over")
        if live and live != self._contact and contact is not None:
            self._contact = live
            self._say("contact", contact=live, state=contact.get("state"), ani=contact.get("ani"))
            self._phone.begin(lambda: self._say("audio-in", contact=live))
            self._plan(live)

    def _plan(self, contact: str) -> None:
        options = self._options
        if options.hold_at:
            self._later(options.hold_at, lambda: self._during(contact, "held", "hold", on=True))
            self._later(options.hold_at + options.hold_for, lambda: self._during(contact, "retrieved", "hold", on=False))
        if options.hang_up_after:
            self._later(options.hang_up_after, lambda: self._during(contact, "hung-up", "hang_up"))

    def _close_contact(self, reason: str) -> None:
        contact, self._contact = self._contact, ""
        self._ended = contact
        heard = self._phone.end()
        self._say(
            "contact-ended",
            contact=contact,
            reason=reason,
            heard_seconds=heard.seconds,
            heard_hz=heard.hertz,
            heard_level=heard.level,
        )
        self._later(NO_WRAP_UP, lambda: self._finish_without_wrap_up(contact))

    def _look_at_wrap_up(self, wrap_up: dict[str, Any] | None) -> None:
        if wrap_up is None or wrap_up["contact"] == self._wrapped:
            return
        contact = self._wrapped = wrap_up["contact"]
        codes = [code["code"] for code in wrap_up.get("codes", [])]
        code = self._options.wrap_up_code or (codes[0] if codes else "")
        self._later(self._options.wrap_up_after, lambda: self._wrap_up(contact, code))

    async def _wrap_up(self, contact: str, code: str) -> None:
        await self._act("wrapped-up", "wrap_up", code=code)
        self._finish()

    async def _finish_without_wrap_up(self, contact: str) -> None:
        if contact == self._ended and contact != self._wrapped:
            self._finish()

    def _finish(self) -> None:
        self._ended = ""
        self._count()

    def _count(self) -> None:
        self._handled += 1
        if self._options.contacts and self._handled >= self._options.contacts:
            self.done.set()

    async def _available_again(self) -> None:
        await self._act("available", "set_state", state="available")

    async def _during(self, contact: str, event: str, kind: str, **fields: Any) -> None:
        if contact == self._contact:
            await self._act(event, kind, **fields)

    async def _act(self, event: str, kind: str, **fields: Any) -> None:
        try:
            await self._client.command(kind, **fields)
        except DeskError as error:
            self._say("refused", command=kind, code=error.code, message=error.message)
        else:
            self._say(event, **{name: value for name, value in fields.items() if name in ("offer", "code", "on")})

    def _later(self, delay: float, action: Callable[[], Any]) -> None:
        async def run() -> None:
            await asyncio.sleep(delay)
            await action()

        if self._stages is not None:
            task = self._stages.create_task(run())
            self._timers.add(task)
            task.add_done_callback(self._timers.discard)

    def _say(self, event: str, **fields: Any) -> None:
        self._report({"event": event, "t": round(time.monotonic(), 4), "agent": self._options.name, **fields})


async def run_agents(options: Sequence[AgentOptions], report: Report) -> int:
    """Several agents in one process, on one clock; the highest exit code. Cancel it, or let signals stop it."""
    loop = asyncio.get_running_loop()
    async with FrameClock() as clock:
        agents = [Agent(one, clock, report) for one in options]

        def stop() -> None:
            for agent in agents:
                agent.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        try:
            return max(await asyncio.gather(*(agent.run() for agent in agents)), default=0)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


async def run_agent(options: AgentOptions, report: Report | None = None) -> int:
    """One agent until its contacts are done, its time is up, or a signal comes; the exit code."""
    return await run_agents([options], report or printer(options.json))


def printer(as_json: bool) -> Report:
    """Writes events to standard output: JSON lines, or words."""

    def write(event: dict[str, Any]) -> None:
        if as_json:
            line = json.dumps(event)
        else:
            rest = "  ".join(f"{key}={value}" for key, value in event.items() if key not in ("event", "t", "agent"))
            line = f"{event['t']:.3f}  {event['agent']}  {event['event']}  {rest}".rstrip()
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    return write


def _parse(arguments: Sequence[str]) -> AgentOptions:
    parser = argparse.ArgumentParser(
        prog="switchroom agent",
        description="A headless agent: logs in, answers calls with a tone and chats with a sentence, saves what it hears.",
    )
    parser.add_argument("name", help="the account, for example agent1")
    parser.add_argument("--server", required=True, help="for example http://127.0.0.1:8080")
    parser.add_argument("--password", required=True)
    parser.add_argument("--answer-after", type=float, default=0.2, help="seconds to let an offer ring")
    parser.add_argument("--tone", type=float, default=880.0, help="Hz to send while talking")
    parser.add_argument("--save", type=Path, help="a WAV file for what is heard")
    parser.add_argument("--json", action="store_true", help="one JSON line for each event")
    parser.add_argument("--codec", default="", choices=["", "opus", "PCMU", "PCMA"], help="offer this codec only")
    parser.add_argument("--contacts", type=int, default=0, help="leave after so many contacts")
    parser.add_argument("--seconds", type=float, default=0.0, help="leave after so long")
    parser.add_argument("--hold-at", type=float, default=0.0, help="hold so many seconds into a contact")
    parser.add_argument("--hold-for", type=float, default=2.0, help="and take it back after so long")
    parser.add_argument("--hang-up-after", type=float, default=0.0, help="end each contact after so long")
    parser.add_argument("--wrap-up-after", type=float, default=0.0, help="seconds of work after each contact")
    parser.add_argument("--wrap-up-code", default="", help="default: the first one that is offered")
    parser.add_argument("--decline", type=int, default=0, help="decline so many offers first")
    parser.add_argument("--chat-answer", default="I will look into it.", help="what to write to each message; empty: nothing")
    parser.add_argument("--chat-answers", type=int, default=0, help="end a chat after so many; 0: the customer leaves")
    parser.add_argument("--no-media", dest="media", action="store_false", help="no softphone, signalling only")
    parser.add_argument("--no-verify", dest="verify", action="store_false", help="take any TLS certificate")
    return AgentOptions(**vars(parser.parse_args(arguments)))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command `switchroom agent`; its exit code."""
    options = _parse(sys.argv[1:] if arguments is None else arguments)
    return uvloop.run(run_agent(options))


if __name__ == "__main__":
    sys.exit(main())
