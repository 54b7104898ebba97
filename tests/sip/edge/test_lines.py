"""The book of lines and the soft map, with time as a number."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.control import line
from media.control.edge import Trunk
from sip.edge.lines import BOUND_SECONDS, PENDING_SECONDS, Lines, NoLineError
from sip.edge.settings import LOOPBACK
from sip.edge.softmap import Entry, SoftMap
from sip.edge.sources import Sources

pytestmark = pytest.mark.unit


def inventory(name: str = "linecard0", lines: int = 2, generation: str = "g", calls: int = 0) -> line.Inventory:
    records = [
        line.CallRecord(f"c{n}", None, 0, 0, [line.PartyRecord("p", "sip", "connected", sip_call_id=f"i{n}", from_tag="t")], [])
        for n in range(calls)
    ]
    return line.Inventory(name, generation, 0, "", lines, 16000, records)


def book(*names: str, lines: int = 2) -> Lines:
    found = Lines()
    for port, name in enumerate(names):
        found.found(inventory(name, lines, generation=name), ("127.0.0.1", port))
    return found


def test_the_fullest_card_first_and_names_in_natural_order() -> None:
    lines = book("linecard10", "linecard9")
    taken = [lines.take(f"b{n}", f"i{n}", "t", 0.0).name for n in range(4)]
    assert taken == ["linecard9", "linecard9", "linecard10", "linecard10"]
    with pytest.raises(NoLineError):
        lines.take("b", "i", "t", 0.0)
    assert not lines.any_free(PENDING_SECONDS - 1)
    assert lines.any_free(PENDING_SECONDS + 1)


def test_an_arrived_call_is_counted_once_until_its_end() -> None:
    lines = book("linecard0")
    card = lines.take("b", "i", "t", 0.0)
    lines.event("linecard0", line.CallArrived("c", "p", "i", "t", "1", "2"))
    assert (lines.used(card), lines.held(card, 0.0)) == (1, 0)
    lines.event("linecard0", line.PartyChanged("c", "patch", "connected"))
    assert lines.used(card) == 1
    lines.event("linecard0", line.PartyChanged("c", "p", "ended"))
    lines.event("linecard0", line.CallEnded("c", line.Termination("answered", "x")))
    assert lines.free(card, 0.0) == 2


def test_a_line_is_taken_until_the_goodbye_is_answered() -> None:
    lines = book("linecard0", "linecard1", lines=1)
    card = lines.take("b", "i", "t", 0.0)
    for event in (
        line.CallArrived("c", "p", "i", "t", "1", "2"),
        line.LinesHeld(1),
        line.PartyChanged("c", "p", "ended"),
        line.CallEnded("c", line.Termination("answered", "x")),
    ):
        lines.event("linecard0", event)
    assert lines.free(card, 0.0) == 0
    assert lines.take("b2", "i2", "t", 0.0).name == "linecard1"
    lines.event("linecard0", line.LinesHeld(0))
    assert lines.free(card, 0.0) == 1
    known = msgspec.structs.replace(inventory("linecard0", lines=3, calls=1), counters={"lines_held": 2.0})
    assert lines.used(lines.found(known, ("127.0.0.1", 0))) == 2


def test_a_leg_takes_over_the_line_of_its_lease() -> None:
    lines = book("linecard0")
    card = lines.cards["linecard0"]
    lines.lease("l", "", 10.0, 0.0)
    assert lines.free(card, 0.0) == 1
    lines.event("linecard0", line.PartyChanged("c", "p", "dialling"))
    assert (lines.used(card), lines.held(card, 0.0)) == (1, 0)
    assert lines.redeem("l", card, "i", 0.0)
    assert lines.redeem("l", card, "i", 20.0)
    assert not lines.redeem("l", card, "other", 0.0)
    assert lines.held(card, 0.0) == 0


def test_a_redeemed_lease_holds_its_line_a_little_longer_only() -> None:
    lines = book("linecard0")
    card = lines.cards["linecard0"]
    lines.lease("l", "", 10.0, 0.0)
    assert lines.redeem("l", card, "i", 1.0)
    assert lines.held(card, 1.0) == 1
    assert lines.held(card, 1.1 + BOUND_SECONDS) == 0


def test_a_leg_that_only_the_inventory_shows_takes_over_too() -> None:
    lines = book("linecard0")
    card = lines.cards["linecard0"]
    lines.lease("l", "", 10.0, 0.0)
    assert lines.redeem("l", card, "i0", 1.0)
    card = lines.found(inventory(generation="linecard0", calls=1), ("127.0.0.1", 0))
    assert (lines.used(card), lines.held(card, 1.0)) == (1, 0)


def test_leases_prefer_expire_and_die_with_their_card() -> None:
    lines = book("linecard0", "linecard1")
    assert lines.lease("a", "linecard1", 10.0, 0.0).card == "linecard1"
    assert lines.lease("a", "linecard0", 10.0, 0.0).card == "linecard1"
    card = lines.cards["linecard1"]
    assert not lines.redeem("a", lines.cards["linecard0"], "i", 0.0)
    assert not lines.redeem("a", card, "i", 11.0)
    lines.lost("linecard1")
    assert lines.at(("127.0.0.1", 1)) is None
    assert not lines.redeem("a", card, "i", 0.0)


def test_an_inventory_replaces_the_count_and_keeps_what_is_on_its_way() -> None:
    lines = book("linecard0", lines=4)
    lines.take("b0", "i0", "t", 0.0)
    lines.take("b9", "i9", "t", 0.0)
    lines.event("linecard0", line.CallArrived("ghost", "p", "x", "t", "1", "2"))
    card = lines.found(inventory(lines=4, generation="linecard0", calls=1), ("127.0.0.1", 0))
    assert (lines.used(card), lines.held(card, 0.0)) == (1, 1)
    card = lines.found(inventory(lines=4, generation="new"), ("127.0.0.1", 7))
    assert (lines.used(card), lines.held(card, 0.0)) == (0, 0)
    assert lines.at(("127.0.0.1", 0)) is None


@given(st.lists(st.sampled_from(["take", "lease", "arrive", "end", "settle", "wait"]), max_size=60))
def test_no_card_gets_more_than_its_lines(steps: list[str]) -> None:
    lines, now = book("linecard0", "linecard1"), 0.0
    promised: list[tuple[str, str]] = []
    talking: list[tuple[str, str]] = []
    for number, step in enumerate(steps):
        if step in ("take", "lease"):
            try:
                if step == "take":
                    promised.append((lines.take(f"b{number}", f"i{number}", "t", now).name, f"{number}"))
                else:
                    lines.lease(f"l{number}", "", 5.0, now)
            except NoLineError:
                assert all(lines.used(c) + lines.held(c, now) >= c.lines for c in lines.cards.values())
        elif step == "arrive" and promised:
            name, call = promised.pop()
            if f"b{call}" in lines.cards[name].pending:
                lines.event(name, line.CallArrived(f"c{call}", "p", f"i{call}", "t", "1", "2"))
                talking.append((name, call))
        elif step == "end" and talking:
            name, call = talking.pop()
            lines.event(name, line.CallEnded(f"c{call}", line.Termination("answered", "x")))
        elif step == "settle" and promised:
            name, call = promised.pop()
            lines.settled(name, f"b{call}")
        elif step == "wait":
            now += 3.0
        for card in lines.cards.values():
            assert lines.used(card) + lines.held(card, now) <= card.lines


def test_the_soft_map_forgets_the_oldest_and_only_that() -> None:
    entries = [Entry(f"b{n}", f"i{n}", "t", True, "c", "g") for n in range(5)]
    found = SoftMap(3)
    for entry in entries[:3]:
        found.add(entry)
    assert found.branch("b0") is entries[0]  # used again: b1 is the oldest now
    found.add(entries[3])
    assert [found.branch(f"b{n}") is not None for n in range(4)] == [True, False, True, True]
    assert found.dialog(True, "i1", "t") is None
    assert found.dialog(False, "i0", "t") is None
    assert len(found.of_card("c", "g")) == 3
    found.forget(entries[3])
    assert found.dialog(True, "i3", "t") is None


def test_sources() -> None:
    sources = Sources(LOOPBACK)
    sources.configure(["192.0.2.0/24", "2001:db8::/32"], [Trunk("t", ["198.51.100.1", "sbc.example"], "gw.example:5070")])
    assert all(sources.allows(a) for a in ("127.0.0.1", "::1", "192.0.2.9", "::ffff:192.0.2.9", "2001:db8::5", "198.51.100.1"))
    assert not any(sources.allows(a) for a in ("192.0.3.1", "10.0.0.1", "2001:db9::1", "nonsense"))
    assert sources.plain_names == {"sbc.example"}
    sources.resolved("sbc.example", ["203.0.113.5", "203.0.113.7"], 0.0)
    sources.resolved("gw.example", ["203.0.113.8"], 0.0)
    sources.resolved("evil.example", ["203.0.113.6"], 0.0)
    assert all(sources.allows(f"203.0.113.{n}") for n in (5, 7, 8))
    assert not sources.allows("203.0.113.6")
    sources.resolved("sbc.example", ["203.0.113.5"], 3_599.0)
    assert sources.allows("203.0.113.7"), "calls that are up know nothing of a new record"
    sources.resolved("sbc.example", ["203.0.113.5"], 3_601.0)
    assert not sources.allows("203.0.113.7")
    trunk = sources.trunk_for("GW.example")
    assert trunk is not None
    assert sources.trunk_for("t") is trunk
    assert sources.trunk_for("x") is None
    with pytest.raises(ValueError, match="bad"):
        sources.configure(["bad"], [])
    assert sources.allows("192.0.2.9")
    sources.configure([], [])
    assert not sources.allows("192.0.2.9")
    assert not sources.allows("203.0.113.5")
