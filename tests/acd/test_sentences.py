"""What is said of a decision, word for word: an admin reads it, and so can the reader of this file."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from acd import effects, events
from acd.model import AgentConfig, Membership, Need, QueueConfig, SkillConfig, SkillNeed
from acd.sentences import _WRITERS, Names, Sentence, Writer
from tests.acd.world import World

pytestmark = pytest.mark.unit

MORNING = datetime(2026, 11, 25, 9, 0, tzinfo=UTC).timestamp()

GERMAN = Need((SkillNeed("german", 5),))


def a_world(strategy: str = "longest-available") -> World:
    """Ann, Bob and Cyd speak German well, Dan a little; all serve Sales."""
    people = [("ann", "Ann", 9), ("bob", "Bob", 7), ("cyd", "Cyd", 6), ("dan", "Dan", 2)]
    agents = [AgentConfig(id, name, (Membership("sales"),), skills={"german": level}) for id, name, level in people]
    queues = [QueueConfig("sales", "Sales", strategy=strategy), QueueConfig("vip", "VIP")]
    world = World(events.Configured(MORNING, queues, agents, skills=[SkillConfig("german", "German")]))
    world.at = MORNING
    return world


class Told:
    """Everything that is said of a contact."""

    def __init__(self, world: World, contact: str) -> None:
        names = Names.of(world.log[0] if isinstance(world.log[0], events.Configured) else None, {"sup": "Sue"})
        writer = Writer(names)
        found = (writer.sentence(world.at, e) for e in world.effects if getattr(e, "contact", None) == contact)
        self.sentences: list[Sentence] = [sentence for sentence in found if sentence is not None]

    def of(self, kind: str) -> list[str]:
        return [sentence.text for sentence in self.sentences if sentence.kind == kind]


def queue(world: World, contact: str, need: Need = GERMAN) -> None:
    world.do(events.ContactArrived(world.at, contact))
    world.do(events.ContactQueued(world.at, contact, "sales", 5, f"{contact}:1", need))


def test_the_longest_available_agent() -> None:
    world = a_world()
    for agent in ("ann", "bob", "cyd", "dan"):
        world.available(agent)
        world.wait(30)
    queue(world, "c1")
    assert Told(world, "c1").of("offer-made") == [
        "It was offered to Ann: of 3 agents who were available and able, Ann had been available longest (since 09:00:00). "
        "Next would have been Bob (since 09:00:30), then Cyd (since 09:01:00). 1 other: 1 without German >= 5."
    ]
    queue(world, "c2")
    assert (
        Told(world, "c2")
        .of("offer-made")[0]
        .startswith(
            "It was offered to Bob: of 2 agents who were available and able, Bob had been available longest (since 09:00:30)."
        )
    )
    assert "2 others: 1 with another offer and 1 without German >= 5." in Told(world, "c2").of("offer-made")[0]


def test_the_only_one() -> None:
    world = a_world()
    world.available("bob")
    queue(world, "c1")
    assert Told(world, "c1").of("offer-made") == [
        "It was offered to Bob: Bob was the only one who was available and able (since 09:00:00). "
        "3 others: 2 logged out and 1 without German >= 5."
    ]


def test_nobody_and_then_somebody_becomes_free() -> None:
    world = a_world()
    world.available("dan")
    queue(world, "c1")
    assert Told(world, "c1").of("nobody-for") == [
        "Nobody got it: nobody who is logged in has what it needs (German >= 5). "
        "Of the agents: 3 logged out and 1 without German >= 5."
    ]
    world.wait(20)
    queue(world, "c2")
    world.wait(40)
    world.available("ann")
    assert Told(world, "c1").of("offer-made") == [
        "It was offered to Ann: Ann became free, and it came first of those that Ann could have: priority 5, waiting since "
        "09:00:00. Next would have been c2 (priority 5, waiting since 09:00:20). "
        "3 others: 2 logged out and 1 without German >= 5."
    ]


def test_a_missed_and_a_declined_offer() -> None:
    world = a_world()
    world.available("ann")
    queue(world, "c1")
    world.wait(20)
    world.available("bob")
    world.wait(4)
    offer = world.agent("bob").offer
    world.do(events.OfferDeclined(world.at, "bob", offer, "my sister"))
    assert Told(world, "c1").of("offer-withdrawn") == [
        "Ann did not answer within 20 s (RONA): it keeps its place, at the front.",
        "Bob declined it after 4 s: my sister.",
    ]


def test_the_end() -> None:
    world = a_world()
    world.available("ann")
    queue(world, "c1")
    world.wait(3)
    world.accept("ann")
    world.wait(75)
    world.do(events.ContactEnded(world.at, "c1", "customer"))
    world.wait(15)
    world.do(events.WrapUpDone(world.at, "c1", "ann"))
    queue(world, "c2", Need())
    told = Told(world, "c1")
    assert [sentence.kind for sentence in told.sentences] == [
        "visit-started",
        "offer-made",
        "assigned",
        "contact-final",
        "segment-ended",
    ]
    assert told.of("visit-started") == ["It began to wait in Sales with priority 5, needing German >= 5."]
    assert told.of("segment-ended") == ["Ann is done with it (talk 75 s, after-contact work 15 s)."]
    assert told.of("contact-final") == ["It ended: handled, waited 3 s, talked 75 s in all."]


def test_a_customer_who_left() -> None:
    world = a_world()
    queue(world, "c1")
    world.wait(95)
    world.do(events.CustomerLeft(world.at, "c1"))
    told = Told(world, "c1")
    assert told.of("visit-ended") == ["The customer left Sales after 1:35 min."]
    assert told.of("nobody-for") == [
        "Nobody got it: nobody who serves the queue is logged in. Of the agents: 3 logged out and 1 without German >= 5."
    ]


def test_a_supervisor_s_hand() -> None:
    world = a_world()
    world.available("dan")
    queue(world, "c1")
    world.do(events.ContactAssigned(world.at, "c1", "dan", "sup"))
    (said,) = Told(world, "c1").of("offer-made")
    assert said.startswith("It was offered to Dan: Sue said so.")


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        ("best-proficiency", "Ann was the best at what is needed (proficiency 9, since 09:00:10)"),
        ("round-robin", "Bob had been offered something longest ago (no offer yet)"),
        ("fewest-contacts", "Bob had the fewest contacts (contacts now 0, contacts since logging in 0, since 09:00:00)"),
        ("linear", "Ann comes first in the fixed order (level 1, place in the configuration 0)"),
        ("least-occupied", "Bob had been busy for the smallest part (0 % of the time, since 09:00:00)"),
    ],
)
def test_every_strategy_says_its_reason(strategy: str, words: str) -> None:
    world = a_world(strategy)
    world.available("bob")
    world.wait(10)
    world.available("ann")
    queue(world, "c1")
    assert words in Told(world, "c1").of("offer-made")[0]


def test_every_effect_has_words_or_says_nothing_to_a_person() -> None:
    silent = {
        effects.SegmentStarted, effects.Released, effects.AgentChanged, effects.ContactChanged, effects.Overflowed,
        effects.QueueChanged, effects.BroadcastSent, effects.WakeAt, effects.GoOn,
    }  # fmt: skip
    every = {msgspec.inspect.type_info(kind).cls for kind in effects.Effect.__args__}  # type: ignore[attr-defined]
    assert every == silent | set(_WRITERS)
