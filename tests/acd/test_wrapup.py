"""After-contact work: by queue and channel off, optional, mandatory or timed; extensions, codes."""

from __future__ import annotations

import pytest

from acd import effects, events
from acd.model import AgentConfig, Code, QueueConfig, Target, WrapUp
from tests.acd.world import World, configuration, none, only

pytestmark = pytest.mark.unit

CODES = (Code("sold", "Sold"), Code("lost", "Lost"))


def ended(rule: WrapUp, *, asked: bool = False, channel: str = "voice", how: str = "agent", **queue: object) -> World:
    """A talk of 10 s under a rule has ended."""
    config = QueueConfig("sales", "Sales", wrap_up=rule, wrap_up_codes=CODES, **queue)  # type: ignore[arg-type]
    world = World(configuration([config, QueueConfig("support", "S")], [AgentConfig("ann", "Ann")]))
    world.available("ann")
    world.come("c1", channel=channel)  # type: ignore[arg-type]
    world.accept("ann")
    if asked:
        world.do(events.WrapUpAsked(world.at, "c1", "ann"))
    world.wait(10.0)
    if how == "transfer":
        world.do(events.ContactTransferred(world.at, "c1", "ann", Target("voicemail")))
    elif how == "connect-failed":
        world.do(events.ConnectFailed(world.at, "c1", "ann"))
    else:
        world.do(events.ContactEnded(world.at, "c1", "agent", failed=how == "failed"))
    return world


def exits(world: World) -> float | None:
    """After how many seconds the after-contact work ends by itself; 0: there is none."""
    if world.state("ann") != "wrap-up":
        return 0.0
    begin = world.at
    found = world.wait(10_000.0)
    segments = [effect for effect in found if isinstance(effect, effects.SegmentEnded)]
    return segments[0].ended - begin if segments else None


@pytest.mark.parametrize(
    ("rule", "asked", "seconds"),
    [
        (WrapUp("off", 30.0), False, 0.0),
        (WrapUp("optional", 30.0), False, 0.0),
        (WrapUp("optional", 30.0), True, 30.0),
        (WrapUp("optional", 0.0), True, None),
        (WrapUp("mandatory", 30.0), False, None),
        (WrapUp("timed", 30.0), False, 30.0),
        (WrapUp("timed", 0.0), False, 0.0),
        (WrapUp("timed", 30.0, code_needed=True), False, 30.0),
    ],
)
def test_modes(rule: WrapUp, asked: bool, seconds: float | None) -> None:
    assert exits(ended(rule, asked=asked)) == seconds


@pytest.mark.parametrize(("channel", "seconds"), [("voice", 30.0), ("chat", 5.0), ("email", 0.0), ("sms", 30.0)])
def test_by_channel(channel: str, seconds: float) -> None:
    by_channel = {"chat": WrapUp("timed", 5.0), "email": WrapUp("off")}
    assert exits(ended(WrapUp("timed", 30.0), channel=channel, wrap_up_by_channel=by_channel)) == seconds


@pytest.mark.parametrize(("how", "seconds"), [("agent", 30.0), ("transfer", 30.0), ("failed", 0.0), ("connect-failed", 0.0)])
def test_after_what(how: str, seconds: float) -> None:
    assert exits(ended(WrapUp("timed", 30.0), how=how)) == seconds


@pytest.mark.parametrize("extensions", [0, 1, 3])
def test_extensions(extensions: int) -> None:
    world = ended(WrapUp("timed", 10.0, extensions))
    assert world.agent("ann").works[0].extensions_left == extensions
    for _ in range(extensions):
        world.do(events.WrapUpExtended(world.at, "c1", "ann"))
    assert world.refused(events.WrapUpExtended(world.at, "c1", "ann")) == "no-more-extensions"
    assert exits(world) == 10.0 * (1 + extensions)


def test_a_mandatory_one_has_nothing_to_extend() -> None:
    assert ended(WrapUp("mandatory")).refused(events.WrapUpExtended(10.0, "c1", "ann")) == "no-more-extensions"


@pytest.mark.parametrize(
    ("needed", "code", "refused"),
    [
        (False, "", ""),
        (False, "sold", ""),
        (False, "nonsense", "unknown-code"),
        (True, "", "code-needed"),
        (True, "lost", ""),
        (True, "nonsense", "unknown-code"),
    ],
)
def test_codes(needed: bool, code: str, refused: str) -> None:
    world = ended(WrapUp("mandatory", code_needed=needed))
    done = events.WrapUpDone(world.at, "c1", "ann", code)
    if refused:
        assert world.refused(done) == refused
        return
    segment = only(world.do(done), effects.SegmentEnded)
    assert (segment.code, segment.talk, segment.how) == (code, 10.0, "handled")


def test_asking_for_it_and_taking_it_back() -> None:
    world = ended(WrapUp("optional", 30.0))
    world.come("c2")
    world.accept("ann")
    world.do(events.WrapUpAsked(world.at, "c2", "ann"))
    world.do(events.WrapUpAsked(world.at, "c2", "ann", on=False))
    assert none(world.do(events.ContactEnded(world.at, "c2", "agent")), effects.OfferMade)
    assert world.state("ann") == "available"
    assert world.refused(events.WrapUpAsked(world.at, "c2", "ann")) == "not-engaged"


def test_where_there_is_none_it_cannot_be_asked_for() -> None:
    world = ended(WrapUp("off"))
    world.come("c2")
    world.accept("ann")
    assert world.refused(events.WrapUpAsked(world.at, "c2", "ann")) == "no-wrap-up"


def test_a_supervisor_ends_a_mandatory_one_by_logging_out() -> None:
    world = ended(WrapUp("mandatory", code_needed=True))
    out = world.do(events.AgentLoggedOut(world.at, "ann", "boss"))
    assert (only(out, effects.SegmentEnded).code, world.state("ann")) == ("", "logged-out")
    assert only(out, effects.AgentChanged).by == "boss"
