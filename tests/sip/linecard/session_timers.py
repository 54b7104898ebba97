"""A minute with session timers (RFC 4028), beside the other tests: 90 s is the shortest session that the RFC allows.

Run as a module: prints what was seen as one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from media.control import line
from tests.sip.linecard.conftest import CardProcess
from tests.sip.linecard.phone import Leg, Media, Phone, connected

SHORTEST = 90
REFRESHED = SHORTEST / 2
EXPIRED = SHORTEST * 2 / 3
"""Where pjsip hangs up without a refresh: a third of the session, or 32 s, before its end (RFC 4028 §10)."""
LATE = 15.0

Session = Callable[[CardProcess, Phone], Awaitable[dict[str, Any]]]


def expires(seconds: int = SHORTEST, refresher: str = "uac") -> tuple[str, str]:
    return f"Session-Expires: {seconds};refresher={refresher}", "Supported: timer"


def ended(card: CardProcess, call: str) -> str:
    """The reason of the call's end; empty while it lives."""
    return next((e.termination.reason for e in card.events if isinstance(e, line.CallEnded) and e.call == call), "")


async def nobody_refreshes(card: CardProcess, phone: Phone) -> dict[str, Any]:
    """The caller promises to refresh, and does not."""
    begun = time.monotonic()
    talk = await connected(card, phone, *expires())
    bye = await talk.leg.request("BYE", EXPIRED + LATE)
    talk.leg.reply(bye, 200)
    over = time.monotonic() - begun
    await card.until(line.CallEnded, call=talk.call)
    return {"over": over, "reason": ended(card, talk.call), "header": bye.get("reason")}


async def the_caller_refreshes(card: CardProcess, phone: Phone) -> dict[str, Any]:
    """By UPDATE, in time; a re-INVITE would do as well."""
    talk = await connected(card, phone, *expires())
    await asyncio.sleep(REFRESHED)
    talk.leg.send("UPDATE", "", *expires())
    answer = await talk.leg.response("UPDATE")
    await asyncio.sleep(EXPIRED - REFRESHED + 3)
    result = {"status": answer.status, "header": answer.get("session-expires"), "alive": ended(card, talk.call) == ""}
    await talk.leg.bye()
    return result


async def the_card_refreshes(card: CardProcess, phone: Phone) -> dict[str, Any]:
    """The caller wants the card to do it, and answers."""
    begun = time.monotonic()
    media = await phone.open_media()
    talk = await connected(card, phone, *expires(refresher="uas"), "Allow: INVITE, UPDATE, BYE, ACK", media=media)
    refresh = await talk.leg.message(lambda m: m.is_request and m.method in ("UPDATE", "INVITE"), "refresh", REFRESHED + LATE)
    at = time.monotonic() - begun
    talk.leg.reply(refresh, 200, "", *expires(refresher="uac"))
    await asyncio.sleep(EXPIRED - REFRESHED + 3)
    alive = ended(card, talk.call) == ""
    await talk.leg.bye()
    return {"at": at, "method": refresh.method, "header": refresh.get("session-expires"), "alive": alive}


async def a_refresh_finds_nobody(card: CardProcess, phone: Phone) -> dict[str, Any]:
    """A leg that the card placed: it refreshes, and is told that there is no such call any more."""
    await card.do(line.PlaceLeg("placed", "trunk", "lease", f"sip:1@{phone.text}", ""))
    leg: Leg = await phone.invited()
    assert leg.invite is not None
    media: Media = await phone.open_media()
    leg.reply(leg.invite, 200, media.sdp((8,)), *expires(), "Allow: INVITE, UPDATE, BYE, ACK", "Require: timer")
    await leg.request("ACK")
    begun = time.monotonic()
    refresh = await leg.message(lambda m: m.is_request and m.method in ("UPDATE", "INVITE"), "refresh", REFRESHED + LATE)
    at = time.monotonic() - begun
    leg.reply(refresh, 481)
    bye = await leg.request("BYE")
    leg.reply(bye, 200)
    await card.until(line.CallEnded, call="placed")
    return {"at": at, "asked": leg.invite.get("session-expires"), "reason": ended(card, "placed")}


async def main() -> None:
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="sr-") as folder:
        card = CardProcess(Path(folder), "linecard0")
        async with Phone() as phone:
            await card.start(proxy=phone.port)
            await card.do(line.Configure(media_timeout=0.0))

            async def run(session: Session) -> None:
                found[session.__name__] = await session(card, phone)

            try:
                async with asyncio.TaskGroup() as group:
                    for session in (nobody_refreshes, the_caller_refreshes, the_card_refreshes, a_refresh_finds_nobody):
                        group.create_task(run(session))
            finally:
                await card.stop()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main())
