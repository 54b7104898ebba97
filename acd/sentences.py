"""What happened to a contact and why, in sentences for a person; pure, the same for the command line, the API and the pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

import msgspec

from acd import effects
from acd.effects import Effect
from acd.eligibility import describe
from acd.events import Configured
from acd.model import AgentCandidate, ContactCandidate, Decision, Need, Target

MOST_NAMED = 3
"""Runners-up that a sentence names; the data beside it have all."""


class Names(msgspec.Struct, frozen=True):
    """Names by id; who has none goes by the id."""

    agents: dict[str, str] = {}
    queues: dict[str, str] = {}
    skills: dict[str, str] = {}
    teams: dict[str, str] = {}
    codes: dict[str, str] = {}
    users: dict[str, str] = {}

    @classmethod
    def of(cls, configured: Configured | None, users: dict[str, str] | None = None) -> Names:
        """Those of a configuration; `users` are the people who act on others."""
        if configured is None:
            return cls(users=users or {})
        return cls(
            {agent.id: agent.name for agent in configured.agents},
            {queue.id: queue.name for queue in configured.queues},
            {skill.id: skill.name for skill in configured.skills},
            {team.id: team.name for team in configured.teams},
            {code.code: code.name for code in configured.idle_codes},
            users or {},
        )

    def agent(self, id: str) -> str:
        """An agent's name."""
        return self.agents.get(id) or self.users.get(id) or id

    def queue(self, id: str) -> str:
        """A queue's name."""
        return self.queues.get(id) or id

    def user(self, id: str) -> str:
        """Of whoever did it."""
        return self.users.get(id) or self.agents.get(id) or id


class Sentence(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that happened."""

    at: float
    kind: str
    """The effect's name in the log, e.g. `offer-made`."""
    text: str
    agent: str = ""
    queue: str = ""
    offer: str = ""
    decision: Decision | None = None


class Writer:
    """Writes sentences with these names, times in this zone."""

    def __init__(self, names: Names, zone: tzinfo = UTC) -> None:
        self._names = names
        self._zone = zone

    def story(self, contact: str, moments: Iterable[tuple[float, Sequence[Effect]]]) -> list[Sentence]:
        """Everything about one contact, in order."""
        return [
            sentence
            for at, found in moments
            for effect in found
            if getattr(effect, "contact", None) == contact and (sentence := self.sentence(at, effect)) is not None
        ]

    def sentence(self, at: float, effect: Effect) -> Sentence | None:
        """What an effect says; None of those that say nothing to a person."""
        write = _WRITERS.get(type(effect))
        text = write(self, effect) if write is not None else ""
        if not text:
            return None
        return Sentence(
            at,
            str(effect.__struct_config__.tag),
            text,
            getattr(effect, "agent", ""),
            getattr(effect, "queue", ""),
            getattr(effect, "offer", ""),
            getattr(effect, "decision", None),
        )

    def clock(self, at: float, beside: float | None = None) -> str:
        """Time of day; with the date where it is another day than `beside`."""
        moment = datetime.fromtimestamp(at, self._zone)
        if beside is not None and moment.date() != datetime.fromtimestamp(beside, self._zone).date():
            return f"{moment:%Y-%m-%d %H:%M:%S}"
        return f"{moment:%H:%M:%S}"

    # --- decisions ------------------------------------------------------------------------------------------------

    def offer(self, effect: effects.OfferMade) -> str:
        """Why this agent has the offer."""
        decision = effect.decision
        agent = self._names.agent(effect.agent)
        head = f"{agent} got it at once" if effect.auto else f"It was offered to {agent}"
        match decision.trigger:
            case "supervisor":
                by = self._names.user(decision.by) if decision.by else "a supervisor"
                why = f"{by} said so" if decision.by != effect.agent else f"{agent} picked it"
                return f"{head}: {why}.{self._others(decision, 'Of the other agents')}"
            case "agent":
                return f"{head}: {self._agent_looked(decision, agent)}{self._others(decision)}"
            case "step":
                begin = f"after {_span(effect.waited)} others may have it ({self._need(decision.need)}), and "
            case "configuration":
                begin = "the rules changed, and "
            case _:
                begin = ""
        return f"{head}: {begin}{self._agents_looked_at(decision, agent)}{self._others(decision)}"

    def nobody(self, effect: effects.NobodyFor) -> str:
        """Why nobody has it."""
        decision = effect.decision
        why = {
            "nobody-logged-in": "nobody who serves the queue is logged in",
            "nobody-with-the-skill": f"nobody who is logged in has what it needs ({self._need(decision.need)})",
            "nobody-available": "nobody was available for it",
        }[effect.why]
        queue = self._names.queue(effect.queue)
        place = f" It is one of {decision.waiting} that wait in {queue}." if decision.waiting > 1 else ""
        return f"Nobody got it: {why}.{place}{self._others(decision, 'Of the agents')}"

    def _agents_looked_at(self, decision: Decision, agent: str) -> str:
        winner, others = decision.agent, decision.agents
        able = 1 + len(others) + decision.others.get("available", 0)
        if winner is None:
            return "nobody could have it."
        if able == 1:
            return f"{agent} was the only one who was available and able{self._since(decision, winner)}."
        text = f"of {able} agents who were available and able, {agent} {self._virtue(decision, winner)}"
        if decision.tie_break:
            text += f"; between equals the {decision.tie_break} decided"
        named = [f"{self._names.agent(o.agent)} ({self._worth(decision, o)})" for o in others[:MOST_NAMED]]
        return f"{text}. Next would have been {_list(named, 'then')}." if named else f"{text}."

    def _agent_looked(self, decision: Decision, agent: str) -> str:
        others = decision.contacts
        text = f"{agent} became free, and "
        if not others:
            return f"{text}it was the only contact that {agent} could have (it waits since {self._waits(decision)})."
        text += f"it came first of those that {agent} could have: {self._rank(decision, decision.contact)}"
        if decision.tie_break:
            text += f"; between equals the {decision.tie_break} decided"
        named = [f"{o.contact} ({self._rank(decision, o)})" for o in others[:MOST_NAMED]]
        return f"{text}. Next would have been {_list(named, 'then')}."

    def _waits(self, decision: Decision) -> str:
        return self.clock(decision.contact.queued_at, decision.at)

    def _rank(self, decision: Decision, candidate: ContactCandidate) -> str:
        parts = [f"priority {candidate.priority}", f"waiting since {self.clock(candidate.queued_at, decision.at)}"]
        if candidate.agents_priority != 1:
            parts.insert(0, f"the agent's priority {candidate.agents_priority} for {self._names.queue(candidate.queue)}")
        elif candidate.queue != decision.contact.queue:
            parts.append(self._names.queue(candidate.queue))
        if candidate.weight != 1:
            parts.append(f"weight {candidate.weight}")
        return ", ".join(parts)

    def _since(self, decision: Decision, winner: AgentCandidate) -> str:
        worth = self._worth(decision, winner)
        return f" ({worth})" if worth else ""

    def _virtue(self, decision: Decision, winner: AgentCandidate) -> str:
        known = _VIRTUES.get(decision.rule)
        worth = self._worth(decision, winner)
        return f"{known} ({worth})" if known is not None else f"came first by {decision.rule} ({worth})"

    def _worth(self, decision: Decision, candidate: AgentCandidate) -> str:
        """What an agent is ranked by, without the parts that are no reason."""
        found = []
        labels = decision.labels
        if len(labels) == len(candidate.key) + 1:  # where one agent was looked at, the tier is not in the key
            labels = labels[1:]
        for label, value in zip(labels, candidate.key, strict=False):
            text = self._figure(decision, label, value)
            if text:
                found.append(text)
        return ", ".join(found)

    def _figure(self, decision: Decision, label: str, value: float) -> str:
        match label:
            case "order":
                return ""
            case "available since":
                return f"since {self.clock(value, decision.at)}" if value > 0 else ""
            case "occupancy":
                return f"{100 * value:.0f} % of the time"
            case "proficiency (negative)":
                return f"proficiency {-value:g}"
            case "last offer":
                return "no offer yet" if value == 0 else f"last offer no. {value:g}"
            case _:
                return f"{label} {value:g}"

    def _others(self, decision: Decision, head: str = "") -> str:
        lacking = {"without-the-skill", "where", "other-team", "delay"}
        counts = {reason: number for reason, number in decision.others.items() if reason != "available" and number}
        total = sum(counts.values())
        if not total:
            return ""
        ordered = sorted(counts.items(), key=lambda pair: (pair[0] in lacking, -pair[1], pair[0]))
        words = [f"{number} {self._reason(decision, reason)}" for reason, number in ordered]
        opening = f"{head}: " if head else f"{total} other{'s' if total > 1 else ''}: "
        return f" {opening}{_list(words)}."

    def _reason(self, decision: Decision, reason: str) -> str:
        if reason == "without-the-skill":
            return f"without {self._need(Need(decision.need.skills))}" if decision.need.skills else "without the skill"
        if reason == "where":
            return f"not matching {decision.need.where}" if decision.need.where else "not matching the condition"
        return _REASONS.get(reason, reason)

    def _need(self, need: Need) -> str:
        parts = [describe(msgspec.structs.replace(s, skill=self._names.skills.get(s.skill, s.skill))) for s in need.skills]
        parts += [need.where] if need.where else []
        parts += [f"team {_list([self._names.teams.get(t, t) for t in need.teams], 'or')}"] if need.teams else []
        parts += [f"only {_list([self._names.agent(a) for a in need.agents], 'or')}"] if need.agents else []
        return _list(parts) or "no needs"

    # --- what else happens ----------------------------------------------------------------------------------------

    def _visit(self, effect: effects.VisitStarted) -> str:
        kind = " as a callback" if effect.kind == "callback" else ""
        text = f"It began to wait in {self._names.queue(effect.queue)}{kind} with priority {effect.priority}"
        if effect.need != Need():
            text += f", needing {self._need(effect.need)}"
        if effect.preferred:
            text += f"; {self._names.agent(effect.preferred)} is preferred for {_span(effect.patience)}"
        if effect.estimate is not None:
            text += f"; a wait of {_span(effect.estimate)} was predicted"
        return f"{text}."

    def _withdrawn(self, effect: effects.OfferWithdrawn) -> str:
        agent = self._names.agent(effect.agent)
        match effect.why:
            case "rona":
                return f"{agent} did not answer within {_span(effect.seconds)} (RONA): it keeps its place, at the front."
            case "declined":
                reason = f": {effect.reason}" if effect.reason else ""
                return f"{agent} declined it after {_span(effect.seconds)}{reason}."
            case _:
                return f"The offer to {agent} was withdrawn after {_span(effect.seconds)}: {_WITHDRAWN[effect.why]}."

    def _assigned(self, effect: effects.Assigned) -> str:
        agent = self._names.agent(effect.agent)
        if effect.callback:
            return f"{agent} has it; the customer is being called."
        if effect.by and effect.by != effect.agent:
            return f"{self._names.user(effect.by)} gave it to {agent}."
        return f"{agent} has it."

    def _segment_ended(self, effect: effects.SegmentEnded) -> str:
        agent = self._names.agent(effect.agent)
        if effect.how not in {"handled", "transferred"}:
            return f"{agent} no longer has it: {_HOW[effect.how]}."
        code = f", code {effect.code}" if effect.code else ""
        done = f"talk {_span(effect.talk)}, after-contact work {_span(effect.wrap_up)}{code}"
        return f"{agent} transferred it ({done})." if effect.how == "transferred" else f"{agent} is done with it ({done})."

    def _visit_ended(self, effect: effects.VisitEnded) -> str:
        queue = self._names.queue(effect.queue)
        if effect.answered_at is not None:
            return ""
        match effect.how:
            case "abandoned":
                return f"The customer left {queue} after {_span(effect.waited)}."
            case "short-abandoned":
                return f"The customer left {queue} after only {_span(effect.waited)}."
            case "flowed-out":
                to = f" to {self._target(effect.to)}" if effect.to is not None else ""
                return f"It left {queue}{to} after {_span(effect.waited)} ({_FLOWED.get(effect.reason, effect.reason)})."
            case _:
                return f"It left {queue} after {_span(effect.waited)}: {effect.how}."

    def _target(self, to: Target) -> str:
        match to.kind:
            case "queue":
                return self._names.queue(to.id)
            case "agent":
                return self._names.agent(to.id)
            case "team":
                return f"team {self._names.teams.get(to.id, to.id)}"
            case _:
                return f"{to.kind} {to.id}".strip()

    def _callback(self, effect: effects.CallbackChanged) -> str:
        by = f" by {self._names.user(effect.by)}" if effect.by else ""
        match effect.state:
            case "scheduled":
                return f"The callback will be tried from {self.clock(effect.at)} on{f': {effect.why}' if effect.why else ''}."
            case "answered":
                return "The customer answered the callback."
            case "over":
                return f"The callback is over{by}{f': {effect.why}' if effect.why else ''}."
            case "waiting":
                return f"The customer will be called back; the place is kept{by}."
            case _:
                return ""

    def _parked(self, effect: effects.Parked) -> str:
        agent = self._names.agent(effect.agent)
        return f"The conversation rests with {agent}." if effect.on else f"The conversation goes on with {agent}."

    def _final(self, effect: effects.ContactFinal) -> str:
        return f"It ended: {effect.final}, waited {_span(effect.waited)}, talked {_span(effect.talked)} in all."


def _span(seconds: float) -> str:
    """A duration for people."""
    if seconds < 0.05:
        return "0 s"
    if seconds < 10 and round(seconds, 1) != round(seconds):
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 90:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


def _list(words: Sequence[str], last: str = "and") -> str:
    if last == "then":
        return ", then ".join(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}" if words else ""


_VIRTUES = {
    "longest-available": "had been available longest",
    "least-occupied": "had been busy for the smallest part",
    "fewest-contacts": "had the fewest contacts",
    "round-robin": "had been offered something longest ago",
    "best-proficiency": "was the best at what is needed",
    "linear": "comes first in the fixed order",
}

_REASONS = {
    "logged-out": "logged out",
    "idle": "idle",
    "not-responding": "not responding",
    "unreachable": "not reachable",
    "reserved": "with another offer",
    "engaged": "engaged",
    "wrap-up": "in after-contact work",
    "full": "with no free slot for the channel",
    "delay": "who get the queue's contacts only later",
    "other-team": "of other teams",
    "not-in-queue": "of other queues",
    "not-named": "not named by it",
}

_WITHDRAWN = {
    "customer-left": "the customer left",
    "unreachable": "the agent could not be reached any more",
    "agent-left": "the agent logged out",
    "flowed-out": "the flow took it out of the queue",
    "failed": "the contact failed",
    "taken": "somebody else has it by hand",
    "cancelled": "it was cancelled",
    "changed": "its queue or its needs changed",
}

_HOW = {
    "failed": "the contact failed",
    "connect-failed": "they could not be connected",
    "agent-lost": "the agent's desk was lost",
    "not-reached": "the customer could not be reached",
}

_FLOWED = {
    "": "ended by its flow or the system",
    "unqueued": "taken out by its flow",
    "overflow": "overflow",
    "elsewhere": "answered from another queue",
    "callback": "the customer will be called back",
    "expired": "the time for the callback is over",
    "unreachable": "the customer could not be reached",
    "moved": "moved by a supervisor",
    "transferred": "transferred",
    "called-in": "the customer called in",
    "cancelled": "cancelled",
}

_WRITERS: dict[type[Any], Callable[[Writer, Any], str]] = {
    effects.VisitStarted: Writer._visit,
    effects.OfferMade: Writer.offer,
    effects.NobodyFor: Writer.nobody,
    effects.OfferWithdrawn: Writer._withdrawn,
    effects.Assigned: Writer._assigned,
    effects.SegmentEnded: Writer._segment_ended,
    effects.VisitEnded: Writer._visit_ended,
    effects.CallbackChanged: Writer._callback,
    effects.Parked: Writer._parked,
    effects.ContactFinal: Writer._final,
}
