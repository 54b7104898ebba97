"""One page of an agent: what it may say at the desk, and what becomes of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args

import acd.events as routing
from acd.model import ChosenState
from api.channel import LONGEST_KEY, LONGEST_TEXT, End, Park, Resume, Said
from api.errors import ApiError
from api.models import User
from exchange.brain import records
from media.control.envelope import ControlError

if TYPE_CHECKING:
    from exchange.brain.desks import Desks, Seat

MOST_SDP = 64 * 1024
KEYS = frozenset("0123456789*#ABCD")


class Session:
    """A WebSocket of a page (api.ports.DeskSession); a page that has changed its network may have two for a while."""

    def __init__(self, desks: Desks, seat: Seat, user: User, send: Callable[[dict[str, Any]], None], page: str) -> None:
        self.seat = seat
        self.page = page
        self.send = send
        self._desks = desks
        self._user = user

    def close(self, *, meant: bool) -> None:
        self._desks.closed(self.seat, self)

    async def handle(self, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
        """One message of the page; raises ApiError."""
        agent = self.seat.agent
        match kind:
            case "ping":
                pass
            case "softphone":
                return {"sdp": await self._desks.connect(self, _text(fields, "sdp", MOST_SDP))}
            case "set_state":
                await self._set_state(_text(fields, "state", 20), _text(fields, "code", 100, needed=False))
            case "accept":
                await self._route(routing.OfferAccepted(0, agent, _text(fields, "offer", 200)))
            case "decline":
                reason = _word(fields, "reason")
                await self._route(routing.OfferDeclined(0, agent, _text(fields, "offer", 200), reason))
            case "wrap_up":
                work = self._wrapping_up(fields)
                await self._route(routing.WrapUpDone(0, work, agent, _text(fields, "code", 100, needed=False)))
            case "extend":
                await self._route(routing.WrapUpExtended(0, self._wrapping_up(fields), agent))
            case "ask_wrap_up":
                await self._route(routing.WrapUpAsked(0, self._working(fields), agent, _flag(fields, "on")))
            case "log_out":
                await self._route(routing.AgentLoggedOut(0, agent))
            case "hold" | "mute" | "record":
                await self._desks.ask(records.Asked(self._talking(), agent, kind, _flag(fields, "on")))
            case "hang_up":
                await self._desks.ask(records.Asked(self._talking(), agent, "hang_up"))
            case "send" | "messages" | "end" | "park" | "resume":
                return await self._converse(kind, _text(fields, "contact", 100), fields)
            case "put_away":
                self._desks.put_away(agent, _text(fields, "broadcast", 100))
            case "digits":
                await self._digits(_text(fields, "digits", 32))
            case _:
                raise ApiError(400, "unknown-type", f"There is no message of the type {kind[:40]!r}.")
        return {}

    async def _set_state(self, state: str, code: str) -> None:
        if state not in get_args(ChosenState):
            raise ApiError(422, "invalid", "state: one of available, idle.")
        chosen = routing.AgentStateChosen(0, self.seat.agent, "available")
        if state == "idle":
            chosen = routing.AgentStateChosen(0, self.seat.agent, "idle", code)
        await self._route(chosen)

    async def _converse(self, kind: str, contact: str, fields: dict[str, Any]) -> dict[str, Any]:
        """What an agent does in a written conversation, by the internal API that channels use."""
        contacts, user = self._desks.contacts, self._user
        match kind:
            case "send":
                words = Said.model_construct(text=_text(fields, "text", LONGEST_TEXT), author="agent")
                done = await contacts.say(user, contact, words, _text(fields, "key", LONGEST_KEY, needed=False))
                return {"number": int(done.id)}
            case "messages":
                found = await contacts.messages(user, contact, _number(fields, "after"))
                return {"messages": [message.model_dump(mode="json") for message in found]}
            case "end":
                await contacts.act(user, contact, End(by="agent"))
            case "park":
                await contacts.act(user, contact, Park())
            case "resume":
                await contacts.act(user, contact, Resume())
        return {}

    def _wrapping_up(self, fields: dict[str, Any]) -> str:
        """The contact that is meant, or the one that there is; a call before a conversation. Raises ApiError."""
        named = _text(fields, "contact", 100, needed=False)
        view = self._desks.house.engine.agent(self.seat.agent)
        works = [work for work in view.works if work.state == "wrap-up"] if view is not None else []
        works.sort(key=lambda work: work.channel != "voice")
        found = next((work.contact for work in works if named in ("", work.contact)), None)
        if found is None:
            raise ApiError(409, "not-in-wrap-up", "There is no wrap-up to finish.")
        return found

    def _working(self, fields: dict[str, Any]) -> str:
        return _text(fields, "contact", 100, needed=False) or self._talking()

    async def _digits(self, digits: str) -> None:
        if not digits or set(digits) - KEYS:
            raise ApiError(422, "invalid", "digits: 0 to 9, *, #, A to D.")
        try:
            await self._desks.send_digits(self._talking(), digits)
        except ControlError as error:
            raise ApiError(503, error.code, error.message) from error

    def _talking(self) -> str:
        contact = self._desks.house.by_agent.get(self.seat.agent)
        if contact is None:
            raise ApiError(409, "no-contact", "You are connected with nobody.")
        return contact

    async def _route(self, event: routing.Event) -> None:
        await self._desks.ask(records.Routing(event))


def _text(fields: dict[str, Any], name: str, most: int, *, needed: bool = True) -> str:
    value = fields.get(name, None if needed else "")
    if not isinstance(value, str) or len(value) > most or (needed and not value):
        raise ApiError(422, "invalid", f"{name}: a text of 1 to {most} characters is needed.")
    return value


def _number(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 1_000_000_000:
        raise ApiError(422, "invalid", f"{name}: a number from 0 on is needed.")
    return value


def _word(fields: dict[str, Any], name: str) -> str:
    """A word of a machine, which may go into the log; what people write could be about people."""
    value = _text(fields, name, 40, needed=False)
    if not re.fullmatch("[a-z0-9-]*", value):
        raise ApiError(422, "invalid", f"{name}: a word of a to z, 0 to 9 and - is needed.")
    return value


def _flag(fields: dict[str, Any], name: str) -> bool:
    value = fields.get(name)
    if not isinstance(value, bool):
        raise ApiError(422, "invalid", f"{name}: true or false is needed.")
    return value
