"""The internal API for all channels (api.ports.Contacts): what they ask becomes events of the engine, in the one log."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog

import acd.effects as decided
import acd.events as routing
from acd.document import EntryPointConfig
from acd.model import ContactMark, ContactView, Need
from api.channel import (
    Action,
    Callback,
    ContactNow,
    Done,
    Happened,
    Message,
    NewContact,
    Place,
    QueueVisit,
    Said,
    Wait,
)
from api.errors import ApiError
from api.models import User
from exchange.brain import actions, records
from exchange.brain.answers import Answers, Keep
from exchange.brain.conversations import Conversation
from exchange.brain.customers import Customers
from exchange.brain.details import Details
from exchange.brain.house import House, Outcome
from exchange.brain.ids import uuid7
from exchange.brain.intake import Intake, settled
from exchange.brain.recall import Recall
from storage import rows
from storage.conversations import Conversations
from storage.errors import BadSearch, DatabaseAway

log = structlog.get_logger()

MOST_MESSAGES = 5_000
"""Of one conversation."""
RESUME_PATIENCE = 60.0
"""Seconds in which a parked conversation whose customer writes waits for its agent before others may have it."""


class Following(Protocol):
    """The log as it grows."""

    def follow(self, by: User, after: Place | None) -> AsyncGenerator[Happened, None]: ...


class ChannelWork:
    """Knows the house and the ledger's door; remembers the open conversations."""

    def __init__(
        self,
        house: House,
        intake: Intake,
        answers: Answers,
        customers: Customers,
        stored: Conversations,
        details: dict[str, Details],
        conversations: dict[str, Conversation],
        entry_points: Callable[[], dict[str, EntryPointConfig]],
        existed: Callable[[str], Awaitable[bool]],
        following: Following,
        recall: Recall,
        now: Callable[[], float],
    ) -> None:
        self.conversations = conversations
        self._house = house
        self._intake = intake
        self._answers = answers
        self._customers = customers
        self._stored = stored
        self._details = details
        self._entry_points = entry_points
        self._existed = existed
        self._following = following
        self._recall = recall
        self._now = now

    # --- contacts begin -------------------------------------------------------------------------------------------

    async def create(self, by: User, new: NewContact, key: str = "") -> Done:
        return await self._answers.once(by, key, ("create", new), lambda keep: self._create(by, new, keep))

    async def _create(self, by: User, new: NewContact, keep: Keep) -> Done:
        entry = self._entry_points().get(new.entry_point)
        if new.entry_point and (entry is None or entry.channel != new.channel):
            raise ApiError(
                422, "no-such-entry-point", f"There is no entry point {new.entry_point} of the channel {new.channel}."
            )
        queue = new.queue or (entry.queue if entry is not None else "")
        if not queue:
            raise ApiError(422, "no-such-queue", f"Entry point {new.entry_point!r} names no queue; the request must.")
        if self._house.queue(queue) is None:
            raise ApiError(422, "no-such-queue", f"There is no queue {queue!r}.")
        contact = uuid7()
        number = new.callback.number if new.callback is not None else ""
        detail = Details(new.customer, entry.number if entry is not None else "", new.name, dict(new.cad), number)
        customer = self._customers.of(new.channel, new.customer or number)
        written = [
            rows.contact_arrived(
                contact, new.channel, detail.ani, detail.dnis, detail.display, new.entry_point, self._now(), detail.cad
            ),
            rows.contact_known(contact, customer, number),
            *keep(Done(id=contact)),
        ]
        arrived = routing.ContactArrived(0, contact, new.channel, new.entry_point, customer)
        self._intake.put(records.Routing(arrived), written)
        self._details[contact] = detail
        self.conversations[contact] = Conversation(contact)
        log.info("contact created", contact=contact, channel=new.channel, entry_point=new.entry_point, user=by.id)
        try:
            queued = self._intake.put(records.Routing(self._first_step(contact, queue, new, entry, by)))
        except ApiError as refusal:
            log.info("contact rejected", contact=contact, queue=queue, code=refusal.code)
            await self._intake.route(routing.ContactEnded(0, contact, "system", rejected=True))
            raise
        await settled(queued)
        return Done(id=contact)

    def _first_step(self, contact: str, queue: str, new: NewContact, entry: EntryPointConfig | None, by: User) -> routing.Event:
        if new.callback is not None:
            return actions.callback_taken(contact, new.callback, queue, by.id)
        need = entry.need if entry is not None else Need()
        return routing.ContactQueued(
            0,
            contact,
            queue,
            priority=new.priority or (entry.priority if entry is not None else 5),
            visit=uuid7(),
            need=actions.need_of(new.need) if new.need is not None else need,
            preferred=new.preferred,
            patience=new.patience,
        )

    # --- contacts go on -------------------------------------------------------------------------------------------

    async def act(self, by: User, contact: str, action: Action, key: str = "") -> Done:
        name = type(action).__name__
        return await self._answers.once(by, key, (name, contact, action), lambda keep: self._act(by, contact, action, keep))

    async def _act(self, by: User, contact: str, action: Action, keep: Keep) -> Done:
        view = await self._open(contact)
        done = Done(id=contact)
        events = actions.events_of(by, view, action, self._house)
        written = [*actions.rows_of(contact, action), *keep(done)]
        for event in events[:-1]:
            self._intake.put(event)
        durable = self._intake.put(events[-1], written)
        if isinstance(action, Callback) and action.number and contact in self._details:
            self._details[contact].callback = action.number
        await settled(durable)
        return done

    async def _open(self, contact: str) -> ContactView:
        """The contact, with all that is known of it; raises ApiError 404, or 409 when it is over."""
        await self._kept(self._recall.one(contact))
        view = self._house.engine.contact(contact)
        if view is not None:
            return view
        if await self._kept(self._existed(contact)):
            raise ApiError(409, "contact-ended", f"Contact {contact} is over.")
        raise ApiError(404, "no-such-contact", "There is no such contact.")

    async def now(self, by: User, contact: str) -> ContactNow | None:
        await self._kept(self._recall.one(contact))
        view = self._house.engine.contact(contact)
        if view is None:
            return None
        self._may(by, view.id, view)
        return self.now_of(view)

    def now_of(self, view: ContactView) -> ContactNow:
        """The contact for who may see it."""
        conversation = self.conversations.get(view.id)
        estimate = self._house.engine.estimate(view.id, self._now())
        wait = (
            Wait(position=estimate.position, mean=estimate.seconds, p50=estimate.p50, p90=estimate.p90)
            if estimate is not None
            else None
        )
        names = self._house.queue_names()
        return ContactNow(
            id=view.id,
            channel=view.channel,
            entry_point=view.entry_point,
            state=view.state,
            queue=view.queue,
            agent=view.agent,
            offer=view.offer,
            priority=view.priority,
            waited=round(view.waited, 3),
            callback=view.callback,
            messages=conversation.count if conversation is not None else 0,
            wait=wait,
            visits=[
                QueueVisit(
                    id=visit.id,
                    queue=visit.queue,
                    queue_name=names.get(visit.queue),
                    kind=visit.kind,
                    queued=datetime.fromtimestamp(visit.queued_at, UTC),
                    relaxed=visit.step,
                )
                for visit in view.visits
            ],
        )

    # --- conversations --------------------------------------------------------------------------------------------

    async def say(self, by: User, contact: str, words: Said, key: str = "") -> Done:
        return await self._answers.once(by, key, ("say", contact, words), lambda keep: self._say(by, contact, words, keep))

    async def _say(self, by: User, contact: str, words: Said, keep: Keep) -> Done:
        view = await self._open(contact)
        if by.role == "agent":
            self._may(by, contact, view)
            if words.author != "agent" or view.agent != by.id:
                raise ApiError(403, "not-your-contact", "An agent writes as the agent who has the contact.")
        elif words.author == "agent":
            raise ApiError(403, "not-your-contact", "Only the agent who has the contact writes as its agent.")
        conversation = self.conversations.get(contact)
        if view.channel == "voice" or conversation is None:
            raise ApiError(409, "no-messages", "This contact has no written conversation.")
        if conversation.count >= MOST_MESSAGES:
            raise ApiError(409, "too-many-messages", f"A conversation has at most {MOST_MESSAGES} messages.")
        number, at = conversation.count + 1, self._now()
        agent = by.id if words.author == "agent" else ""
        done = Done(id=str(number))
        written = [rows.message(contact, number, words.author, agent, at, words.text), *keep(done)]
        durable = self._intake.put(records.Message(contact, number, words.author, agent), written)
        conversation.add(words.author, agent, at, words.text)
        if view.state == "parked" and words.author == "customer":
            durable = self._intake.put(records.Routing(routing.ContactResumed(0, contact, "customer", RESUME_PATIENCE)))
        await settled(durable)
        return done

    async def messages(self, by: User, contact: str, after: int = 0) -> list[Message]:
        self._may(by, contact, self._house.engine.contact(contact))
        await self._kept(self._recall.one(contact))
        conversation = self.conversations.get(contact)
        found = conversation.after(after) if conversation is not None else None
        if found is None:
            stored = await self._kept(self._stored.messages(contact, after))
            if not stored and not await self._kept(self._existed(contact)):
                raise ApiError(404, "no-such-contact", "There is no such contact.")
            past = Conversation(contact)
            past.recall(stored)
            found = past.all
        return found

    def _may(self, by: User, contact: str, view: ContactView | None) -> None:
        """Agents see and touch what is theirs; raises ApiError 403."""
        if by.role != "agent" or (view is not None and view.agent == by.id):
            return
        agent = self._house.engine.agent(by.id)
        if agent is None or all(work.contact != contact for work in agent.works):
            raise ApiError(403, "not-your-contact", "This contact is not yours.")

    async def _kept(self, reading: Awaitable[Any]) -> Any:
        """What the database says; raises ApiError."""
        try:
            return await reading
        except DatabaseAway as error:
            raise ApiError(503, "database-away", "The database does not answer. Please try again in a moment.") from error
        except BadSearch as error:
            raise ApiError(404, "no-such-contact", "There is no such contact.") from error

    # --- what happens ---------------------------------------------------------------------------------------------

    def follow(self, by: User, after: Place | None = None) -> AsyncGenerator[Happened, None]:
        return self._following.follow(by, after)

    def carry_out(self, outcome: Outcome) -> None:
        """What the engine has decided of contacts that have no flow to go back to."""
        for effect in outcome.decided:
            match effect:
                case decided.Overflowed(contact=contact, to=to) if to is None or to.kind in actions.LEAVES:
                    if contact in self.conversations and self._waits_for_nothing(contact):
                        self._flow_out(contact)
                case decided.SegmentStarted(contact=contact, agent=agent) if contact in self.conversations:
                    self.conversations[contact].agents.add(agent)
                case decided.SegmentEnded(contact=contact, agent=agent) if contact in self.conversations:
                    self.conversations[contact].agents.discard(agent)
                    self._forget(contact)
                case decided.ContactFinal(contact=contact):
                    self._forget(contact)
                case _:
                    pass

    def _flow_out(self, contact: str) -> None:
        try:
            self._intake.put(records.Routing(routing.ContactEnded(0, contact, "flow")))
        except ApiError as error:
            log.info("contact not ended", contact=contact, code=error.code)

    def _waits_for_nothing(self, contact: str) -> bool:
        view = self._house.engine.contact(contact)
        return view is not None and view.state == "arrived"

    def _forget(self, contact: str) -> None:
        """Once nobody has anything to do with it, wrap-up included."""
        conversation = self.conversations.get(contact)
        if conversation is not None and not conversation.agents and self._house.engine.contact(contact) is None:
            del self.conversations[contact]
            self._details.pop(contact, None)
            self._recall.forget(contact)

    # --- after a restart ------------------------------------------------------------------------------------------

    def reopen(self, open: Sequence[ContactMark]) -> None:
        """The conversations that are open, or still being wrapped up; what was said in them comes by and by."""
        works = self._house.engine.works()
        waiting = [mark.id for mark in open if mark.id not in self._house.talks]
        for contact in dict.fromkeys([*(work.contact for work, _ in works if work.channel != "voice"), *waiting]):
            self.conversations[contact] = Conversation(contact)
        for work, agent in works:
            if work.channel != "voice":
                self.conversations[work.contact].agents.add(agent)
        self._recall.expect(work.contact for work, _ in works)
        self._recall.expect(waiting)

    def take_up(self, open: Sequence[ContactMark]) -> None:
        """Finish what the exchange before us began: contacts that arrived and are in no queue yet, or came back from one."""
        arrived = [self._house.engine.contact(mark.id) for mark in open if mark.state == "arrived"]
        for view in arrived:
            if view is None or view.id not in self.conversations or view.state != "arrived":
                continue
            entry = self._entry_points().get(view.entry_point)
            if view.segments or entry is None or not entry.queue:
                self._flow_out(view.id)
                continue
            queued = routing.ContactQueued(0, view.id, entry.queue, priority=entry.priority, visit=uuid7(), need=entry.need)
            try:
                self._intake.put(records.Routing(queued))
            except ApiError as error:
                log.info("contact rejected", contact=view.id, code=error.code)
                self._intake.put(records.Routing(routing.ContactEnded(0, view.id, "system", rejected=True)))
