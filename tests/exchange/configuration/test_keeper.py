"""Changes of the configuration: what a plan says, what is refused, and that engine and rows always say the same."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest

from acd import document
from acd.errors import BadDocument, Refused
from acd.events import AgentAmended, Configured
from exchange.brain.records import Routing
from exchange.configuration import changes
from exchange.configuration.keeper import Changed
from tests.exchange.configuration.office import Office

pytestmark = pytest.mark.unit

BASE: dict[str, Any] = {
    "skills": {"german": "German"},
    "queues": {"sales": {"name": "Sales"}, "support": {}, "spare": {}},
    "teams": {"t": {"queues": ["sales", "support", "spare"]}},
    "agents": {"anna": {"team": "t", "skills": {"german": 5}}, "ben": {"team": "t"}},
    "entry_points": {"5000": {"flow": "demo"}},
}


def other(**sections: Any) -> dict[str, Any]:
    """The base with some things anew, or (None) gone."""
    found = copy.deepcopy(BASE)
    for section, things in sections.items():
        found.setdefault(section, {}).update(things)
        found[section] = {id: thing for id, thing in found[section].items() if thing is not None}
    return found


def in_rows(office: Office) -> list[tuple[Any, ...]]:
    return [(row.args[0], row.args[1], row.args[2], row.args[4], row.args[6]) for row in office.rows]


async def test_the_same_document_changes_nothing() -> None:
    office = Office(BASE)
    plan = await office.keeper.apply(BASE, "cli:me")
    assert (plan.changes, plan.problems, office.rows, office.taken) == ([], [], [], [])


async def test_a_plan_says_what_changes_and_whom_it_concerns() -> None:
    office = Office(BASE)
    office.contact_waits("c1", "sales")
    office.agent_is_there("anna")
    office.contact_waits("c2", "support")
    wanted = other(
        queues={"sales": {"name": "Sales", "ageing": "5m", "wrap_up": {"seconds": 60, "code_needed": True}}, "late": {}},
        agents={"anna": {"team": "t"}, "carl": {"queues": ["late"]}},
        entry_points={"5000": None},
        settings={"rona": 2},
    )
    plan = await office.keeper.plan(wanted)
    assert list(changes.lines(plan.changes)) == [
        "~ The settings are changed.",
        "    rona: its default becomes 2",
        "+ Queue 'late' is added.",
        "~ Queue 'sales' is changed.",
        "    ageing: its default becomes 5m",
        "    wrap_up: its default becomes {seconds: 1m, code_needed: true}",
        "    ! 1 contact waits there, and keeps its place.",
        "    ! anna is logged in and serves it.",
        "~ Agent 'anna' is changed.",
        "    skills: {german: 5} becomes its default",
        "    ! anna is logged in (reserved): it counts from their next contact on.",
        "+ Agent 'carl' is added.",
        "    queues: [late]",
        "- Entry point '5000' is removed.",
    ]
    assert [problem.code for problem in plan.problems] == ["no-codes"]
    assert not plan.blocked
    assert office.keeper.document == document.parse(BASE), "a plan changes nothing"


async def test_what_is_in_use_cannot_go() -> None:
    office = Office(BASE)
    office.contact_waits("c1", "sales")
    office.agent_is_there("ben")
    office.contact_waits("c2", "spare")
    wanted = other(queues={"sales": None}, teams={"t": {"queues": ["support", "spare"]}}, agents={"ben": None})
    plan = await office.keeper.apply(wanted, "cli:me")
    assert [change.refused for change in plan.changes] == [
        "Queue 'sales' has 1 waiting contact and cannot go: close it, and wait until it is empty.",
        "",
        "Agent 'ben' is logged in (reserved) and cannot go: log them out first.",
    ]
    assert (plan.blocked, office.rows, office.keeper.document) == (True, [], document.parse(BASE))


async def test_a_document_with_errors_is_not_taken() -> None:
    office = Office(BASE)
    plan = await office.keeper.apply(other(queues={"sales": {"need": "danish"}}), "cli:me")
    assert ([problem.code for problem in plan.problems], plan.blocked) == (["unknown-skill"], True)
    plan = await office.keeper.apply(other(periods={"p": {"zone": "Mars", "weekly": "mon 09:00-10:00"}}), "cli:me")
    assert ([problem.code for problem in plan.problems], plan.blocked) == (["unknown-zone"], True)
    with pytest.raises(BadDocument):
        await office.keeper.apply(other(queues={"sales": {"ageng": 1}}), "cli:me")
    assert (office.rows, office.keeper.document) == ([], document.parse(BASE))


async def test_all_of_a_document_is_taken_at_once() -> None:
    office = Office(BASE)
    wanted = other(queues={"sales": {"name": "Verkauf"}, "spare": None}, teams={"t": {"queues": ["sales", "support"]}})
    plan = await office.keeper.apply(wanted, "cli:me")
    assert not plan.blocked
    assert office.keeper.document == office.taken[0] == document.parse(wanted)
    assert in_rows(office) == [
        ("queue", "sales", 2, "cli:me", 0),
        ("queue", "spare", 2, "cli:me", 1),
        ("team", "t", 2, "cli:me", 0),
    ]
    told = office.inputs[-1]
    assert isinstance(told, Routing)
    assert isinstance(told.event, Configured)
    assert [queue.name for queue in told.event.queues] == ["Verkauf", "support"]
    again = await office.keeper.apply(BASE, "cli:you")
    assert [change.what for change in again.changes] == ["changed", "added", "changed"]
    assert in_rows(office)[3:] == [
        ("queue", "sales", 3, "cli:you", 0),
        ("queue", "spare", 3, "cli:you", 0),
        ("team", "t", 3, "cli:you", 0),
    ]


async def test_what_one_agent_can_do_counts_while_they_are_logged_in() -> None:
    office = Office(other(queues={"sales": {"need": "german >= 7"}}))
    office.contact_waits("c1", "sales")
    office.agent_is_there("anna")
    assert office.house.engine.offers() == [], "a level of 5 is not enough"
    anna = msgspec.structs.replace(office.keeper.document.find("agents", "anna"), skills={"german": 8})
    version = await office.keeper.put("agents", anna, "admin")
    assert (version.number, version.by) == (2, "admin")
    told = office.inputs[-1]
    assert isinstance(told, Routing)
    assert isinstance(told.event, AgentAmended)
    assert [(offer.contact, offer.agent) for offer in office.house.engine.offers()] == [("c1", "anna")]
    assert in_rows(office) == [("agent", "anna", 2, "admin", 0)]


async def test_versions_keep_two_admins_apart() -> None:
    office = Office(BASE)
    first = document.parse_item("queues", "sales", {"name": "One"})
    await office.keeper.put("queues", first, "a", expected=1)
    with pytest.raises(Changed):
        await office.keeper.put("queues", document.parse_item("queues", "sales", {"name": "Two"}), "b", expected=1)
    with pytest.raises(Changed):
        await office.keeper.remove("queues", "sales", "b", expected=1)
    with pytest.raises(Refused, match="There is a queue 'sales' already"):
        await office.keeper.put("queues", first, "b", new=True)
    unchanged = await office.keeper.put("queues", first, "b")
    assert (unchanged.number, unchanged.by) == (2, "a"), "the same once more is no version"
    assert office.keeper.document.find("queues", "sales") == first


async def test_what_is_named_elsewhere_cannot_be_removed() -> None:
    office = Office(BASE)
    with pytest.raises(Refused, match="The skill 'german' is named by agent 'anna': take it out there first"):
        await office.keeper.remove("skills", "german", "a")
    with pytest.raises(Refused, match="The team 't' is named by agent 'anna' and agent 'ben'"):
        await office.keeper.remove("teams", "t", "a")
    office.agent_is_there("ben")
    with pytest.raises(Refused, match="Agent 'ben' is logged in"):
        await office.keeper.remove("agents", "ben", "a")
    await office.keeper.remove("agents", "anna", "a")
    await office.keeper.remove("skills", "german", "a")
    assert in_rows(office) == [("agent", "anna", 2, "a", 1), ("skill", "german", 2, "a", 1)]
    assert office.house.engine.agent("anna") is None
