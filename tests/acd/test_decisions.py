"""The decision record: the winner, ten who came next with their keys, the others by reason, the tie-break; for each trigger."""

from __future__ import annotations

import pytest

from acd import effects, events
from acd.model import AgentConfig, Decision, Membership, Need, QueueConfig, Relaxation, SkillNeed
from tests.acd.world import World, configuration, only

pytestmark = pytest.mark.unit


def decision(found: list[effects.Effect]) -> Decision:
    return only(found, effects.OfferMade).decision


def floor(number: int = 15, strategy: str = "longest-available", **queue: object) -> World:
    agents = [AgentConfig(f"a{n}", "A", skills={"x": 1 + n % 3}) for n in range(number)]
    return World(configuration([QueueConfig("sales", "S", strategy=strategy, **queue)], agents))  # type: ignore[arg-type]


def test_a_contact_looked_for_an_agent() -> None:
    world = floor()
    for n in range(14):
        world.available(f"a{n}")
        world.wait(1.0)
    world.do(events.AgentStateChosen(world.at, "a1", "idle", "break"))
    found = decision(world.come("c1", need=Need((SkillNeed("x"),))))
    assert (found.trigger, found.rule, found.at, found.by) == ("contact", "longest-available", world.at, "")
    assert found.agent is not None
    assert (found.agent.agent, found.agent.key) == ("a0", (0.0, 1))
    assert [other.agent for other in found.agents] == [f"a{n}" for n in range(2, 12)]
    assert [other.key[0] for other in found.agents] == [float(n) for n in range(2, 12)]
    assert found.labels == ("available since", "order")
    assert found.others == {"idle": 1, "logged-out": 1, "available": 2}
    assert 1 + len(found.agents) + sum(found.others.values()) == 15
    assert (found.waiting, found.step, found.tie_break) == (1, 0, "")
    assert (found.contact.contact, found.contact.queue, found.contact.priority) == ("c1", "sales", 5)
    assert found.contact.place == 13.0 + 1.0 + 4 * 600.0
    assert found.need == Need((SkillNeed("x"),))


def test_every_reason_is_counted_and_all_add_up() -> None:
    profileless = [AgentConfig(f"a{n}", "A", (Membership("sales"),), skills={"x": 1}) for n in range(8)]
    agents = [
        *profileless,
        AgentConfig("slow", "S", (Membership("sales", delay=60.0),), skills={"x": 1}),
        AgentConfig("dull", "D", (Membership("sales"),)),
        AgentConfig("away", "W", (Membership("sales"),), skills={"x": 1}, attributes={"site": "ulm"}),
        AgentConfig("stranger", "T", (Membership("other"),), skills={"x": 1}),
    ]
    world = World(configuration([QueueConfig("sales", "S"), QueueConfig("other", "O")], agents))
    world.available("a1", "a2", "a3", "a4", "a5", "a6", "slow", "dull", "away", "stranger")
    world.do(events.AgentReachable(0.0, "a1", False))
    for number in range(3):
        world.come(f"c{number}", need=Need(agents=(f"a{number + 2}",)))
    world.accept("a3")
    world.accept("a4")
    world.do(events.ContactEnded(0.0, "c2", "agent"))
    world.choose("a5", "idle", "break")
    world.come("c5", need=Need(agents=("a6",)))
    world.do(events.OfferDeclined(0.0, "a6", "c5.1"))
    out = world.come("c9", need=Need((SkillNeed("x"),), 'has(agent.site) ? agent.site != "ulm" : true'))
    nobody = only(out, effects.NobodyFor)
    assert nobody.why == "nobody-available"
    assert nobody.decision.agent is None
    assert nobody.decision.others == {
        "logged-out": 2,
        "unreachable": 1,
        "reserved": 1,
        "engaged": 1,
        "wrap-up": 1,
        "idle": 1,
        "not-responding": 1,
        "delay": 1,
        "without-the-skill": 1,
        "where": 1,
    }


@pytest.mark.parametrize(
    ("there", "need", "why"),
    [
        ((), Need(), "nobody-logged-in"),
        (("a0",), Need((SkillNeed("rare"),)), "nobody-with-the-skill"),
        (("a0",), Need(), "nobody-available"),
    ],
)
def test_nobody(there: tuple[str, ...], need: Need, why: str) -> None:
    world = floor(2)
    world.available(*there)
    for agent in there:
        world.choose(agent, "idle", "break")
    assert only(world.come("c1", need=need), effects.NobodyFor).why == why


def test_an_agent_looked_for_a_contact() -> None:
    world = floor(3)
    for number in range(14):
        world.come(f"c{number}", priority=5 if number else 6)
        world.wait(2.0)
    found = decision(world.available("a2"))
    assert (found.trigger, found.rule) == ("agent", "priority-then-longest-wait")
    assert found.contact.contact == "c1"
    assert [other.contact for other in found.contacts] == [f"c{n}" for n in range(2, 12)]
    assert [other.place for other in found.contacts] == [2.0 * n + 2400.0 for n in range(2, 12)]
    assert (found.waiting, found.tie_break, found.agents) == (14, "", ())
    assert found.others == {"logged-out": 2}
    assert found.agent is not None
    assert found.agent.agent == "a2"


def test_a_contact_in_two_queues_is_named_once() -> None:
    world = World(configuration(agents=[AgentConfig("ann", "A")]))
    world.come("both", "sales")
    world.do(events.ContactQueued(0.0, "both", "support"))
    world.come("c2", "support")
    found = decision(world.available("ann"))
    assert (found.contact.contact, [other.contact for other in found.contacts]) == ("both", ["c2"])


def test_the_agents_priority_and_weight_are_those_of_the_queue() -> None:
    members = (Membership("sales", 3, 7),)
    world = World(configuration(agents=[AgentConfig("ann", "A", members), AgentConfig("bob", "B")]))
    world.available("ann")
    found = decision(world.come("c1"))
    assert (found.contact.agents_priority, found.contact.weight) == (3, 7)
    world.do(events.CustomerLeft(0.0, "c1"))
    world.come("c2", need=Need(agents=("nobody",)))
    found = decision(world.do(events.ContactAssigned(0.0, "c2", "ann", "boss")))
    assert (found.contact.agents_priority, found.contact.weight) == (3, 7)


def test_a_step() -> None:
    world = floor(3)
    world.available("a0")
    world.come("c1", need=Need((SkillNeed("x", 3),)), relaxation=(Relaxation(5.0, lower=1), Relaxation(9.0, lower=1)))
    found = decision(world.wait(9.0))
    assert (found.trigger, found.step, found.need) == ("step", 2, Need((SkillNeed("x", 1),)))


def test_a_configuration() -> None:
    world = floor(2)
    world.available("a0")
    world.come("c1", need=Need((SkillNeed("y"),)))
    world.do(configuration([QueueConfig("sales", "S")], [AgentConfig("a0", "A", skills={"y": 1}), AgentConfig("a1", "A")]))
    assert decision(world.go_on()).trigger == "configuration"


def test_a_supervisor() -> None:
    world = floor(3)
    world.available("a0", "a1", "a2")
    world.come("c0", need=Need((SkillNeed("rare"),)))
    found = decision(world.do(events.ContactAssigned(0.0, "c0", "a1", "boss")))
    assert (found.trigger, found.by, found.agent and found.agent.agent) == ("supervisor", "boss", "a1")
    assert found.others == {"without-the-skill": 3}


@pytest.mark.parametrize(
    ("strategy", "tie"),
    [
        ("longest-available", "order of becoming available"),
        ("fewest-contacts", "order of becoming available"),
        ("best-proficiency", "order of becoming available"),
        ("linear", "place in the configuration"),
    ],
)
def test_the_tie_break_is_named_only_when_something_was_equal(strategy: str, tie: str) -> None:
    world = floor(2, strategy)
    world.available("a0")
    assert decision(world.come("c1")).tie_break == ""
    world = floor(2, strategy)
    world.available("a0", "a1")
    assert decision(world.come("c1")).tie_break == tie


def test_first_come_first_served_after_a_configuration_over_all_needs() -> None:
    agents = [AgentConfig(id, id, skills={"x": 1}) for id in ("ann", "bob")]
    world = World(configuration([QueueConfig(id, id, need=Need((SkillNeed("y"),))) for id in ("sales", "support")], agents))
    world.available("ann", "bob")
    order = [
        ("1", "sales", Need()),
        ("2", "support", Need((SkillNeed("x"),))),
        ("3", "sales", Need()),
        ("4", "support", Need()),
    ]
    for contact, queue, need in order:
        world.come(contact, queue, need=need)
        world.wait(1.0)
    world.do(configuration([QueueConfig("sales", "S"), QueueConfig("support", "P")], agents, world.at))
    world.come("5", "sales")  # before the others were matched
    assert world.offered_to("5") is None
    world.go_on()
    assert [world.offered_to(contact) for contact in "12345"] == ["ann", "bob", None, None, None]
