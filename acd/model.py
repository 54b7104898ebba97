"""What the routing engine knows: configuration, states, and the views it answers queries with; plain frozen values.

Times are engine seconds (float), ids are opaque strings that come with events. Priority runs from 1 (highest) to 10, as
Webex and most suites count it; 5 is the default.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Channel = Literal["voice", "chat", "email", "sms", "whatsapp", "messenger", "apple"]

ContactState = Literal["arrived", "waiting", "offered", "engaged", "ended"]
"""`arrived`: with its flow and in no queue; `waiting`: in a queue; `offered`: an offer is out, its place kept; `engaged`: with
an agent; `ended`: has its final state."""

AgentState = Literal["logged-out", "idle", "available", "reserved", "engaged", "wrap-up", "not-responding"]

FinalState = Literal["handled", "abandoned", "short-abandoned", "flowed-out", "rejected", "failed"]

ChosenState = Literal["available", "idle"]

DeferredState = Literal["", "idle", "logged-out"]
"""What the agent chose while they could not have it yet; empty when they chose nothing, or available, which comes anyway."""

HIGHEST_PRIORITY = 1
LOWEST_PRIORITY = 10
DEFAULT_PRIORITY = 5


class Code(msgspec.Struct, frozen=True):
    """An idle (aux) code or a wrap-up code."""

    code: str
    name: str


class QueueConfig(msgspec.Struct, frozen=True):
    """A waiting place and its rules."""

    id: str
    name: str
    offer_seconds: float = 20.0
    """How long an agent may leave an offer unanswered."""
    wrap_up_seconds: float = 30.0
    """Limit of the after-contact work; 0 is none."""
    wrap_up_codes: list[Code] = msgspec.field(default_factory=list)
    wrap_up_extensions: int = 2
    """How often an agent may extend one wrap-up by another `wrap_up_seconds`."""
    service_level_seconds: float = 20.0
    short_abandon_seconds: float = 5.0
    """Who leaves sooner than this after being queued counts as short-abandoned."""
    team_agents: list[str] = msgspec.field(default_factory=list)
    """Agents who may serve it; empty is all."""
    max_waiting: int = 0
    """A contact above this number is refused with `queue-full`; 0 is no limit."""


class AgentConfig(msgspec.Struct, frozen=True):
    """A person who takes contacts."""

    id: str
    name: str
    queues: list[str] = msgspec.field(default_factory=list)
    """Queues they serve; empty is all whose `team_agents` admit them."""


class Settings(msgspec.Struct, frozen=True):
    """Rules that are the same for all queues."""

    connect_retry_seconds: float = 5.0
    """How long an agent whose accepted contact could not be connected is kept idle before they are available again."""
    default_handling_seconds: float = 300.0
    """Assumed talk plus wrap-up of a queue that has handled nothing yet."""
    default_patience_seconds: float = 600.0
    """Assumed mean time to abandon of a queue that has seen no abandon yet."""


class AgentCandidate(msgspec.Struct, frozen=True):
    """An agent who could have had the contact, with the key they are ranked by (smaller first)."""

    agent: str
    available_since: float
    order: int
    """Tie-break of those available since the same instant: who came first."""


class ContactCandidate(msgspec.Struct, frozen=True):
    """A contact which the agent could have had, with the key it is ranked by (smaller first)."""

    contact: str
    queue: str
    priority: int
    queued_at: float
    order: int
    """Tie-break of those queued at the same instant: who came first."""


class Decision(msgspec.Struct, frozen=True):
    """Why this agent and this contact, or why nobody."""

    at: float
    trigger: Literal["contact", "agent"]
    """`contact`: the contact came and looked for an agent; `agent`: the agent became free and looked for a contact."""
    rule: str
    """`longest-available` or `priority-then-longest-wait`."""
    agent: AgentCandidate | None
    contact: ContactCandidate
    agents: list[AgentCandidate] = msgspec.field(default_factory=list)
    """Up to ten agents who would have been next."""
    contacts: list[ContactCandidate] = msgspec.field(default_factory=list)
    """Up to ten contacts that would have been next for this agent."""
    others: dict[str, int] = msgspec.field(default_factory=dict)
    """The queue's other agents, counted by the reason why they were not candidates (their state, or `unreachable`)."""
    waiting: int = 0
    """Contacts that waited in the agent's queues, this one included."""
    tie_break: str = ""
    """What decided between equal first keys; empty when nothing was equal."""


class ContactView(msgspec.Struct, frozen=True):
    """A contact as the engine sees it now."""

    id: str
    channel: Channel
    entry_point: str
    state: ContactState
    arrived_at: float
    queue: str
    visit: str
    priority: int
    queued_at: float
    waited: float
    """Seconds in the present queue visit, up to now or to the answer."""
    agent: str
    offer: str
    answered_at: float | None
    segments: int


class AgentView(msgspec.Struct, frozen=True):
    """An agent as the engine sees them now."""

    id: str
    name: str
    state: AgentState
    code: str
    since: float
    until: float | None
    """When the state ends by itself."""
    reachable: bool
    next_state: DeferredState
    next_code: str
    contact: str
    offer: str
    queue: str
    queues: tuple[str, ...]


class OfferView(msgspec.Struct, frozen=True):
    """An offer that is out."""

    id: str
    contact: str
    agent: str
    queue: str
    made_at: float
    deadline: float


class Estimate(msgspec.Struct, frozen=True):
    """Predicted remaining wait of one contact."""

    position: int
    """1 is next."""
    seconds: float | None
    """None when nobody works on the queue."""
    agents: float
    """Effective agents: those who work, each divided among the queues of theirs in which somebody waits."""


class QueueStatistics(msgspec.Struct, frozen=True):
    """Visits of one queue since the start; offered is always the sum of the rest."""

    offered: int
    open: int
    waiting: int
    ended: dict[FinalState, int]


class EngineStatistics(msgspec.Struct, frozen=True):
    """Counters of the engine; `contacts` is always `open` plus the sum of `ended`."""

    events: int
    contacts: int
    open: int
    ended: dict[FinalState, int]
    waiting: int
    offers: int
    deadlines: int
    agents: dict[str, int]
    queues: dict[str, QueueStatistics]
