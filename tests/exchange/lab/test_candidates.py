"""Everybody who was looked at in a decision, also when the offer is accepted within the same event."""

from __future__ import annotations

import pytest

from acd import events
from acd.model import AgentConfig, Need, OfferRule, QueueConfig, SkillNeed
from exchange.lab.explaining import Watching
from tests.acd.world import World, configuration

pytestmark = pytest.mark.unit

GERMAN = Need((SkillNeed("german", 5),))
QUEUE = QueueConfig("sales", "Sales", offer=OfferRule(20.0, auto_accept=True))


def judged(world: World, contact: str, event: events.Event) -> list[list[tuple[str, str, str]]]:
    watching = Watching.of(world.engine, contact)
    watching.looks = True
    assert watching.handle(event) == world.do(event)  # it looks, and changes nothing
    return watching.judged


def test_an_agent_who_has_learnt_it_takes_it_at_once() -> None:
    agents = [AgentConfig("ann", "Ann", skills={"german": 3}), AgentConfig("bob", "Bob", skills={"german": 4})]
    world = World(configuration([QUEUE], agents))
    world.available("ann", "bob")
    world.come("c1", need=GERMAN)
    found = judged(world, "c1", events.AgentAmended(world.at, AgentConfig("ann", "Ann", skills={"german": 7})))
    assert world.agent("ann").state == "engaged"
    assert found == [[("ann", "", ""), ("bob", "without-the-skill", "german >= 5, has 4")]]


def test_a_newcomer_is_taken_at_once_and_agents_amended_before_count_as_they_are() -> None:
    world = World(configuration([QUEUE], [AgentConfig("ann", "Ann"), AgentConfig("bob", "Bob")]))
    world.available("ann", "bob")
    world.do(events.AgentAmended(world.at, AgentConfig("bob", "Bob", skills={"german": 5})))
    world.do(events.ContactArrived(world.at, "c1"))
    found = judged(world, "c1", events.ContactQueued(world.at, "c1", "sales", need=GERMAN))
    assert world.agent("bob").state == "engaged"
    assert found == [[("ann", "without-the-skill", "german >= 5, has 0"), ("bob", "", "")]]
