"""The engine's changeable state, and the few primitives through which every role file changes it."""

from __future__ import annotations

import msgspec

from acd.capacity import ONE_AT_A_TIME, Capacity
from acd.cases import Contact, Left, Visit, WaitingKey
from acd.effects import AgentChanged, ContactChanged, Effect
from acd.errors import Refused
from acd.heads import Heads
from acd.lanes import Lane, LaneKey, stand, step_out
from acd.model import (
    AgentConfig,
    Channel,
    Code,
    ContactState,
    FinalState,
    ProfileConfig,
    QueueConfig,
    Settings,
    SkillConfig,
    TeamConfig,
    WorkView,
)
from acd.ordered import Ordered
from acd.people import Agent, Offer
from acd.roster import Roster, Seat
from acd.strategies import DEFAULT, STRATEGIES
from acd.timers import Timers

_REMEMBERED_ENDS = 4096
"""How many ended contacts are remembered, only to say `contact-ended` instead of `unknown-contact`."""


class History(msgspec.Struct):
    """What a queue has seen, faded by each new sight, for estimates; and how good those were."""

    handled: float = 0.0
    handling: float = 0.0
    abandoned: float = 0.0
    waited: float = 0.0
    estimates: int = 0
    error: float = 0.0
    absolute_error: float = 0.0
    within_p90: int = 0


class Visits(msgspec.Struct):
    """Counts of a queue's visits."""

    offered: int = 0
    open: int = 0
    callbacks: int = 0
    ended: dict[FinalState, int] = {}


class Sweep(msgspec.Struct):
    """Work on many contacts that goes on in `Continue` events: a queue whose rules have begun to apply, or, without a queue, a
    match of everybody after a new configuration. `after` is place, order and id of the visit dealt with last."""

    queue: str = ""
    after: tuple[float, int, str] | None = None


class Pool:
    """The agents who serve exactly the same queues."""

    __slots__ = ("mask", "queues", "wanted")

    def __init__(self, queues: list[Queue]) -> None:
        self.queues = queues
        self.mask = 0
        self.wanted = 0
        """In how many of the queues somebody waits."""


class Queue:
    """A queue with who waits in it and who serves it."""

    __slots__ = (
        "config",
        "delays",
        "empty",
        "heads",
        "history",
        "lanes",
        "levels",
        "members",
        "pools",
        "rules",
        "shut",
        "strategy",
        "visits",
        "waiting",
        "waits",
        "wrap_up_codes",
    )

    def __init__(self, config: QueueConfig, history: History, visits: Visits, *, shut: bool) -> None:
        self.config = config
        self.history = history
        self.visits = visits
        self.shut = shut
        """Closed by a supervisor."""
        self.strategy = STRATEGIES.get(config.strategy, DEFAULT)
        self.waiting: Ordered[WaitingKey] = Ordered()
        self.lanes: dict[LaneKey, Lane] = {}
        self.empty: dict[Lane, None] = {}
        self.heads = Heads()
        """First contacts of the lanes that are not empty."""
        self.delays: list[float] = []
        self.members: list[int] = [0]
        """Who serves it: those without a delay, and then with each delay more."""
        self.levels: list[tuple[int, int]] = []
        self.pools: list[Pool] = []
        self.wrap_up_codes = frozenset(code.code for code in config.wrap_up_codes)
        self.waits = sorted(rule.over for rule in config.overflow if rule.when == "wait")
        self.rules = frozenset(rule.when for rule in config.overflow)


class Floor:
    """Everything the engine knows; role files get it and change it through these methods."""

    def __init__(self) -> None:
        self.at = 0.0
        self.events = 0
        self.settings = Settings()
        self.queues: dict[str, Queue] = {}
        self.agent_configs: dict[str, AgentConfig] = {}
        self.teams: dict[str, TeamConfig] = {}
        self.profiles: dict[str, ProfileConfig] = {}
        self.skills: dict[str, SkillConfig] = {}
        self.agents: dict[str, Agent] = {}
        self.idle_codes: dict[str, Code] = {}
        self.periods: dict[str, bool] = {}
        self.contacts: dict[str, Contact] = {}
        self.visits: dict[str, Visit] = {}
        self.offers: dict[str, Offer] = {}
        self.recent_ends: dict[str, None] = {}
        self.callbacks: dict[str, str] = {}
        """The open callback of a customer."""
        self.left: dict[tuple[str, str], Left] = {}
        """Places that may be had again, by customer and queue."""
        self.arrived = 0
        self.ended: dict[FinalState, int] = {}
        self.orders = 0
        self.timers = Timers()
        self.sweeps: list[Sweep] = []
        self.going_on = False
        """`GoOn` is out."""
        self.accepting: list[str] = []
        """Offers that are accepted by themselves before the event is over."""
        self.by_hand = False
        """Nothing is accepted by itself, whatever the rules say: to look at decisions."""
        self.roster = Roster()
        self.standing: dict[str, Lane] = {}
        """In which lane a visit stands that waits for a match."""
        self.aside: dict[str, dict[str, Lane]] = {}
        """Lanes that are found through an agent or a team, by `agent/ID` and `team/ID`, then by their first visit."""
        self.capacities: dict[str, Capacity] = {"": Capacity(ONE_AT_A_TIME)}
        self.out: list[Effect] = []

    # --- finding --------------------------------------------------------------------------------------------------

    def agent(self, id: str) -> Agent:
        """The agent; refused when unknown."""
        agent = self.agents.get(id)
        if agent is None:
            raise Refused("unknown-agent", f"there is no agent {id}")
        return agent

    def contact(self, id: str) -> Contact:
        """The contact; refused when unknown or ended."""
        contact = self.contacts.get(id)
        if contact is None:
            if id in self.recent_ends:
                raise Refused("contact-ended", f"contact {id} has ended")
            raise Refused("unknown-contact", f"there is no contact {id}")
        return contact

    def queue(self, id: str) -> Queue:
        """The queue; refused when unknown."""
        queue = self.queues.get(id)
        if queue is None:
            raise Refused("unknown-queue", f"there is no queue {id}")
        return queue

    def seat(self, agent: Agent) -> Seat:
        """What follows from the agent's configuration and state."""
        return self.roster.by_id[agent.id]

    def closed(self, queue: Queue) -> bool:
        """Whether a supervisor or the hours have closed the queue."""
        hours = queue.config.hours
        return queue.shut or bool(hours and not self.periods.get(hours, False))

    def next_order(self) -> int:
        """A number that breaks ties of the same instant: smaller came first."""
        self.orders += 1
        return self.orders

    # --- agents ---------------------------------------------------------------------------------------------------

    def settle(self, agent: Agent, *, tell: bool = True, by: str = "") -> None:
        """After any change of an agent: the summary state, what they are free for, their places; everybody is told."""
        seat = self.roster.by_id[agent.id]
        self.seat_of(agent, seat)
        if tell:
            self.tell_agent(agent, by)

    def seat_of(self, agent: Agent, seat: Seat) -> None:
        """Derive the seat from the agent's state."""
        state = agent.summary()
        if state != agent.state:
            self.measure(agent)
            agent.state = state
            agent.since = agent.free_since if state == "available" else self.at
        open = 0
        if agent.presence == "available" and not agent.offer and not agent.next_state:
            open = seat.capacity.room(agent) & agent.reach
        reason = "unreachable" if state == "available" and not agent.reach else state
        self.roster.put(seat, reason, open)

    def measure(self, agent: Agent) -> None:
        """Add the time in the present state up to now to the agent's working or available time."""
        seconds = self.at - agent.measured
        agent.measured = self.at
        if agent.state in ("engaged", "wrap-up"):
            agent.busy += seconds
        elif agent.state in ("available", "reserved"):
            agent.ready += seconds

    def stamp_free(self, agent: Agent) -> None:
        """From now on the agent counts as available."""
        self.measure(agent)
        total = agent.busy + agent.ready
        agent.occupancy = agent.busy / total if total else 0.0
        agent.free_since = self.at
        agent.free_order = self.next_order()

    def tell_agent(self, agent: Agent, by: str = "") -> None:
        """Emit the agent's present state."""
        works = self.works_of(agent)
        contact, until = self.shown(agent)
        self.out.append(
            AgentChanged(
                agent.id,
                agent.state,
                agent.code if agent.state == agent.presence else "",
                agent.since,
                until,
                agent.next_state,
                agent.next_code,
                contact,
                self.channels_of(agent),
                works,
                by,
            )
        )

    def shown(self, agent: Agent) -> tuple[str, float | None]:
        """The contact that the agent's state is about, and when the state ends by itself."""
        if agent.state == "reserved":
            offer = self.offers[agent.offer]
            return offer.contact, offer.deadline
        if not agent.works:
            return "", agent.pause_ends
        ends = (work.until for work in agent.works if work.until is not None)
        return agent.works[0].contact, None if agent.state == "engaged" else min(ends, default=agent.pause_ends)

    def channels_of(self, agent: Agent) -> dict[Channel, str]:
        """The agent's state by channel, if they have a profile."""
        seat = self.roster.by_id[agent.id]
        return seat.capacity.states(agent, seat.open) if seat.capacity.config.id else {}

    def works_of(self, agent: Agent) -> tuple[WorkView, ...]:
        """What the agent has at hand."""
        found = []
        for work in agent.works:
            left = 0
            if work.state == "wrap-up":
                left = self.queues[work.queue].config.wrap_up_of(work.channel).extensions - work.extensions
            found.append(WorkView(work.contact, work.channel, work.queue, work.state, work.since, work.until, left))
        return tuple(found)

    # --- contacts -------------------------------------------------------------------------------------------------

    def change_contact(self, contact: Contact, state: ContactState) -> None:
        """Give the contact a state; its visits stand in their queues' order exactly while it is `waiting`."""
        if contact.state == "waiting":
            for visit in contact.visits:
                step_out(self, visit)
        contact.state = state
        if state == "waiting":
            for visit in contact.visits:
                stand(self, visit)
        queue = contact.visits[0].queue if contact.visits else ""
        self.out.append(ContactChanged(contact.id, state, queue, contact.agent, contact.channel))

    def forget_contact(self, contact: Contact) -> None:
        """The contact has its final state; only its id is remembered for a while."""
        del self.contacts[contact.id]
        self.recent_ends[contact.id] = None
        if len(self.recent_ends) > _REMEMBERED_ENDS:
            del self.recent_ends[next(iter(self.recent_ends))]
