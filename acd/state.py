"""The engine's changeable state, and the few primitives through which every role file changes it."""

from __future__ import annotations

from collections import Counter

import msgspec

from acd.effects import AgentChanged, ContactChanged, Effect, SegmentHow
from acd.errors import Refused
from acd.model import (
    AgentConfig,
    AgentState,
    Channel,
    Code,
    ContactState,
    DeferredState,
    FinalState,
    QueueConfig,
    Settings,
)
from acd.ordered import Ordered
from acd.timers import Timers

WaitingKey = tuple[int, float, int, str]
"""Priority, queued at, order, contact."""

FreeKey = tuple[float, int, str]
"""Available since, order, agent."""

_REMEMBERED_ENDS = 4096
"""How many ended contacts are remembered, only to say `contact-ended` instead of `unknown-contact`."""


class Segment(msgspec.Struct):
    """An agent's part of a contact, from the answer to the end of the wrap-up."""

    contact: str
    number: int
    queue: str
    visit: str
    started: float
    talk: float = 0.0
    how: SegmentHow = "handled"
    extensions: int = 0


class Contact(msgspec.Struct):
    """A contact that has no final state yet."""

    id: str
    channel: Channel
    entry_point: str
    arrived_at: float
    state: ContactState = "arrived"
    queue: str = ""
    visit: str = ""
    priority: int = 0
    queued_at: float = 0.0
    order: int = 0
    waiting_since: float | None = None
    """Start of the present wait; none while engaged or in no queue."""
    visit_waited: float = 0.0
    visit_talked: float = 0.0
    waited: float = 0.0
    talked: float = 0.0
    agent: str = ""
    offer: str = ""
    offers: int = 0
    answered_at: float | None = None
    segments: int = 0
    last_queue: str = ""
    last_agent: str = ""

    @property
    def key(self) -> WaitingKey:
        """The contact's place, kept from being queued to the end of the visit."""
        return (self.priority, self.queued_at, self.order, self.id)

    def waited_by(self, at: float) -> float:
        """Seconds waited in the present visit."""
        return self.visit_waited + (at - self.waiting_since if self.waiting_since is not None else 0.0)


class Agent(msgspec.Struct):
    """An agent; configuration aside, all that the engine remembers of them."""

    id: str
    state: AgentState = "logged-out"
    code: str = ""
    since: float = 0.0
    until: float | None = None
    reachable: bool = False
    next_state: DeferredState = ""
    next_code: str = ""
    contact: str = ""
    offer: str = ""
    free_since: float = 0.0
    free_order: int = 0
    segment: Segment | None = None

    @property
    def reason(self) -> str:
        """Why they are no candidate: the state, or `unreachable`; `available` is a candidate."""
        return "unreachable" if self.state == "available" and not self.reachable else self.state

    @property
    def key(self) -> FreeKey:
        """The agent's place among the longest available."""
        return (self.free_since, self.free_order, self.id)


class Offer(msgspec.Struct):
    """An offer that is out."""

    id: str
    contact: str
    agent: str
    queue: str
    made_at: float
    deadline: float


class History(msgspec.Struct):
    """What a queue has seen, faded by each new sight, for estimates."""

    handled: float = 0.0
    handling: float = 0.0
    abandoned: float = 0.0
    waited: float = 0.0


class Visits(msgspec.Struct):
    """Counts of a queue's visits."""

    offered: int = 0
    ended: dict[FinalState, int] = msgspec.field(default_factory=dict)


class Queue:
    """A queue with who waits in it, and the pools that serve it."""

    __slots__ = ("config", "history", "pools", "visits", "waiting", "wrap_up_codes")

    def __init__(self, config: QueueConfig, history: History, visits: Visits) -> None:
        self.config = config
        self.history = history
        self.visits = visits
        self.waiting: Ordered[WaitingKey] = Ordered()
        self.pools: list[Pool] = []
        self.wrap_up_codes = frozenset(code.code for code in config.wrap_up_codes)


class Pool:
    """The agents who serve exactly the same queues: one ordered collection for all of them, however many queues."""

    __slots__ = ("counts", "free", "queues")

    def __init__(self, queues: list[Queue]) -> None:
        self.queues = queues
        self.free: Ordered[FreeKey] = Ordered()
        self.counts: Counter[str] = Counter()


class Floor:
    """Everything the engine knows; role files get it and change it through these methods."""

    def __init__(self) -> None:
        self.at = 0.0
        self.events = 0
        self.settings = Settings()
        self.queues: dict[str, Queue] = {}
        self.agent_configs: dict[str, AgentConfig] = {}
        self.agents: dict[str, Agent] = {}
        self.idle_codes: dict[str, Code] = {}
        self.contacts: dict[str, Contact] = {}
        self.offers: dict[str, Offer] = {}
        self.recent_ends: dict[str, None] = {}
        self.arrived = 0
        self.ended: dict[FinalState, int] = {}
        self.orders = 0
        self.timers = Timers()
        self.rematching = False
        """A change of configuration left more matches to make than one event may."""
        self.pools: dict[tuple[str, ...], Pool] = {}
        self.pool_of: dict[str, Pool] = {}
        self.out: list[Effect] = []

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

    def next_order(self) -> int:
        """A number that breaks ties of the same instant: smaller came first."""
        self.orders += 1
        return self.orders

    def change_agent(
        self,
        agent: Agent,
        state: AgentState,
        code: str = "",
        *,
        until: float | None = None,
        since: float | None = None,
    ) -> None:
        """Give the agent a state (since now); the pool's order and counts follow, and everybody is told."""
        before = agent.reason
        pool = self.pool_of[agent.id]
        if before == "available":
            pool.free.remove(agent.key)
        agent.state, agent.code, agent.until = state, code, until
        agent.since = self.at if since is None else since
        self._placed(agent, pool, before)
        self.tell_agent(agent)

    def change_reachable(self, agent: Agent, reachable: bool) -> None:
        """The agent's softphone came or went; who comes back stands behind those who were available meanwhile."""
        before = agent.reason
        pool = self.pool_of[agent.id]
        if before == "available":
            pool.free.remove(agent.key)
        agent.reachable = reachable
        if reachable and agent.state == "available":
            self.stamp_free(agent)
        self._placed(agent, pool, before)

    def _placed(self, agent: Agent, pool: Pool, before: str) -> None:
        after = agent.reason
        if after != before:
            pool.counts[before] -= 1
            pool.counts[after] += 1
        if after == "available":
            pool.free.add(agent.key)

    def stamp_free(self, agent: Agent) -> None:
        """From now on the agent counts as available."""
        agent.free_since = self.at
        agent.free_order = self.next_order()

    def tell_agent(self, agent: Agent) -> None:
        """Emit the agent's present state."""
        self.out.append(
            AgentChanged(
                agent.id,
                agent.state,
                agent.code,
                agent.since,
                agent.until,
                agent.next_state,
                agent.next_code,
                agent.contact,
            )
        )

    def change_contact(self, contact: Contact, state: ContactState) -> None:
        """Give the contact a state; it stands in its queue's order exactly while it is `waiting`."""
        if contact.state == "waiting":
            self.queues[contact.queue].waiting.remove(contact.key)
        contact.state = state
        if state == "waiting":
            self.queues[contact.queue].waiting.add(contact.key)
        self.out.append(ContactChanged(contact.id, state, contact.queue, contact.agent))

    def forget_contact(self, contact: Contact) -> None:
        """The contact has its final state; only its id is remembered for a while."""
        del self.contacts[contact.id]
        self.recent_ends[contact.id] = None
        if len(self.recent_ends) > _REMEMBERED_ENDS:
            del self.recent_ends[next(iter(self.recent_ends))]

    def rebuild_pools(self) -> None:
        """Derive the pools from configuration and the agents' states."""
        self.pools = {}
        self.pool_of = {}
        for queue in self.queues.values():
            queue.pools = []
        position = {id: index for index, id in enumerate(self.queues)}
        members = {id: frozenset(queue.config.team_agents) for id, queue in self.queues.items()}
        everybody = tuple(id for id in self.queues if not members[id])
        team_queues: dict[str, list[str]] = {}
        for id, queue in self.queues.items():
            for member in queue.config.team_agents:
                team_queues.setdefault(member, []).append(id)
        for id, agent in self.agents.items():
            own = self.agent_configs[id].queues
            if own:
                served = tuple(sorted({q for q in own if not members[q] or id in members[q]}, key=position.__getitem__))
            elif id in team_queues:
                served = tuple(sorted({*everybody, *team_queues[id]}, key=position.__getitem__))
            else:
                served = everybody
            pool = self.pools.get(served)
            if pool is None:
                pool = self.pools[served] = Pool([self.queues[q] for q in served])
                for queue in pool.queues:
                    queue.pools.append(pool)
            self.pool_of[id] = pool
            pool.counts[agent.reason] += 1
            if agent.reason == "available":
                pool.free.add(agent.key)
