"""The written conversations of `switchroom agent`: it answers each message of a customer, and wraps up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from media.desk_client import DeskError


class Desk(Protocol):
    """DeskClient, as far as it is needed here."""

    async def command(self, kind: str, *, timeout: float = 10.0, **fields: Any) -> dict[str, Any]: ...


class Chats:
    """Follows the desk's snapshots; each conversation is worked on by one task at a time."""

    def __init__(
        self,
        desk: Desk,
        say: Callable[..., None],
        later: Callable[[float, Callable[[], Awaitable[None]]], None],
        finished: Callable[[], None],
        *,
        answer: str,
        answers: int,
        code: str,
    ) -> None:
        self._desk = desk
        self._say = say
        self._later = later
        self._finished = finished
        self._answer = answer
        self._answers = answers
        self._code = code
        self._open: dict[str, dict[str, Any]] = {}
        """What was shown last of each conversation."""
        self._read: dict[str, int] = {}
        self._given: dict[str, int] = {}
        self._busy: set[str] = set()

    def look(self, conversations: list[dict[str, Any]]) -> None:
        """What the desk shows now."""
        shown = {one["contact"]: one for one in conversations}
        for contact in [contact for contact in self._open if contact not in shown]:
            del self._open[contact]
            self._say("chat-ended", contact=contact, read=self._read.pop(contact, 0), answers=self._given.pop(contact, 0))
            self._finished()
        for contact, one in shown.items():
            if contact not in self._open:
                self._say("chat", contact=contact, customer=one["customer"], queue=one["queue"])
            self._open[contact] = one
            if contact not in self._busy and self._something_to_do(one):
                self._busy.add(contact)
                self._later(0.0, lambda contact=contact: self._work(contact))  # type: ignore[misc]

    def _something_to_do(self, one: dict[str, Any]) -> bool:
        return bool(one["state"] == "wrap-up" or one["messages"] > self._read.get(one["contact"], 0))

    async def _work(self, contact: str) -> None:
        """Until there is nothing to do; what comes meanwhile is seen at the end."""
        try:
            while (one := self._open.get(contact)) is not None and self._something_to_do(one):
                if one["state"] == "wrap-up":
                    await self._wrap_up(contact, one["wrap_up"] or {})
                    return
                await self._reply(contact)
        except DeskError as error:
            self._say("refused", contact=contact, code=error.code, message=error.message)
        finally:
            self._busy.discard(contact)

    async def _reply(self, contact: str) -> None:
        after = self._read.get(contact, 0)
        for message in (await self._desk.command("messages", contact=contact, after=after))["messages"]:
            self._read[contact] = message["number"]
            if message["author"] != "customer":
                continue
            self._say("chat-heard", contact=contact, number=message["number"])
            if self._answer:
                key = f"{contact}-{message['number']}"
                await self._desk.command("send", contact=contact, text=self._answer, key=key)
                self._given[contact] = self._given.get(contact, 0) + 1
                self._say("chat-said", contact=contact)
                if self._given[contact] == self._answers:
                    await self._desk.command("end", contact=contact)

    async def _wrap_up(self, contact: str, wrap_up: dict[str, Any]) -> None:
        codes = [code["code"] for code in wrap_up.get("codes", [])]
        await self._desk.command("wrap_up", contact=contact, code=self._code or (codes[0] if codes else ""))
        self._say("wrapped-up", contact=contact)
