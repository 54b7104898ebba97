"""What the routing engine knows: configuration, states, and the values its decisions are made of; plain frozen values.

Times are engine seconds (float), ids are opaque strings that come with events. Priority runs from 1 (highest) to 10, as
Webex and most suites count it; 5 is the default.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

Channel = Literal["voice", "chat", "email", "sms", "whatsapp", "messenger", "apple"]
CHANNELS: tuple[Channel, ...] = ("voice", "chat", "email", "sms", "whatsapp", "messenger", "apple")

ContactState = Literal["arrived", "waiting", "offered", "engaged", "parked", "scheduled", "ended"]
"""`arrived`: with its flow and in no queue; `waiting`: in a queue; `offered`: an offer is out, its place kept; `engaged`: with
an agent; `parked`: with an agent, but in no slot of theirs; `scheduled`: a callback that keeps its place until its time comes;
`ended`: has its final state."""

AgentState = Literal["logged-out", "idle", "available", "reserved", "engaged", "wrap-up", "not-responding"]

FinalState = Literal["handled", "abandoned", "short-abandoned", "flowed-out", "rejected", "failed"]

ChosenState = Literal["available", "idle"]

DeferredState = Literal["", "idle", "logged-out"]
"""What the agent chose while they could not have it yet; empty when they chose nothing, or available, which comes anyway."""

VisitKind = Literal["direct", "callback"]

HIGHEST_PRIORITY = 1
LOWEST_PRIORITY = 10
DEFAULT_PRIORITY = 5
HIGHEST_PROFICIENCY = 10

STRICT_AGEING = 1e7
"""Seconds of waiting that a level of priority is worth in a queue without ageing: nobody waits for so long."""

Value = str | int | float | bool


class Code(msgspec.Struct, frozen=True):
    """An idle (aux) code or a wrap-up code."""

    code: str
    name: str


# --- who may have a contact ---------------------------------------------------------------------------------------


class SkillNeed(msgspec.Struct, frozen=True, order=True):
    """A skill that the agent must have, with a proficiency between `least` and `most`."""

    skill: str
    least: int = 1
    most: int = HIGHEST_PROFICIENCY
    prefer: Literal["high", "low", ""] = ""
    """Counts in the choice by best proficiency: high by default, or low to keep the experts free; no `""` counts as high."""


class Need(msgspec.Struct, frozen=True):
    """What an agent must be to get a contact; everything named must hold."""

    skills: tuple[SkillNeed, ...] = ()
    where: str = ""
    """A CEL expression over the agent's attributes (`agent.site == "berlin"`), skills (`skills.german >= 5`) and `team`."""
    teams: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    """Only these, whatever their queues and skills are."""


NOTHING = Need()


class Relaxation(msgspec.Struct, frozen=True):
    """A step by which the need loosens after so many seconds in the queue; the place is kept. Steps add up in their order."""

    after: float
    lower: int = 0
    """Every least proficiency is lowered by so much, not below 1."""
    without: tuple[str, ...] = ()
    """Skills that are no longer needed; `"*"` is all."""
    skills: tuple[SkillNeed, ...] | None = None
    """Needed from now on, instead of the skills before."""
    where: str | None = None
    teams: tuple[str, ...] | None = None
    agents: tuple[str, ...] | None = None


# --- queues -------------------------------------------------------------------------------------------------------


class Target(msgspec.Struct, frozen=True):
    """Where a contact goes that its queue does not keep."""

    kind: Literal["queue", "team", "agent", "voicemail", "number", "flow"]
    id: str = ""
    keep_place: bool = True
    """Towards a queue: with the place it has, as if it had waited there from the beginning."""
    priority: int = 0
    """0 keeps the priority."""


class Overflow(msgspec.Struct, frozen=True):
    """A rule of a queue for those it cannot serve. The first rule that applies counts.

    `size` and `ewt` are asked when a contact comes; `closed`, `nobody-logged-in` and `nobody-with-the-skill` when it comes and
    when they begin to hold; `wait` when it has waited for `over` seconds; `during` restricts a rule to a named period.
    """

    when: Literal["wait", "size", "ewt", "closed", "nobody-logged-in", "nobody-with-the-skill", "period"]
    to: Target
    over: float = 0.0
    during: str = ""


class OfferRule(msgspec.Struct, frozen=True):
    """How a contact is presented."""

    seconds: float = 20.0
    """How long an agent may leave it unanswered."""
    auto_accept: bool = False
    """The agent has it at once."""


class WrapUp(msgspec.Struct, frozen=True):
    """After-contact work.

    `off`: none. `optional`: only when the agent asks for it during the contact. `mandatory`: until the agent says so.
    `timed`: for at most `seconds`, which the agent may extend. A limit of 0 is none.
    """

    mode: Literal["off", "optional", "mandatory", "timed"] = "timed"
    seconds: float = 30.0
    extensions: int = 2
    """How often an agent may have another `seconds`."""
    code_needed: bool = False
    """The agent must name a code to finish it; when the time is over it ends without."""


class CallbackRule(msgspec.Struct, frozen=True):
    """Courtesy callbacks of a queue."""

    offered: bool = True
    tries: int = 3
    retry_seconds: float = 900.0
    """Until the customer is tried again; the place is kept."""


class QueueConfig(msgspec.Struct, frozen=True):
    """A waiting place and its rules."""

    id: str
    name: str
    channels: tuple[Channel, ...] = ()
    """Those it takes; empty is all."""
    need: Need = Need()
    """Of all its contacts, on top of what each needs itself."""
    relaxation: tuple[Relaxation, ...] = ()
    """For contacts that bring no steps of their own."""
    strategy: str = "longest-available"
    """A name of acd.strategies."""
    ageing_seconds: float = 600.0
    """So many seconds of waiting are worth one level of priority; 0: priority counts alone, whoever waits for how long."""
    max_waiting: int = 0
    """A contact above this number is refused with `queue-full`, if no rule takes it elsewhere; 0 is no limit."""
    overflow: tuple[Overflow, ...] = ()
    hours: str = ""
    """The period in which it is open; empty is always."""
    when_closed: Literal["keep", "leave"] = "keep"
    """Whether those who wait when it closes are still served, or handed back to their flows (a rule `closed` goes first)."""
    keep_place: bool = True
    """A contact that is transferred into it keeps the place that its waiting has earned it."""
    reclaim_seconds: float = 0.0
    """A customer who left while waiting and comes again within this time gets the place back; 0 is never."""
    offer: OfferRule = OfferRule()
    offer_by_channel: dict[Channel, OfferRule] = {}
    wrap_up: WrapUp = WrapUp()
    wrap_up_by_channel: dict[Channel, WrapUp] = {}
    wrap_up_codes: tuple[Code, ...] = ()
    callback: CallbackRule = CallbackRule()
    service_level_seconds: float = 20.0
    short_abandon_seconds: float = 5.0
    """Who leaves sooner than this after being queued counts as short-abandoned."""

    def offer_of(self, channel: Channel) -> OfferRule:
        """How contacts of a channel are offered."""
        return self.offer_by_channel.get(channel, self.offer)

    def wrap_up_of(self, channel: Channel) -> WrapUp:
        """The after-contact work of a channel."""
        return self.wrap_up_by_channel.get(channel, self.wrap_up)


# --- agents -------------------------------------------------------------------------------------------------------


class Membership(msgspec.Struct, frozen=True):
    """How an agent or a team serves a queue."""

    queue: str
    priority: int = 1
    """Of the agent's queues, those with the smaller number go first."""
    weight: int = 1
    """Between contacts of equal priority that came within the same second the queue with the greater weight wins."""
    delay: float = 0.0
    """Seconds that a contact must have waited before it goes to them."""
    level: int = 1
    """For the linear strategy: smaller levels are asked first."""


class AgentConfig(msgspec.Struct, frozen=True):
    """A person who takes contacts."""

    id: str
    name: str
    queues: tuple[Membership, ...] = ()
    """Besides those of the team; without any they serve all queues that no team and no agent names."""
    team: str = ""
    skills: dict[str, int] = {}
    """Proficiency 1 to 10 by skill."""
    attributes: dict[str, Value] = {}
    profile: str = ""
    """A capacity profile; empty: one contact at a time, of any channel."""


class TeamConfig(msgspec.Struct, frozen=True):
    """Agents under one supervisor."""

    id: str
    name: str
    queues: tuple[Membership, ...] = ()
    profile: str = ""
    """Of those members who name none."""


class ChannelCapacity(msgspec.Struct, frozen=True):
    """How an agent works on one channel."""

    most: int = 1
    """Contacts at once."""
    beside: tuple[Channel, ...] = ()
    """Channels on which the agent may be busy when a contact of this one is offered."""
    interrupts: tuple[Channel, ...] = ()
    """As `beside`, and their contacts do not count towards the total."""


class ProfileConfig(msgspec.Struct, frozen=True):
    """A capacity profile: contacts of each channel at once, which may interrupt which, and how many in all."""

    id: str
    name: str
    channels: dict[Channel, ChannelCapacity] = {}
    total: int = 0
    """0 is no limit besides those of the channels."""


class SkillConfig(msgspec.Struct, frozen=True):
    """A skill that agents can have."""

    id: str
    name: str


class MissRule(msgspec.Struct, frozen=True):
    """What follows from offers that an agent did not take, by reason."""

    limit: int = 1
    """So many in a row and the agent is out of rotation."""
    seconds: float = 0.0
    """For so long; 0 is until they choose a state."""


class Settings(msgspec.Struct, frozen=True):
    """Rules that are the same for all queues."""

    connect_retry_seconds: float = 5.0
    """How long an agent whose accepted contact could not be connected is kept idle before they are available again."""
    default_handling_seconds: float = 300.0
    """Assumed talk plus wrap-up of a queue that has handled nothing yet."""
    default_patience_seconds: float = 600.0
    """Assumed mean time to abandon of a queue that has seen no abandon yet."""
    rona: MissRule = MissRule()
    declined: MissRule = MissRule()
    declined_by_reason: dict[str, MissRule] = {}
    """Rules for declining with one of these reasons."""


# --- decisions ----------------------------------------------------------------------------------------------------

Trigger = Literal["contact", "agent", "step", "configuration", "supervisor"]
"""`contact`: it came and looked for an agent; `agent`: became free and looked for a contact; `step`: the contact had waited for
so long that others may have it; `configuration`: the rules changed; `supervisor`: somebody said so."""


class AgentCandidate(msgspec.Struct, frozen=True, array_like=True):
    """An agent who could have had the contact, with the key they are ranked by (smaller first; labels are the strategy's)."""

    agent: str
    key: tuple[float, ...]


class ContactCandidate(msgspec.Struct, frozen=True, array_like=True):
    """A contact that the agent could have had, with what it is ranked by, in this order (weight: greater first)."""

    contact: str
    queue: str
    agents_priority: int
    """The agent's priority for the queue."""
    place: float
    """When it was queued, later by the queue's ageing time for each level of priority."""
    weight: int
    order: int
    priority: int
    queued_at: float


class Decision(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why this agent and this contact, or why nobody."""

    at: float
    trigger: Trigger
    rule: str
    """The queue's strategy where a contact looked for an agent, `priority-then-longest-wait` where an agent looked."""
    contact: ContactCandidate
    agent: AgentCandidate | None = None
    labels: tuple[str, ...] = ()
    """What the numbers of the agents' keys mean."""
    agents: tuple[AgentCandidate, ...] = ()
    """Up to ten agents who would have been next."""
    contacts: tuple[ContactCandidate, ...] = ()
    """Up to ten contacts that would have been next for this agent."""
    others: dict[str, int] = {}
    """The queue's other agents, counted by the reason why they were no candidates; `available` are candidates not named."""
    waiting: int = 0
    """Contacts that waited in the queue, this one included."""
    step: int = 0
    """How often the need had been relaxed."""
    need: Need = Need()
    """What was needed in the end."""
    tie_break: str = ""
    """What decided between equal first keys; empty when nothing was equal."""
    by: str = ""
    """Who said so, when somebody did."""


# --- views --------------------------------------------------------------------------------------------------------


class VisitView(msgspec.Struct, frozen=True):
    """A stay in a queue as the engine sees it now."""

    id: str
    queue: str
    kind: VisitKind
    queued_at: float
    place: float
    step: int
    need: Need


class ContactMark(NamedTuple):
    """As much of an open contact as tells what is there; cheap, since there may be many."""

    id: str
    channel: Channel
    state: ContactState
    visits: tuple[tuple[str, str], ...]
    """Of each visit: its id, its queue."""


class ContactView(msgspec.Struct, frozen=True):
    """A contact as the engine sees it now."""

    id: str
    channel: Channel
    entry_point: str
    state: ContactState
    arrived_at: float
    queue: str
    """The queue it waits in, first of several, or was answered from."""
    visit: str
    priority: int
    queued_at: float
    waited: float
    """Seconds without an agent in the present queue visit."""
    agent: str
    offer: str
    answered_at: float | None
    segments: int
    visits: tuple[VisitView, ...] = ()
    callback: bool = False


class WorkView(msgspec.Struct, frozen=True):
    """A contact that an agent has, or is still busy with."""

    contact: str
    channel: Channel
    queue: str
    state: Literal["engaged", "parked", "wrap-up"]
    since: float
    until: float | None
    extensions_left: int


class AgentView(msgspec.Struct, frozen=True):
    """An agent as the engine sees them now."""

    id: str
    name: str
    state: AgentState
    """Of all channels together: engaged before reserved before wrap-up before what they chose."""
    code: str
    since: float
    until: float | None
    """When the state ends by itself."""
    reachable: bool
    """On any channel."""
    next_state: DeferredState
    next_code: str
    contact: str
    """That of the offer, or the first that they work on."""
    offer: str
    queue: str
    queues: tuple[str, ...]
    team: str = ""
    works: tuple[WorkView, ...] = ()
    channels: dict[Channel, str] = {}
    """By channel of their profile: a state, `available` where another contact can be taken, `full` or `blocked` where not."""


class OfferView(msgspec.Struct, frozen=True):
    """An offer that is out."""

    id: str
    contact: str
    agent: str
    queue: str
    made_at: float
    deadline: float
    channel: Channel = "voice"


class Estimate(msgspec.Struct, frozen=True):
    """Predicted remaining wait of one contact."""

    position: int
    """1 is next."""
    seconds: float | None
    """The mean; None when nobody works on the queue."""
    agents: float
    """Effective agents: those who work, each divided among the queues of theirs in which somebody waits."""
    p50: float | None = None
    p90: float | None = None


class Score(msgspec.Struct, frozen=True):
    """How good a queue's estimates were, of those answered since the log began."""

    estimates: int
    mean_error: float
    """Signed: positive when it took longer than said."""
    mean_absolute_error: float
    within_p90: float
    """Share of those answered no later than the P90 that was predicted."""


class QueueStatistics(msgspec.Struct, frozen=True):
    """Visits of one queue since the start; offered is always the sum of the rest."""

    offered: int
    open: int
    waiting: int
    ended: dict[FinalState, int]
    callbacks: int = 0
    closed: bool = False


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
    unfinished: int = 0
    """Pieces of work that go on in `Continue` events."""
