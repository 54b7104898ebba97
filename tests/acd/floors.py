"""The configurations through which the machine walks: the same agents and queues under rules that differ in everything else."""

from __future__ import annotations

from acd import events
from acd.model import (
    AgentConfig,
    CallbackRule,
    ChannelCapacity,
    Code,
    Membership,
    MissRule,
    Need,
    OfferRule,
    Overflow,
    ProfileConfig,
    QueueConfig,
    Relaxation,
    Settings,
    SkillNeed,
    Target,
    TeamConfig,
    WrapUp,
)

QUEUES = ("q1", "q2", "q3", "q4")
AGENTS = ("a1", "a2", "a3", "a4", "a5")
TEAMS = ("north", "south")
PERIODS = ("day", "night")

GERMAN = SkillNeed("german", 5)
NEEDS = (
    Need(),
    Need(),
    Need((GERMAN,)),
    Need((SkillNeed("german", 2, 6), SkillNeed("billing"))),
    Need((SkillNeed("german", 0, 4),)),
    Need(where='agent.site == "berlin" && skills.german >= 1'),
    Need(teams=("north",)),
    Need(agents=("a1", "a3")),
)
STEPS: tuple[tuple[Relaxation, ...] | None, ...] = (
    None,
    None,
    (),
    (Relaxation(3.0, lower=3), Relaxation(10.0, without=("*",), where="", teams=(), agents=())),
    (Relaxation(5.0, skills=(SkillNeed("billing"),)), Relaxation(5.0, teams=("south",))),
)
TARGETS = (
    Target("queue", "q1"),
    Target("queue", "q2", keep_place=False),
    Target("queue", "q3", priority=2),
    Target("queue", "q4"),
    Target("team", "north"),
    Target("team", "south", keep_place=False),
    Target("agent", "a1"),
    Target("agent", "a4"),
    Target("voicemail"),
    Target("flow", "after"),
)

PROFILES = [
    ProfileConfig(
        "blended",
        "Blended",
        {
            "voice": ChannelCapacity(1, interrupts=("chat", "email")),
            "chat": ChannelCapacity(2, beside=("email",)),
            "email": ChannelCapacity(3, beside=("chat", "voice")),
        },
        total=3,
    ),
    ProfileConfig("writer", "Writer", {"chat": ChannelCapacity(3, beside=("email",)), "email": ChannelCapacity(1)}),
]

AGENTS_AT_WORK = [
    AgentConfig(
        "a1", "1", (Membership("q1"), Membership("q2", 2, 3), Membership("q4")), "north", {"german": 9}, {"site": "berlin"}
    ),
    AgentConfig("a2", "2", (Membership("q1", delay=4.0), Membership("q3")), "north", {"billing": 3}, {"site": "ulm"}),
    AgentConfig("a3", "3", (), "south", {"german": 3, "billing": 5}, {"site": "berlin"}, "blended"),
    AgentConfig("a4", "4", (Membership("q2", level=2), Membership("q4", 1, 2, 2.0)), "south", {"german": 5}),
    AgentConfig("a5", "5", (Membership("q1", level=3), Membership("q2"), Membership("q3")), profile="writer"),
]
AMENDED = [
    AgentConfig("a1", "1", (Membership("q2"),), "south", {"german": 2, "billing": 9}, {"site": "ulm"}),
    AgentConfig("a2", "2", (Membership("q1"), Membership("q4", delay=3.0)), "north", {"german": 6}, {"site": "berlin"}),
    AgentConfig("a3", "3", (Membership("q3"),), "", {}, {}, "writer"),
    AgentConfig("a4", "4", (), "", {"german": 5, "billing": 1}, {"site": "berlin"}, "blended"),
    AgentConfig("a5", "5", (Membership("q1"),), "north", {"german": 7}),
    *AGENTS_AT_WORK,
]

CALM = events.Configured(
    0.0,
    [
        QueueConfig("q1", "1", offer=OfferRule(10.0), wrap_up=WrapUp("timed", 5.0), wrap_up_codes=(Code("w", "W"),)),
        QueueConfig("q2", "2", wrap_up=WrapUp("off"), max_waiting=4, ageing_seconds=0.0),
        QueueConfig("q3", "3", short_abandon_seconds=0.0),
    ],
    [
        AgentConfig("a1", "1", (Membership("q1"), Membership("q2"), Membership("q3")), "north"),
        AgentConfig("a2", "2", (Membership("q1"),)),
        AgentConfig("a3", "3", (Membership("q1"), Membership("q2"))),
        AgentConfig("a4", "4"),
        AgentConfig("a5", "5", (Membership("q1", 2), Membership("q3", 1))),
    ],
    [Code("b", "B")],
    teams=[TeamConfig("north", "N"), TeamConfig("south", "S")],
    profiles=PROFILES,
)

BLENDED = events.Configured(
    0.0,
    [
        QueueConfig(
            "q1",
            "1",
            relaxation=(Relaxation(4.0, lower=2), Relaxation(9.0, without=("german",), where="", teams=(), agents=())),
            strategy="best-proficiency",
            ageing_seconds=60.0,
            reclaim_seconds=30.0,
            offer=OfferRule(10.0),
            offer_by_channel={"email": OfferRule(auto_accept=True)},
            wrap_up=WrapUp("mandatory", code_needed=True),
            wrap_up_codes=(Code("w", "W"),),
            wrap_up_by_channel={"chat": WrapUp("optional", 6.0, 1)},
            callback=CallbackRule(tries=2, retry_seconds=6.0),
        ),
        QueueConfig("q2", "2", strategy="fewest-contacts", need=Need((SkillNeed("german"),)), wrap_up=WrapUp("timed", 3.0)),
        QueueConfig("q3", "3", strategy="round-robin", reclaim_seconds=10.0, callback=CallbackRule(offered=False)),
        QueueConfig("q4", "4", ("voice", "chat"), strategy="linear", keep_place=False, offer=OfferRule(auto_accept=True)),
    ],
    AGENTS_AT_WORK,
    [Code("b", "B"), Code("c", "C")],
    Settings(2.0, rona=MissRule(2, 8.0), declined=MissRule(2), declined_by_reason={"busy": MissRule(3, 5.0)}),
    [TeamConfig("north", "N"), TeamConfig("south", "S", (Membership("q3", 1, 2), Membership("q4")))],
    PROFILES,
)

RULED = events.Configured(
    0.0,
    [
        QueueConfig(
            "q1",
            "1",
            strategy="least-occupied",
            overflow=(
                Overflow("size", Target("queue", "q2"), 3.0),
                Overflow("wait", Target("team", "south"), 5.0),
                Overflow("wait", Target("voicemail"), 12.0, during="night"),
                Overflow("wait", Target("queue", "q3", priority=1), 30.0),
                Overflow("nobody-logged-in", Target("queue", "q4", keep_place=False)),
            ),
            hours="day",
            when_closed="leave",
        ),
        QueueConfig(
            "q2",
            "2",
            overflow=(
                Overflow("closed", Target("flow", "closed")),
                Overflow("nobody-with-the-skill", Target("queue", "q1")),
                Overflow("ewt", Target("number", "+49301"), 200.0),
            ),
            hours="day",
            reclaim_seconds=60.0,
            callback=CallbackRule(tries=3, retry_seconds=4.0),
        ),
        QueueConfig("q3", "3", overflow=(Overflow("period", Target("agent", "a3"), during="night"),), max_waiting=2),
        QueueConfig("q4", "4", overflow=(Overflow("nobody-logged-in", Target("queue", "q1")),), when_closed="leave"),
    ],
    AGENTS_AT_WORK,
    [],
    Settings(rona=MissRule(1, 5.0), declined=MissRule(2, 3.0)),
    [TeamConfig("north", "N", (Membership("q1"), Membership("q2"))), TeamConfig("south", "S", profile="blended")],
    PROFILES,
)

CONFIGURATIONS = [CALM, BLENDED, RULED]
