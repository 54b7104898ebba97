"""The loopback channel: runs scripted customers over the internal API, and follows what becomes of them."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from typing import Any

from api.channel import End, Happened, Said
from api.errors import ApiError
from api.models import User
from api.ports import Contacts
from channels.loopback.customer import Customer, Deed, Go, Write
from channels.loopback.script import Script

OVER = frozenset({"contact-ended", "no-such-contact"})
"""Codes of a contact that somebody else has ended meanwhile; the stream tells how."""

Report = Callable[[str, dict[str, Any]], None]


class Visit:
    """A customer, their contact, and the messages that were read."""

    def __init__(self, name: str, contact: str, customer: Customer) -> None:
        self.name = name
        self.contact = contact
        self.customer = customer
        self.final = ""
        self.read = 0
        self.unread = False
        self.changed = asyncio.Event()


class Loopback:
    """Customers of one script. `report` gets what happens: a word and its fields."""

    def __init__(self, contacts: Contacts, user: User, script: Script, report: Report) -> None:
        self._contacts = contacts
        self._user = user
        self._script = script
        self._report = report
        self._run = secrets.token_hex(8)
        self._visits: dict[str, Visit] = {}
        self._early: dict[str, list[Happened]] = {}
        """What is told of contacts whose `create` has not answered yet."""
        self._creating = 0
        self._now = asyncio.get_running_loop().time

    async def run(self, customers: int, every: float = 0.0) -> list[Visit]:
        """That many customers, one each `every` seconds, until the last one's contact is over. Raises ApiError."""
        following = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            follower = group.create_task(self._follow(following), name="loopback follower")
            await following.wait()
            visits = []
            for number in range(customers):
                if number:
                    await asyncio.sleep(every)
                visits.append(group.create_task(self._visit(number), name=f"customer {number}"))
            await asyncio.wait(visits)
            follower.cancel()
        return [visit.result() for visit in visits]

    async def _visit(self, number: int) -> Visit:
        name = f"{self._run}-{number}"
        self._creating += 1
        try:
            made = await self._contacts.create(self._user, self._script.contact, key=name)
        finally:
            self._creating -= 1
        visit = self._visits[made.id] = Visit(name, made.id, Customer(self._script, self._now()))
        self._say("created", visit)
        for item in self._early.pop(made.id, []):
            self._take(visit, item)
        while not visit.final:
            for deed in visit.customer.deeds(self._now()):
                await self._do(visit, deed)
            wake = visit.customer.wake_at()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(visit.changed.wait(), None if wake is None else max(0.0, wake - self._now()))
            visit.changed.clear()
            await self._read(visit)
        del self._visits[made.id]
        return visit

    async def _do(self, visit: Visit, deed: Deed) -> None:
        """With a key that is the same each time: what was lost on the way may be asked for again."""
        try:
            match deed:
                case Write(step, text):
                    await self._contacts.say(self._user, visit.contact, Said(text=text), key=f"{visit.name}-{step}")
                    self._say("said", visit, text=text)
                case Go(why):
                    await self._contacts.act(self._user, visit.contact, End(by="customer"), key=f"{visit.name}-leave")
                    self._say("left", visit, why=why)
        except ApiError as error:
            if error.code not in OVER:
                raise

    async def _read(self, visit: Visit) -> None:
        """What the agent wrote since."""
        if not visit.unread:
            return
        visit.unread = False
        for message in await self._contacts.messages(self._user, visit.contact, visit.read):
            visit.read = message.number
            if message.author != "customer":
                visit.customer.heard()
                self._say("heard", visit, text=message.text, author=message.author, agent=message.agent)

    # --- what is told ---------------------------------------------------------------------------------------------

    async def _follow(self, following: asyncio.Event) -> None:
        async with contextlib.aclosing(self._contacts.follow(self._user)) as items:
            async for item in items:
                following.set()  # the first one says where we begin
                self._happened(item)

    def _happened(self, item: Happened) -> None:
        contact = item.fields.get("contact", "")
        visit = self._visits.get(contact)
        if visit is not None:
            self._take(visit, item)
        elif contact and self._creating:
            self._early.setdefault(contact, []).append(item)
        elif self._early and not self._creating:
            self._early.clear()

    def _take(self, visit: Visit, item: Happened) -> None:
        fields = item.fields
        match item.type:
            case "visit-started":
                self._say("queued", visit, queue=fields["queue"], estimate=fields.get("estimate"))
            case "assigned":
                visit.customer.assigned(fields["agent"])
                self._say("agent", visit, agent=fields["agent"])
            case "released":
                visit.customer.released(self._now())
                self._say("agent-left", visit, agent=fields["agent"], why=fields["why"])
            case "message-sent":
                visit.unread = visit.unread or fields["author"] != "customer"
            case "contact-final":
                visit.final = fields["final"]
                visit.customer.ended()
                self._say("over", visit, final=visit.final, waited=fields["waited"], talked=fields["talked"])
            case _:
                return
        visit.changed.set()

    def _say(self, event: str, visit: Visit, **fields: Any) -> None:
        self._report(event, {"contact": visit.contact, **fields})
