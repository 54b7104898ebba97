"""What an agent's page shows: their state, the offer, the call, the conversations, the queues."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from acd.model import AgentView, WorkView
from exchange.brain.broadcasts import Broadcasts
from exchange.brain.callbacks import UNDER_WAY
from exchange.brain.conversations import Conversation
from exchange.brain.details import Details
from exchange.brain.house import House, Talk


class DeskView:
    """Reads the house; `shown` keeps of each agent the call that was shown last, for the wrap-up when its details are gone."""

    def __init__(
        self,
        house: House,
        details: dict[str, Details],
        conversations: Mapping[str, Conversation],
        broadcasts: Broadcasts,
        linked: Mapping[str, str],
        now: Callable[[], float],
    ) -> None:
        self._house = house
        self._details = details
        self._conversations = conversations
        self._broadcasts = broadcasts
        self._linked = linked
        self._now = now
        self._shown: dict[str, dict[str, Any]] = {}

    def snapshot(self, agent: str) -> dict[str, Any]:
        """What an agent's page shows, without the softphone (that differs by page)."""
        engine, now = self._house.engine, self._now()
        view = engine.agent(agent)
        if view is None:
            return {"type": "desk", "time": now}
        return {
            "type": "desk",
            "agent": self._agent(view),
            "offer": self._offer(view, now),
            "contact": self._contact(agent) or self._ended(view),
            "wrap_up": self._call_wrap_up(view),
            "conversations": [self._conversation(work) for work in view.works if work.channel != "voice"],
            "broadcasts": self._broadcasts.of(agent),
            "idle_codes": [{"code": c.code, "name": c.name} for c in self._house.idle_codes()],
            "queues": [{"id": q, "name": self._queue_name(q), "waiting": engine.waiting(q)} for q in view.queues],
            "time": now,
        }

    def _agent(self, view: AgentView) -> dict[str, Any]:
        following = {"state": view.next_state, "code": view.next_code} if view.next_state else None
        return {
            "id": view.id,
            "name": view.name,
            "display": view.name,
            "state": view.state,
            "code": view.code,
            "since": view.since,
            "next": following,
        }

    def _offer(self, view: AgentView, now: float) -> dict[str, Any] | None:
        offer = self._house.engine.offer(view.offer) if view.offer else None
        if offer is None:
            return None
        contact, detail = self._house.engine.contact(offer.contact), self._detail(offer.contact)
        talk = self._house.talks.get(offer.contact)
        return {
            "id": offer.id,
            "contact": offer.contact,
            "queue": offer.queue,
            "queue_name": self._queue_name(offer.queue),
            "ani": detail.ani,
            "name": detail.display,
            "number": detail.callback or detail.ani,
            "tries": talk.tries if talk is not None else 0,
            "waited": round(now - contact.queued_at, 1) if contact is not None else 0.0,
            "deadline": offer.deadline,
            "channel": offer.channel,
            "callback": contact is not None and contact.callback,
        }

    def _contact(self, agent: str) -> dict[str, Any] | None:
        contact = self._house.by_agent.get(agent)
        talk = self._house.talks.get(contact) if contact is not None else None
        if contact is None or talk is None:
            return None
        view = self._house.engine.contact(contact)
        detail = self._detail(contact)
        queue = view.queue if view is not None else ""
        recording = "off" if not talk.recording else "failed" if talk.recording_failed else "paused" if talk.paused else "on"
        shown = self._shown[agent] = {
            "id": contact,
            "ani": detail.ani,
            "dnis": detail.dnis,
            "queue": queue,
            "queue_name": self._queue_name(queue),
            "state": self._state(talk),
            "callback": talk.callback != "",
            "number": detail.callback or detail.ani,
            "tries": talk.tries,
            "since": talk.agent_since,
            "held": talk.held,
            "muted": talk.muted,
            "recording": recording,
            "cad": detail.cad,
        }
        return shown

    def _state(self, talk: Talk) -> str:
        if talk.callback in UNDER_WAY:
            return "dialling"
        return "talking" if self._linked.get(talk.contact) == talk.agent else "connecting"

    def _ended(self, view: AgentView) -> dict[str, Any] | None:
        shown, work = self._shown.get(view.id, {}), _wrapped_call(view)
        if work is None or shown.get("id") != work.contact:
            return None
        return {**shown, "state": "ended", "held": False, "muted": False, "recording": "off"}

    def _call_wrap_up(self, view: AgentView) -> dict[str, Any] | None:
        work = _wrapped_call(view)
        return self._wrap_up(work) if work is not None else None

    def _wrap_up(self, work: WorkView) -> dict[str, Any]:
        queue = self._house.queue(work.queue)
        codes = [{"code": c.code, "name": c.name} for c in queue.wrap_up_codes] if queue is not None else []
        needed = queue is not None and queue.wrap_up_of(work.channel).code_needed
        return {
            "contact": work.contact,
            "deadline": work.until,
            "codes": codes,
            "code_needed": needed,
            "extensions": work.extensions_left,
        }

    def _conversation(self, work: WorkView) -> dict[str, Any]:
        """What there is to show of one; its messages are asked for by number."""
        detail, conversation = self._detail(work.contact), self._conversations.get(work.contact)
        last = conversation.last if conversation is not None else None
        return {
            "contact": work.contact,
            "channel": work.channel,
            "queue": work.queue,
            "queue_name": self._queue_name(work.queue),
            "state": work.state,
            "since": work.since,
            "customer": detail.ani,
            "name": detail.display,
            "cad": detail.cad,
            "messages": conversation.count if conversation is not None else 0,
            "author": last.author if last is not None else "",
            "wrap_up": self._wrap_up(work) if work.state == "wrap-up" else None,
        }

    def _queue_name(self, queue: str) -> str:
        found = self._house.queue(queue) if queue else None
        return found.name if found is not None else queue

    def _detail(self, contact: str) -> Details:
        return self._details.get(contact) or Details("", "")


def _wrapped_call(view: AgentView) -> WorkView | None:
    """The call whose after-contact work goes on."""
    return next((work for work in view.works if work.channel == "voice" and work.state == "wrap-up"), None)
