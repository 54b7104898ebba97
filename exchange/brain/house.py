"""The state of the exchange: engine, flows and talks, a pure fold over the log. The same records give the same effects."""

from __future__ import annotations

from collections import deque
from typing import Any, Literal

import msgspec
import structlog

import acd.effects as decided
import acd.events as routing
from acd.engine import Engine
from acd.errors import Refused
from acd.events import Configured
from acd.model import Code, QueueConfig, Target
from exchange.brain import callbacks, records
from exchange.brain.ids import recording_id
from exchange.brain.records import Input, Record
from exchange.brain.wakes import Wakes
from ivr import effects as flow_effects
from ivr import inputs as flow_inputs
from ivr.runner import Runner
from ivr.state import FlowState

log = structlog.get_logger()

REFUSALS: dict[str, flow_inputs.Refusal] = {"queue-full": "full", "queue-closed": "closed"}
"""The engine's codes in the words of flows."""

OVERFLOWS: dict[str, flow_inputs.Refusal] = {
    "closed": "closed",
    "nobody-logged-in": "nobody",
    "nobody-with-the-skill": "nobody",
}
"""Why a queue gave a contact back to its flow; the rest is `full`."""

PARTED = {"connect-failed", "agent-lost", "requeued", "transferred", "resumed", "not-reached"}
"""Why an agent no longer has a contact that goes on: its flow does, too."""

CASCADE_LIMIT = 10_000
"""Steps that one record may cause; more is a loop in a flow, which then fails."""


class Talk(msgspec.Struct):
    """One voice contact: where its call lives, who talks, and how."""

    contact: str
    card: str
    generation: str
    call: str
    party: str
    entry_point: str
    flow: FlowState
    arrived: float
    gone: bool = False
    final: str = ""
    agent: str = ""
    agent_since: float = 0.0
    held: bool = False
    held_since: float = 0.0
    held_seconds: float = 0.0
    muted: bool = False
    visits: int = 0
    recordings: int = 0
    recording: str = ""
    paused: bool = False
    recording_failed: bool = False
    web: bool = False
    browser: records.Browser | None = None
    reachable: records.Reachable = ""
    callback: Literal["", "taken", "reserved", "dialling", "answered"] = ""
    dials: int = 0
    tries: int = 0
    """Of the callback, as the engine counts them: the present one included."""


class Outcome(msgspec.Struct):
    """What one record leads to, in order; the shell carries it out once the record is durable."""

    flow: list[tuple[str, flow_effects.FlowEffect]] = []
    decided: list[decided.Effect] = []
    talks: dict[str, None] = {}
    """Contacts whose talk changed (a dict for its order)."""
    agents: dict[str, None] = {}
    over: list[str] = []
    """Contacts that have their final state now."""
    resting: list[str] = []
    """Contacts that go on without the call that they had."""


class House:
    """Engine, flows and talks; `apply` is the only way in."""

    def __init__(self, runner: Runner, *, recordings: bool) -> None:
        self.engine = Engine()
        self.runner = runner
        self.talks: dict[str, Talk] = {}
        self.by_agent: dict[str, str] = {}
        self.configured: Configured | None = None
        self.wake_at: float | None = None
        self.last_at = 0.0
        self.cursors: dict[str, tuple[str, int]] = {}
        self._recordings = recordings
        self._calls: dict[tuple[str, str], str] = {}
        self._wakes = Wakes()
        self._queue: deque[tuple[str, Any]] = deque()
        self._out = Outcome()
        self.now = 0.0

    # --- reading --------------------------------------------------------------------------------------------------

    def contact_of(self, card: str, call: str) -> str | None:
        """The contact whose call has this id on this card."""
        return self._calls.get((card, call))

    def queue(self, id: str) -> QueueConfig | None:
        """A queue's rules."""
        return next((q for q in self.configured.queues if q.id == id), None) if self.configured is not None else None

    def queue_names(self) -> dict[str, str]:
        """Names of all queues by id."""
        return {q.id: q.name for q in self.configured.queues} if self.configured is not None else {}

    def idle_codes(self) -> list[Code]:
        """What an idle agent can say of it."""
        return self.configured.idle_codes if self.configured is not None else []

    def next_wake(self) -> float | None:
        """When the next deadline of engine or flows falls."""
        if self.engine.unfinished:
            return self.last_at
        times = [t for t in (self.wake_at, self._wakes.next()) if t is not None]
        return min(times, default=None)

    # --- the fold -------------------------------------------------------------------------------------------------

    def apply(self, record: Record) -> Outcome:
        """Take one record; raises acd.errors.Refused when the engine does not allow it (then nothing has changed)."""
        self._out = Outcome([], [], {}, {}, [], [])
        self.now = record.at
        self._queue.clear()
        self._take(record.input)
        steps = 0
        while self._queue:
            contact, item = self._queue.popleft()
            steps += 1
            if steps > CASCADE_LIMIT:
                raise RuntimeError(f"a record causes more than {CASCADE_LIMIT} steps")
            self._step(contact, item)
        self.last_at = max(self.last_at, record.at)
        if record.source is not None:
            self.cursors[record.source.card] = (record.source.generation, record.source.seq)
        return self._out

    def _take(self, input: Input) -> None:
        match input:
            case records.Routing(event):
                self.route(msgspec.structs.replace(event, at=self.now))
                if isinstance(event, Configured):
                    self.configured = event
            case records.Presences(changes):
                for change in changes:
                    self.derive(msgspec.structs.replace(change, at=self.now))
            case records.Arrived():
                self._arrive(input)
            case records.FlowAnswer(contact, answer):
                self.feed(contact, answer)
            case records.CustomerGone(contact, reason):
                self._customer_gone(contact, reason)
            case records.CardDied(card, generation):
                for talk in [t for t in self.talks.values() if (t.card, t.generation) == (card, generation)]:
                    self._customer_gone(talk.contact, "card-died", failed=True)
            case records.LineBack(contact):
                self.feed(contact, flow_inputs.Resumed())
            case records.Asked():
                self._asked(input)
            case records.BridgeFailed(contact, agent, reason):
                self.route(routing.ConnectFailed(self.now, contact, agent, reason))
            case records.LineLeased():
                callbacks.leased(self, input)
            case records.NotDialled():
                callbacks.not_dialled(self, input)
            case records.LegLost():
                callbacks.never_placed(self, input)
            case records.CustomerThere():
                callbacks.there(self, input, recordings=self._recordings)
            case records.RecordingClosed(contact, recording, _, failed):
                self._recording_closed(contact, recording, failed)
            case records.Clock():
                self._clock()
            case records.Booted(gap):
                self.route(routing.Recovered(self.now, gap))
                for talk in list(self.talks.values()):
                    self.feed(talk.contact, flow_inputs.Resumed(gap))

    # --- calls ----------------------------------------------------------------------------------------------------

    def _arrive(self, arrived: records.Arrived) -> None:
        contact = arrived.contact
        flow = self.runner.begin(contact, arrived.flow, arrived.version)
        talk = self.talks[contact] = self.new_talk(contact, arrived.entry_point, flow, self.now)
        talk.card, talk.generation, talk.call, talk.party = arrived.card, arrived.generation, arrived.call, arrived.party
        talk.web, talk.browser, talk.reachable = arrived.web, arrived.browser, arrived.reachable
        self.know_call(talk)
        self.route(routing.ContactArrived(self.now, contact, "voice", arrived.entry_point, arrived.customer))
        self.feed(contact, flow_inputs.Started(contact, {"called": arrived.entry_point}))

    def _customer_gone(self, contact: str, reason: str, *, failed: bool = False) -> None:
        talk = self.talks.get(contact)
        if talk is None or talk.gone or callbacks.gone(self, talk, reason):
            return
        talk.gone = True
        if not talk.final:
            event: routing.Event = routing.CustomerLeft(self.now, contact)
            if failed:
                event = routing.ContactEnded(self.now, contact, "system", failed=True)
            self.derive(event)
        self.feed(contact, flow_inputs.CallerLeft())
        self._out.talks[contact] = None

    def _asked(self, asked: records.Asked) -> None:
        talk = self.talks.get(asked.contact)
        if talk is None or talk.agent != asked.agent or talk.final:
            raise Refused("not-your-contact", "You are not connected with this contact.")
        match asked.what:
            case "hold":
                self._hold(talk, asked.on)
            case "mute":
                talk.muted = asked.on
            case "record":
                if not talk.recording:
                    raise Refused("not-recorded", "This call is not recorded.")
                talk.paused = not asked.on
            case "hang_up":
                self.route(routing.ContactEnded(self.now, talk.contact, "agent"))
                self.feed(talk.contact, flow_inputs.TalkEnded("agent"))
        self._out.talks[talk.contact] = None
        self._out.agents[asked.agent] = None

    def _hold(self, talk: Talk, on: bool) -> None:
        if talk.held and not on:
            talk.held_seconds += self.now - talk.held_since
        elif on and not talk.held:
            talk.held_since = self.now
        talk.held = on

    def _recording_closed(self, contact: str, recording: str, failed: str) -> None:
        talk = self.talks.get(contact)
        if talk is None or talk.recording != recording:
            return
        talk.recording_failed = bool(failed)
        if talk.agent:
            self._out.agents[talk.agent] = None

    # --- time -----------------------------------------------------------------------------------------------------

    def _clock(self) -> None:
        if self.wake_at is not None and self.wake_at <= self.now:
            self.wake_at = None
            self.derive(routing.DeadlineReached(self.now))
        if self.engine.unfinished:
            self.derive(routing.Continue(self.now))
        due = self._wakes.due(self.now)
        for contact in [contact for contact in self.talks if contact in due] if due else ():  # in the talks' order, for replay
            self._place(contact)
            self.feed(contact, flow_inputs.DeadlineReached())

    def _place(self, contact: str) -> None:
        """Tell the flow its place, when it has one."""
        view = self.engine.contact(contact)
        if view is None or view.state not in {"waiting", "offered"}:
            return
        estimate = self.engine.estimate(contact, self.now)
        seconds = estimate.seconds if estimate is not None and estimate.seconds is not None else -1.0
        position = estimate.position if estimate is not None else 1
        self.feed(contact, flow_inputs.QueueChanged(position, self.engine.waiting(view.queue), seconds))

    # --- the cascade ----------------------------------------------------------------------------------------------

    def feed(self, contact: str, input: flow_inputs.FlowInput) -> None:
        self._queue.append((contact, input))

    def _step(self, contact: str, input: flow_inputs.FlowInput) -> None:
        talk = self.talks.get(contact)
        if talk is None:
            return
        talk.flow, effects = self.runner.handle(talk.flow, input, self.now)
        self._note_wake(talk)
        for effect in effects:
            match effect:
                case flow_effects.EnterQueue():
                    self._enter_queue(talk, effect)
                case flow_effects.LeaveQueue():
                    self._leave_queue(talk)
                case flow_effects.OfferCallback():
                    callbacks.offer(self, talk, effect)
                case flow_effects.TakeCallback():
                    callbacks.take(self, talk, effect)
                case flow_effects.HangUp(reason):
                    if not talk.final and not talk.callback:
                        self.derive(routing.ContactEnded(self.now, contact, "flow", failed=reason == "error"))
                    self._out.flow.append((contact, effect))
                case flow_effects.WakeAt():
                    pass  # next_wake reads it from the flow's state
                case _:
                    self._out.flow.append((contact, effect))
        self._settle(talk)

    def _note_wake(self, talk: Talk) -> None:
        """Keep the flow's next deadline at hand: it is looked for after every input, among all talks."""
        self._wakes.put(talk.contact, talk.flow.wake_at if not talk.flow.ended else None)

    def _settle(self, talk: Talk) -> None:
        """A talk whose customer is gone and whose contact has its final state is over."""
        if talk.gone and talk.final and self.talks.pop(talk.contact, None) is not None:
            self._wakes.put(talk.contact, None)
            self._calls.pop((talk.card, talk.call), None)
            self._out.over.append(talk.contact)

    def _enter_queue(self, talk: Talk, effect: flow_effects.EnterQueue) -> None:
        if talk.gone:
            return
        if talk.callback:
            self.feed(talk.contact, flow_inputs.CommandFailed(effect.id, "callback-exists"))
            return
        view = self.engine.contact(talk.contact)
        if view is not None and any(visit.queue == effect.queue for visit in view.visits):
            self._place(talk.contact)  # it never left: a callback was offered meanwhile
            return
        known = effect.queue in self.engine.queues()
        if known and not self.engine.staffed(effect.queue) and not self.engine.has_rule(effect.queue, "nobody-logged-in"):
            self.feed(talk.contact, flow_inputs.Unavailable("nobody"))
            return
        talk.visits += 1
        visit = f"{talk.contact}:{talk.visits}"
        event = routing.ContactQueued(self.now, talk.contact, effect.queue, effect.priority, visit)
        try:
            self.route(event)
        except Refused as error:
            answer: flow_inputs.FlowInput = flow_inputs.CommandFailed(effect.id, error.code)
            if error.code in REFUSALS:
                answer = flow_inputs.Unavailable(REFUSALS[error.code])
            self.feed(talk.contact, answer)
            return
        self._place(talk.contact)

    def _leave_queue(self, talk: Talk) -> None:
        view = self.engine.contact(talk.contact)
        if view is None or view.callback or view.state not in {"waiting", "offered", "scheduled"}:
            return
        self.derive(routing.ContactUnqueued(self.now, talk.contact))

    # --- the engine -----------------------------------------------------------------------------------------------

    def derive(self, event: routing.Event) -> None:
        """An engine event that follows from another; a refusal is a fact of the log as well, and harmless."""
        try:
            self.route(event)
        except Refused as error:
            log.info("engine refused a derived event", event_kind=routing.kind(event), code=error.code)

    def route(self, event: routing.Event) -> None:
        stranded: list[str] = []
        for effect in self.engine.handle(event):
            self._out.decided.append(effect)
            match effect:
                case decided.WakeAt(at):
                    self.wake_at = at
                case decided.AgentChanged(agent) | decided.OfferMade(_, _, agent) | decided.OfferWithdrawn(_, _, agent):
                    self._out.agents[agent] = None
                case decided.Assigned(contact, agent, callback=callback):
                    self._assigned(contact, agent, callback=callback)
                case decided.CallbackChanged():
                    callbacks.changed(self, effect)
                case decided.Released(contact, agent, why):
                    self._released(contact, agent, why)
                case decided.Overflowed(contact, _, why, to):
                    if self._overflowed(contact, why, to):
                        stranded.append(contact)
                case decided.ContactFinal(contact, final):
                    talk = self.talks.get(contact)
                    if talk is not None:
                        talk.final = final
                        self._settle(talk)
                case _:
                    pass
        for contact in stranded:
            self.derive(routing.ContactEnded(self.now, contact, "flow"))

    def _overflowed(self, contact: str, why: str, to: Target | None) -> bool:
        """Out of the queues by a rule: the flow goes on; what stays within the engine needs no word. True: it has no flow."""
        if to is not None and to.kind in {"queue", "team", "agent"}:
            return False
        talk = self.talks.get(contact)
        if talk is not None and talk.callback:
            return True
        if to is None:
            self.feed(contact, flow_inputs.Unavailable(OVERFLOWS.get(why, "full")))
        else:
            self.feed(contact, flow_inputs.Unavailable("overflow", to.kind, to.id))
        return False

    def _assigned(self, contact: str, agent: str, *, callback: bool) -> None:
        talk = self.talks.get(contact)
        if talk is None:
            return
        talk.agent, talk.agent_since = agent, self.now
        talk.held = talk.muted = False
        self.by_agent[agent] = contact
        if callback:
            callbacks.assigned(self, talk)
        elif self._recordings and not talk.recording:
            talk.recordings += 1
            talk.recording = recording_id(contact, talk.recordings)
        if not callback:
            self.feed(contact, flow_inputs.Assigned(agent))
        self._out.talks[contact] = None
        self._out.agents[agent] = None

    def _released(self, contact: str, agent: str, why: str) -> None:
        if self.by_agent.get(agent) == contact:
            del self.by_agent[agent]
        self._out.agents[agent] = None
        talk = self.talks.get(contact)
        if talk is None:
            return
        self._hold(talk, False)
        talk.agent = ""
        talk.muted = False
        self._out.talks[contact] = None
        if talk.callback in callbacks.UNDER_WAY:
            callbacks.released(self, talk)
        elif why in PARTED:
            self.feed(contact, flow_inputs.Unassigned(why))
            self._place(contact)

    # --- for callbacks --------------------------------------------------------------------------------------------

    def new_talk(self, contact: str, entry_point: str, flow: FlowState, arrived: float) -> Talk:
        """One without a call."""
        return Talk(contact, "", "", "", "", entry_point, flow, arrived)

    def know_call(self, talk: Talk) -> None:
        """The talk has this call now."""
        self._calls[talk.card, talk.call] = talk.contact

    def forget_call(self, talk: Talk) -> None:
        """The talk is left without its call."""
        if self._calls.pop((talk.card, talk.call), None) is not None:
            self._out.resting.append(talk.contact)

    def changed(self, talk: Talk) -> None:
        """Whoever shows or carries out this talk must look at it again."""
        self._out.talks[talk.contact] = None
        if talk.agent:
            self._out.agents[talk.agent] = None

    def let_out(self, contact: str, effect: flow_effects.FlowEffect) -> None:
        """As if the flow wanted it."""
        self._out.flow.append((contact, effect))


class Snapshot(msgspec.Struct):
    """The house at one point of the log."""

    engine: bytes
    talks: list[Talk]
    wake_at: float | None
    last_at: float
    cursors: dict[str, tuple[str, int]]
    configured: Configured | None


def freeze(house: House) -> bytes:
    """A snapshot as msgpack."""
    talks = list(house.talks.values())
    snapshot = Snapshot(house.engine.snapshot(), talks, house.wake_at, house.last_at, house.cursors, house.configured)
    return msgspec.msgpack.encode(snapshot)


def thaw(house: House, data: bytes) -> None:
    """Put a snapshot's state into a new house; raises ValueError."""
    snapshot = msgspec.msgpack.decode(data, type=Snapshot)
    house.engine = Engine.restore(snapshot.engine)
    house.talks = {t.contact: t for t in snapshot.talks}
    house.by_agent = {t.agent: t.contact for t in snapshot.talks if t.agent}
    house._wakes = Wakes()
    house._calls = {(t.card, t.call): t.contact for t in snapshot.talks if t.card}
    for talk in snapshot.talks:
        house._note_wake(talk)
    house.configured = snapshot.configured
    house.wake_at, house.last_at, house.cursors = snapshot.wake_at, snapshot.last_at, snapshot.cursors
