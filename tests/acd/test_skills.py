"""Who may have a contact: skills by proficiency, conditions over attributes, teams, named and preferred agents."""

from __future__ import annotations

import pytest

from acd import effects, events
from acd.model import AgentConfig, Membership, Need, QueueConfig, SkillNeed, TeamConfig
from tests.acd.world import World, configuration, none, only

pytestmark = pytest.mark.unit

AGENTS = [
    AgentConfig("ann", "Ann", (), "north", {"german": 9, "billing": 2}, {"site": "berlin", "grade": 3}),
    AgentConfig("bob", "Bob", (), "south", {"german": 4}, {"site": "ulm"}),
    AgentConfig("cyd", "Cyd", (), "south", {"billing": 8}, {"site": "berlin"}),
    AgentConfig("dan", "Dan", (), "", {}, {}),
]
TEAMS = [TeamConfig("north", "North"), TeamConfig("south", "South")]


def german(least: int = 1, most: int = 10) -> SkillNeed:
    return SkillNeed("german", least, most)


def who(need: Need, queue_need: Need | None = None) -> str:
    """Initials of those who may have a contact with this need, asked of each agent alone."""
    found = ""
    for agent in AGENTS:
        world = World(configuration([QueueConfig("q", "Q", need=queue_need or Need())], AGENTS, teams=TEAMS))
        world.available(agent.id)
        out = world.come("c1", "q", need=need)
        if not none(out, effects.OfferMade):
            assert only(out, effects.OfferMade).agent == agent.id
            assert world.engine.contact("c1").state == "offered"  # type: ignore[union-attr]
            found += agent.id[0]
        else:
            reason, _ = world.engine.why_not("c1", agent.id)
            assert reason in ("without-the-skill", "where", "other-team", "not-named")
    return found


@pytest.mark.parametrize(
    ("need", "agents"),
    [
        (Need(), "abcd"),
        (Need((german(),)), "ab"),
        (Need((german(4),)), "ab"),
        (Need((german(5),)), "a"),
        (Need((german(1, 8),)), "b"),
        (Need((german(1, 4),)), "b"),
        (Need((german(0, 4),)), "b"),
        (Need((german(), SkillNeed("billing"))), "a"),
        (Need((SkillNeed("billing", 3),)), "c"),
        (Need((SkillNeed("dutch"),)), ""),
        (Need(where='agent.site == "berlin"'), "ac"),
        (Need(where="skills.german >= 5 || agent.site == 'ulm'"), "ab"),
        (Need(where="skills.german == 0"), "cd"),
        (Need(where="agent.grade > 2"), "a"),
        (Need(where='team == "south" && skills.billing > 0'), "c"),
        (Need(teams=("south",)), "bc"),
        (Need(teams=("north", "south")), "abc"),
        (Need((german(),), teams=("south",)), "b"),
        (Need((german(),), where='agent.site == "berlin"', teams=("north",)), "a"),
        (Need(agents=("bob", "dan")), "bd"),
        (Need(agents=("bob", "bob")), "b"),
        (Need((SkillNeed("dutch"),), agents=("dan",)), "d"),
    ],
)
def test_who_may_have_a_contact(need: Need, agents: str) -> None:
    assert who(need) == agents


@pytest.mark.parametrize(
    ("queue", "contact", "agents"),
    [
        (Need((german(),)), Need(), "ab"),
        (Need((german(),)), Need((german(5),)), "a"),
        (Need((german(5),)), Need((german(1, 8),)), ""),
        (Need((german(),)), Need((SkillNeed("billing"),)), "a"),
        (Need(where='agent.site == "berlin" // here'), Need(where="skills.billing > 5"), "c"),
        (Need(where='agent.site == "ulm" || agent.site == "berlin"'), Need(where="skills.german > 0"), "ab"),
        (Need(teams=("north", "south")), Need(teams=("south",)), "bc"),
        (Need(teams=("north",)), Need(teams=("south",)), ""),
        (Need(agents=("ann", "bob")), Need(agents=("bob", "cyd")), "b"),
        (Need(agents=("ann",)), Need(agents=("bob",)), ""),
    ],
)
def test_the_queues_need_and_the_contacts_must_both_hold(queue: Need, contact: Need, agents: str) -> None:
    assert who(contact, queue) == agents


def test_named_agents_need_not_serve_the_queue() -> None:
    queues = [QueueConfig("sales", "Sales"), QueueConfig("support", "Support")]
    world = World(configuration(queues, [AgentConfig("ann", "Ann", (Membership("support"),))]))
    world.available("ann")
    assert none(world.come("c1"), effects.OfferMade)
    assert world.engine.why_not("c1", "ann") == ("not-in-queue", "sales")
    assert only(world.come("c2", need=Need(agents=("ann",))), effects.OfferMade).agent == "ann"


def test_a_named_agent_who_becomes_free_is_found_by_their_contact() -> None:
    world = World(configuration(agents=[AgentConfig("ann", "Ann", (Membership("support"),)), AgentConfig("bob", "Bob")]))
    world.available("bob")
    world.come("c1", need=Need(agents=("ann",)))
    assert only(world.available("ann"), effects.OfferMade).contact == "c1"


def test_a_condition_that_cannot_be_read_is_refused_before_anything_happens() -> None:
    world = World()
    world.do(events.ContactArrived(0.0, "c1"))
    bad, long = Need(where="agent.site ="), Need(where="true" + " || true" * 124)
    assert world.refused(events.ContactQueued(0.0, "c1", "sales", need=bad)) == "bad-expression"
    queue = QueueConfig("sales", "Sales", need=Need(where="false" + " || true" * 110))
    world.do(configuration([queue]))
    assert world.refused(events.ContactQueued(0.0, "c1", "sales", need=long)) == "bad-expression"
    world.do(events.ContactQueued(0.0, "c1", "sales"))
    assert world.refused(events.ContactAmended(0.0, "c1", need=bad)) == "bad-expression"
    assert world.refused(configuration([QueueConfig("sales", "Sales", need=bad)])) == "bad-expression"


# --- the preferred agent ------------------------------------------------------------------------------------------


def test_the_preferred_agent_is_tried_alone_for_a_time() -> None:
    world = World()
    world.available("ann", "bob")
    world.come("c1")
    world.accept("ann")
    assert none(world.come("c2", preferred="ann", patience=30.0), effects.OfferMade)
    assert world.engine.why_not("c2", "bob") == ("not-named", "preferred agent")
    offer = only([e for e in world.wait(30.0) if getattr(e, "contact", "") == "c2"], effects.OfferMade)
    assert (offer.agent, offer.waited, offer.decision.trigger) == ("bob", 30.0, "step")


def test_the_preferred_agent_gets_it_within_the_patience() -> None:
    world = World()
    world.available("ann", "bob")
    world.come("c1")
    world.come("c2", preferred="ann", patience=30.0)
    world.wait(5.0)
    world.accept("ann")
    out = world.do(events.ContactEnded(world.at, "c1", "agent", failed=True))
    assert (only(out, effects.OfferMade).contact, only(out, effects.OfferMade).agent) == ("c2", "ann")


def test_without_patience_the_preferred_agent_counts_only_when_free() -> None:
    world = World()
    world.available("bob", "ann")
    assert only(world.come("c1", preferred="ann"), effects.OfferMade).agent == "ann"
    assert only(world.come("c2", preferred="ann"), effects.OfferMade).agent == "bob"


def test_a_preferred_agent_who_is_not_there_is_not_waited_for() -> None:
    world = World()
    world.available("bob")
    assert only(world.come("c1", preferred="ann", patience=60.0), effects.OfferMade).agent == "bob"


def test_an_offer_of_another_queue_does_not_leave_the_preference_in_the_way() -> None:
    world = World(configuration([QueueConfig("sales", "S", need=Need((SkillNeed("x"),))), QueueConfig("support", "S")]))
    world.available("ann")
    world.come("c1")
    out = world.do(events.ContactQueued(0.0, "c1", "support", preferred="ann"))
    assert only(out, effects.OfferMade).queue == "support"
    world.wait(19.0)
    assert world.offered_to("c1") == "ann"
