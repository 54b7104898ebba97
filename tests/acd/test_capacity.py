"""How much an agent has at once: contacts of each channel, beside which others, how many in all; parking, state by channel."""

from __future__ import annotations

import pytest

from acd import effects, events
from acd.model import (
    AgentConfig,
    Channel,
    ChannelCapacity,
    Membership,
    Need,
    ProfileConfig,
    QueueConfig,
    Target,
    TeamConfig,
    WrapUp,
)
from tests.acd.world import World, configuration, none, only

pytestmark = pytest.mark.unit

BLENDED = ProfileConfig(
    "p",
    "Blended",
    {
        "voice": ChannelCapacity(1, interrupts=("email",)),
        "chat": ChannelCapacity(3, beside=("email",)),
        "email": ChannelCapacity(2, beside=("voice", "chat")),
    },
    total=4,
)


def floor(profile: ProfileConfig | None = BLENDED, **queue: object) -> World:
    """One agent with a profile, after-contact work off unless told otherwise."""
    config = QueueConfig("sales", "Sales", **({"wrap_up": WrapUp("off")} | queue))  # type: ignore[arg-type]
    agent = AgentConfig("ann", "Ann", profile="p" if profile is not None else "")
    world = World(configuration([config], [agent], profiles=[profile] if profile is not None else []))
    world.available("ann")
    return world


def busy(world: World, *channels: Channel) -> None:
    """Give the agent a contact of each of these channels, by force."""
    for number, channel in enumerate(channels):
        world.do(events.ContactArrived(world.at, f"b{number}", channel))
        world.do(events.ContactQueued(world.at, f"b{number}", "sales", need=Need(teams=("nobody",))))
        world.do(events.ContactAssigned(world.at, f"b{number}", "ann", "boss", force=True))


@pytest.mark.parametrize(
    ("at_work", "free_for"),
    [
        ("", "voice chat email"),
        ("voice", "email"),
        ("voice email", "email"),
        ("voice email email", ""),
        ("email", "voice chat email"),
        ("email email", "voice chat"),
        ("chat", "chat email"),
        ("chat chat", "chat email"),
        ("chat chat chat", "email"),
        ("chat chat email", "chat email"),
        ("chat chat email email", ""),
        ("chat chat chat email", ""),
        ("email email voice", ""),
    ],
)
def test_what_fits_beside_what(at_work: str, free_for: str) -> None:
    for channel in ("voice", "chat", "email", "sms"):
        world = floor()
        busy(world, *at_work.split())  # type: ignore[arg-type]
        offered = not none(world.come("c", channel=channel), effects.OfferMade)  # type: ignore[arg-type]
        assert offered == (channel in free_for.split()), channel


def test_an_interruption_does_not_count_towards_the_total() -> None:
    profile = ProfileConfig(
        "p", "P", {"voice": ChannelCapacity(1, interrupts=("email",)), "email": ChannelCapacity(2)}, total=2
    )
    world = floor(profile)
    busy(world, "email", "email")
    assert none(world.come("c1", channel="email"), effects.OfferMade)
    assert only(world.come("c2", channel="voice"), effects.OfferMade).agent == "ann"


def test_without_a_profile_one_at_a_time_of_any_channel() -> None:
    world = floor(None)
    assert only(world.come("c1", channel="sms"), effects.OfferMade)
    world.accept("ann")
    assert none(world.come("c2", channel="email"), effects.OfferMade)
    assert world.agent("ann").channels == {}


def test_the_teams_profile_counts_for_who_has_none() -> None:
    agents = [AgentConfig("ann", "Ann", team="t"), AgentConfig("bob", "Bob", team="t", profile="q")]
    none_of_chat = ProfileConfig("q", "Q", {"voice": ChannelCapacity()})
    teams = [TeamConfig("t", "T", profile="p")]
    world = World(configuration([QueueConfig("sales", "S")], agents, teams=teams, profiles=[BLENDED, none_of_chat]))
    world.available("bob", "ann")
    assert only(world.come("c1", channel="chat"), effects.OfferMade).agent == "ann"


def test_a_second_offer_comes_when_the_first_is_answered() -> None:
    world = floor()
    world.come("c1", channel="chat")
    world.come("c2", channel="chat")
    assert (world.offered_to("c1"), world.offered_to("c2")) == ("ann", None)
    assert only(world.accept("ann"), effects.OfferMade).contact == "c2"
    assert world.state("ann") == "engaged"
    assert world.agent("ann").offer


def test_a_missed_chat_while_talking_to_another_leaves_the_talk() -> None:
    world = floor()
    world.come("c1", channel="chat")
    world.come("c2", channel="chat")
    world.accept("ann")
    world.wait(20.0)
    assert world.state("ann") == "engaged"
    assert world.engine.contact("c2").state == "waiting"  # type: ignore[union-attr]
    world.do(events.ContactEnded(world.at, "c1", "agent"))
    assert (world.state("ann"), world.agent("ann").code) == ("not-responding", "rona")


def test_wrap_up_takes_a_slot_of_its_channel() -> None:
    world = floor(wrap_up=WrapUp("timed", 30.0))
    busy(world, "voice")
    world.do(events.ContactEnded(world.at, "b0", "agent"))
    assert world.state("ann") == "wrap-up"
    assert none(world.come("c1", channel="voice"), effects.OfferMade)
    assert only(world.come("c2", channel="email"), effects.OfferMade)


def test_state_by_channel() -> None:
    world = floor()
    assert world.agent("ann").channels == {"voice": "available", "chat": "available", "email": "available"}
    busy(world, "voice")
    assert world.agent("ann").channels == {"voice": "full", "chat": "blocked", "email": "available"}
    world.choose("ann", "idle", "break")
    assert world.agent("ann").channels == {"voice": "full", "chat": "blocked", "email": "blocked"}
    world.do(events.ContactEnded(world.at, "b0", "agent"))
    assert world.agent("ann").channels == {"voice": "idle", "chat": "idle", "email": "idle"}


def test_reach_by_channel() -> None:
    world = floor()
    world.do(events.AgentReachable(world.at, "ann", False, "no softphone", ("voice",)))
    assert none(world.come("c1", channel="voice"), effects.OfferMade)
    assert world.engine.why_not("c1", "ann") == ("unreachable", "voice")
    assert only(world.come("c2", channel="chat"), effects.OfferMade)


# --- parking ------------------------------------------------------------------------------------------------------


def parked() -> World:
    """An agent who may have one chat, and has parked it."""
    world = floor(ProfileConfig("p", "P", {"chat": ChannelCapacity(1), "voice": ChannelCapacity(1)}))
    world.come("c1", channel="chat")
    world.accept("ann")
    world.wait(10.0)
    world.do(events.ContactParked(world.at, "c1", "ann"))
    return world


def test_parking_frees_the_slot_and_going_on_takes_it() -> None:
    world = parked()
    assert world.state("ann") == "available"
    world.wait(5.0)
    out = world.do(events.ContactResumed(world.at, "c1"))
    assert only(out, effects.Parked).on is False
    assert none(world.come("c2", channel="chat"), effects.OfferMade)
    world.wait(7.0)
    out = world.do(events.ContactEnded(world.at, "c1", "customer"))
    assert only(out, effects.ContactFinal).talked == 17.0


def test_the_customer_who_writes_while_the_agent_is_full_waits_for_them_first() -> None:
    world = parked()
    world.come("c2", channel="chat")
    world.accept("ann")
    out = world.do(events.ContactResumed(world.at, "c1", patience=60.0))
    assert only(out, effects.Released).why == "resumed"
    assert world.engine.position("c1") == 1
    assert world.engine.why_not("c1", "ann")[0] == "engaged"
    out = world.do(events.ContactEnded(world.at, "c2", "agent"))
    assert only(out, effects.OfferMade).contact == "c1"


def test_an_agent_goes_on_only_with_a_slot_and_an_offer_that_is_out_counts() -> None:
    world = parked()
    world.come("c2", channel="chat")
    assert world.offered_to("c2") == "ann"
    assert world.refused(events.ContactResumed(world.at, "c1", "agent")) == "no-capacity"
    world.accept("ann")
    assert world.refused(events.ContactResumed(world.at, "c1", "agent")) == "no-capacity"
    world.do(events.ContactEnded(world.at, "c2", "agent"))
    world.do(events.ContactResumed(world.at, "c1", "agent"))
    assert world.state("ann") == "engaged"


def test_a_call_is_not_parked_and_what_is_parked_goes_back_when_its_agent_leaves() -> None:
    world = parked()
    world.come("c2", channel="voice")
    world.accept("ann")
    assert world.refused(events.ContactParked(world.at, "c2", "ann")) == "not-for-voice"
    assert world.refused(events.ContactParked(world.at, "c1", "ann")) == "not-engaged"
    world.do(events.ContactEnded(world.at, "c2", "agent"))
    out = world.do(events.AgentLoggedOut(world.at, "ann"))
    assert only(out, effects.Released).why == "agent-lost"
    assert world.engine.position("c1") == 1


def test_the_same_contact_again_while_its_wrap_up_is_open() -> None:
    profile = ProfileConfig("p", "P", {"chat": ChannelCapacity(3)})
    world = floor(profile, wrap_up=WrapUp("mandatory"))
    world.come("c1", channel="chat")
    world.accept("ann")
    world.do(events.ContactTransferred(world.at, "c1", "ann", Target("queue", "sales")))
    assert world.offered_to("c1") == "ann"
    world.accept("ann")
    assert [work.state for work in world.agent("ann").works] == ["wrap-up", "engaged"]
    out = world.do(events.ContactEnded(world.at, "c1", "agent"))
    assert only(out, effects.ContactFinal).final == "handled"
    world.do(events.WrapUpDone(world.at, "c1", "ann"))
    world.do(events.WrapUpDone(world.at, "c1", "ann"))
    assert world.state("ann") == "available"


def test_memberships_of_queue_and_team_are_joined_by_the_agents_own() -> None:
    teams = [TeamConfig("t", "T", (Membership("sales", 5), Membership("support")))]
    agents = [AgentConfig("ann", "Ann", (Membership("sales", 1),), "t")]
    world = World(configuration(agents=agents, teams=teams))
    assert world.agent("ann").queues == ("sales", "support")


@pytest.mark.parametrize("whole", [True, False])
def test_a_smaller_profile_takes_back_the_offer_that_is_too_much(whole: bool) -> None:
    small = ProfileConfig("small", "One chat", {"chat": ChannelCapacity(1)})
    agents = [AgentConfig("ann", "Ann", profile="p"), AgentConfig("bob", "Bob", profile="p")]
    queues = [QueueConfig("sales", "Sales", wrap_up=WrapUp("off"))]
    world = World(configuration(queues, agents, profiles=[BLENDED, small]))
    world.available("ann")
    busy(world, "chat")
    world.come("c1", channel="chat")
    assert world.offered_to("c1") == "ann"
    changed = AgentConfig("ann", "Ann", profile="small")
    if whole:
        out = world.do(configuration(queues, [changed, agents[1]], world.at, profiles=[BLENDED, small]))
    else:
        out = world.do(events.AgentAmended(world.at, changed))
    taken = only(out, effects.OfferWithdrawn)
    assert (taken.contact, taken.agent, taken.why) == ("c1", "ann", "changed")
    assert world.agent("ann").state == "engaged"
    world.go_on()
    assert world.offered_to("c1") is None
    world.available("bob")
    assert world.offered_to("c1") == "bob"
