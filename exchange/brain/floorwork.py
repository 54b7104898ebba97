"""Offers, agents and queues as they are, and what supervisors do with them (api.ports.Floor)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import acd.effects as decided
import acd.events as routing
from acd.model import AgentView, ContactMark
from api.channel import Done, Wait
from api.errors import ApiError
from api.models import User
from api.work import AgentNow, Broadcast, OfferItem, QueueNow, StateChange, Work
from exchange.brain.answers import Answers, Keep
from exchange.brain.broadcasts import Broadcasts
from exchange.brain.house import House, Outcome
from exchange.brain.ids import uuid7
from exchange.brain.intake import Intake
from storage import rows


class FloorWork:
    """Knows the house and the ledger's door; remembers who came to which queue, for the wait that is expected."""

    def __init__(
        self,
        house: House,
        intake: Intake,
        answers: Answers,
        broadcasts: Broadcasts,
        now: Callable[[], float],
        open: Sequence[ContactMark] = (),
    ) -> None:
        """`open` are the contacts that are there when it begins."""
        self._house = house
        self._intake = intake
        self._answers = answers
        self._broadcasts = broadcasts
        self._now = now
        self._visits: dict[str, dict[str, str]] = {}
        """By queue: the contact of each visit that is not over, in the order of being queued."""
        for mark in open:
            for visit, queue in mark.visits:
                self._visits.setdefault(queue, {})[visit] = mark.id

    def carry_out(self, outcome: Outcome) -> list[str]:
        """Keep up with the queues and broadcasts; the agents whose desks show something new."""
        concerned: list[str] = []
        for effect in outcome.decided:
            match effect:
                case decided.VisitStarted(visit=visit, contact=contact, queue=queue):
                    self._visits.setdefault(queue, {})[visit] = contact
                case decided.VisitEnded(visit=visit, queue=queue):
                    self._visits.get(queue, {}).pop(visit, None)
                case decided.BroadcastSent(message=message, agents=agents):
                    self._broadcasts.sent(message, agents)
                    concerned += agents
                case _:
                    pass
        return concerned

    # --- offers ---------------------------------------------------------------------------------------------------

    def offers(self, by: User) -> list[OfferItem]:
        names = self._house.queue_names()
        return [
            OfferItem(
                id=offer.id,
                contact=offer.contact,
                channel=offer.channel,
                agent=offer.agent,
                queue=offer.queue,
                queue_name=names.get(offer.queue),
                made=_moment(offer.made_at),
                deadline=_moment(offer.deadline),
            )
            for offer in self._house.engine.offers()
            if by.role != "agent" or offer.agent == by.id
        ]

    async def accept(self, by: User, offer: str, key: str = "") -> Done:
        async def do(keep: Keep) -> Done:
            _check_offer(offer)
            done = Done(id=offer)
            await self._intake.route(routing.OfferAccepted(0, by.id, offer), keep(done))
            return done

        return await self._answers.once(by, key, ("accept", offer), do)

    async def decline(self, by: User, offer: str, reason: str, key: str = "") -> Done:
        async def do(keep: Keep) -> Done:
            _check_offer(offer)
            done = Done(id=offer)
            await self._intake.route(routing.OfferDeclined(0, by.id, offer, reason), keep(done))
            return done

        return await self._answers.once(by, key, ("decline", offer, reason), do)

    # --- agents ---------------------------------------------------------------------------------------------------

    def agent(self, by: User, id: str) -> AgentNow:
        view = self._agent(id)
        return AgentNow(
            id=view.id,
            name=view.name,
            state=view.state,
            code=view.code,
            since=_moment(view.since),
            next_state=view.next_state,
            reachable=view.reachable,
            queues=list(view.queues),
            works=[
                Work(contact=w.contact, channel=w.channel, queue=w.queue, state=w.state, since=_moment(w.since))
                for w in view.works
            ],
            channels={str(channel): state for channel, state in view.channels.items()},
        )

    async def set_state(self, by: User, id: str, change: StateChange, key: str = "") -> Done:
        async def do(keep: Keep) -> Done:
            self._agent(id)
            done = Done(id=id)
            event: routing.Event = routing.AgentLoggedOut(0, id, by.id)
            if change.state != "logged-out":
                event = routing.AgentStateChosen(0, id, change.state, change.code, by.id)
            await self._intake.route(event, keep(done))
            return done

        return await self._answers.once(by, key, ("state", id, change), do)

    def _agent(self, id: str) -> AgentView:
        view = self._house.engine.agent(id)
        if view is None:
            raise ApiError(404, "no-such-agent", f"There is no agent {id!r}.")
        return view

    # --- queues ---------------------------------------------------------------------------------------------------

    def queue(self, id: str) -> QueueNow:
        config = self._house.queue(id)
        if config is None:
            raise ApiError(404, "no-such-queue", f"There is no queue {id!r}.")
        engine = self._house.engine
        counted = engine.statistics().queues[id]
        return QueueNow(
            id=id,
            name=config.name,
            closed=counted.closed,
            waiting=counted.waiting,
            callbacks=counted.callbacks,
            longest_wait=round(engine.longest_wait(id, self._now()), 3),
            agents=engine.agents_in(id),
            last=self._last(id),
            offered=counted.offered,
            open=counted.open,
            ended={str(how): number for how, number in counted.ended.items()},
        )

    def _last(self, queue: str) -> Wait | None:
        """What is expected for the one who came last, of those who wait."""
        for contact in reversed(self._visits.get(queue, {}).values()):
            estimate = self._house.engine.estimate(contact, self._now())
            if estimate is not None:
                return Wait(position=estimate.position, mean=estimate.seconds, p50=estimate.p50, p90=estimate.p90)
        return None

    async def close_queue(self, by: User, id: str, on: bool, key: str = "") -> Done:
        async def do(keep: Keep) -> Done:
            if self._house.queue(id) is None:
                raise ApiError(404, "no-such-queue", f"There is no queue {id!r}.")
            done = Done(id=id)
            event = routing.QueueClosed(0, id, by.id) if on else routing.QueueOpened(0, id, by.id)
            await self._intake.route(event, keep(done))
            return done

        return await self._answers.once(by, key, ("close" if on else "open", id), do)

    async def broadcast(self, by: User, words: Broadcast, key: str = "") -> Done:
        async def do(keep: Keep) -> Done:
            for queue in words.queues:
                if self._house.queue(queue) is None:
                    raise ApiError(422, "no-such-queue", f"There is no queue {queue!r}.")
            message, at = uuid7(), self._now()
            done = Done(id=message)
            event = routing.BroadcastMade(0, message, by.id, tuple(words.teams), tuple(words.queues))
            self._broadcasts.add(message, at, by.display, words.text)
            await self._intake.route(event, [rows.broadcast(message, at, by.display, words.text), *keep(done)])
            return done

        return await self._answers.once(by, key, ("broadcast", words), do)


def _check_offer(offer: str) -> None:
    """Offers are named after their contacts; one that is over looks like one that is out."""
    if not re.fullmatch(r"[0-9a-f-]{36}\.[0-9]{1,9}", offer):
        raise ApiError(404, "no-such-offer", "There is no such offer.")


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
