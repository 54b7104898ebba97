"""What somebody sees who knows the engine by its effects alone: they must make sense in their order, whatever happens."""

from __future__ import annotations

from collections import Counter

from acd import effects

OPEN_STATES = {"arrived", "waiting", "offered", "engaged", "parked", "scheduled"}


class Receiver:
    """Follows effects; an assertion fails at the first that does not fit those before it."""

    def __init__(self) -> None:
        self.contacts: dict[str, str] = {}
        """State of every open contact."""
        self.finals: dict[str, str] = {}
        self.offers: dict[str, effects.OfferMade] = {}
        self.holds: dict[str, str] = {}
        self.parked: set[str] = set()
        self.segments: set[tuple[str, int]] = set()
        self.open_segments: dict[tuple[str, int], effects.SegmentStarted] = {}
        self.visits: dict[str, effects.VisitStarted] = {}
        self.started: Counter[str] = Counter()
        self.ended: dict[str, Counter[str]] = {}
        self.callbacks: set[str] = set()
        self.agents: dict[str, effects.AgentChanged] = {}
        self.wake: float | None = None
        self.unfinished = False

    def see(self, out: list[effects.Effect]) -> None:
        """The effects of one event."""
        for effect in out:
            method = getattr(self, f"_{type(effect).__name__}", None)
            if method is not None:
                method(effect)
        assert sum(isinstance(effect, effects.WakeAt) for effect in out) <= 1
        assert sum(isinstance(effect, effects.GoOn) for effect in out) <= 1

    def forget_queues(self, left: set[str]) -> None:
        """A configuration dropped queues: the engine forgets what it counted of them."""
        for queue in [queue for queue in self.started if queue not in left]:
            del self.started[queue]
            self.ended.pop(queue, None)

    # --- contacts -------------------------------------------------------------------------------------------------

    def _ContactChanged(self, effect: effects.ContactChanged) -> None:
        assert effect.contact not in self.finals
        if effect.contact not in self.contacts:
            assert effect.state == "arrived"
        if effect.state != "ended":
            self.contacts[effect.contact] = effect.state

    def _ContactFinal(self, effect: effects.ContactFinal) -> None:
        assert effect.contact not in self.finals
        assert effect.contact not in self.holds
        assert effect.waited >= 0
        assert effect.talked >= 0
        assert not [visit for visit in self.visits.values() if visit.contact == effect.contact]
        assert effect.contact not in self.callbacks, "a callback that was never over"
        del self.contacts[effect.contact]
        self.finals[effect.contact] = effect.final

    def _CallbackChanged(self, effect: effects.CallbackChanged) -> None:
        if effect.state in ("answered", "over"):
            self.callbacks.remove(effect.contact)
        else:
            self.callbacks.add(effect.contact)

    # --- visits ---------------------------------------------------------------------------------------------------

    def _VisitStarted(self, effect: effects.VisitStarted) -> None:
        assert effect.visit not in self.visits
        assert not [v for v in self.visits.values() if (v.contact, v.queue) == (effect.contact, effect.queue)]
        self.visits[effect.visit] = effect
        self.started[effect.queue] += 1

    def _VisitEnded(self, effect: effects.VisitEnded) -> None:
        start = self.visits.pop(effect.visit)
        assert (start.contact, start.queue, start.at) == (effect.contact, effect.queue, effect.queued_at)
        assert 0 <= effect.waited <= effect.ended_at - effect.queued_at + 1e-6
        self.ended.setdefault(effect.queue, Counter())[effect.how] += 1

    # --- offers and talks -----------------------------------------------------------------------------------------

    def _OfferMade(self, effect: effects.OfferMade) -> None:
        assert effect.contact not in self.finals
        assert effect.contact not in self.holds
        assert effect.offer not in self.offers
        for other in self.offers.values():
            assert effect.contact != other.contact, "offered to two"
            assert effect.agent != other.agent, "two offers at once"
        assert self.visits[effect.visit].queue == effect.queue
        assert (effect.decision.contact.contact, effect.decision.agent.agent) == (effect.contact, effect.agent)  # type: ignore[union-attr]
        assert effect.callback == (effect.contact in self.callbacks)
        self.offers[effect.offer] = effect

    def _OfferWithdrawn(self, effect: effects.OfferWithdrawn) -> None:
        made = self.offers.pop(effect.offer)
        assert (made.contact, made.agent) == (effect.contact, effect.agent)

    def _Assigned(self, effect: effects.Assigned) -> None:
        assert effect.contact not in self.finals
        assert effect.contact not in self.holds
        assert effect.callback == (effect.contact in self.callbacks)
        if effect.offer:
            made = self.offers.pop(effect.offer)
            assert (made.contact, made.agent) == (effect.contact, effect.agent)
        assert not [offer for offer in self.offers.values() if offer.contact == effect.contact]
        self.holds[effect.contact] = effect.agent

    def _Released(self, effect: effects.Released) -> None:
        assert self.holds.pop(effect.contact) == effect.agent
        self.parked.discard(effect.contact)

    def _Parked(self, effect: effects.Parked) -> None:
        assert self.holds[effect.contact] == effect.agent
        assert (effect.contact in self.parked) != effect.on
        (self.parked.add if effect.on else self.parked.discard)(effect.contact)

    def _SegmentStarted(self, effect: effects.SegmentStarted) -> None:
        key = (effect.contact, effect.number)
        assert key not in self.segments
        assert self.holds[effect.contact] == effect.agent
        self.segments.add(key)
        self.open_segments[key] = effect

    def _SegmentEnded(self, effect: effects.SegmentEnded) -> None:
        start = self.open_segments.pop((effect.contact, effect.number))
        assert (start.agent, start.queue, start.started) == (effect.agent, effect.queue, effect.started)
        assert effect.talk >= 0
        assert effect.wrap_up >= 0
        assert effect.started + effect.talk + effect.wrap_up <= effect.ended + 1e-6
        assert self.holds.get(effect.contact) != effect.agent or effect.how == "transferred", "released first"

    def _AgentChanged(self, effect: effects.AgentChanged) -> None:
        self.agents[effect.agent] = effect

    def _WakeAt(self, effect: effects.WakeAt) -> None:
        self.wake = effect.at

    def _GoOn(self, effect: effects.GoOn) -> None:
        self.unfinished = True
