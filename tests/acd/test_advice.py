"""What is said about configurations: one small document for each fault, and the sentence that an admin reads."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from acd import advice, document
from acd.document import Document
from acd.errors import Problem
from tests.acd.documents import documents

pytestmark = pytest.mark.unit

BASE: dict[str, Any] = {
    "skills": {"german": None, "english": None, "french": None},
    "periods": {"day": {"weekly": "mon-fri 09:00-17:00"}},
    "profiles": {"calls": {"channels": {"voice": 1}}, "texts": {"channels": {"chat": 3}}},
    "queues": {"a": {}, "b": {}},
    "teams": {"t": {"queues": ["a"]}},
    "agents": {"x": {"queues": ["a", "b"], "skills": {"german": 4}}, "y": {"team": "t", "skills": {"english": 9}}},
    "entry_points": {"5000": {"flow": "demo"}},
}


def with_(**sections: dict[str, Any]) -> Document:
    """The base document with some things of it anew."""
    return document.parse({key: {**value, **sections.get(key, {})} for key, value in BASE.items()})


def queue(**fields: Any) -> Document:
    return with_(queues={"a": fields})


def said(problems: list[Problem]) -> list[str]:
    return [f"{'.'.join(problem.place)}: {problem.message}" for problem in problems]


def test_nothing_is_said_of_a_good_one() -> None:
    assert advice.check(with_(), ["demo"], {"a": [5]}) == []


ERRORS: list[tuple[str, Document, str]] = [
    ("unknown-skill", queue(need="germn"), "queues.a.need.skills: There is no skill 'germn'; did you mean 'german'?"),
    (
        "unknown-skill",
        queue(relaxation={"after": 5, "without": ["x"]}),
        "queues.a.relaxation.0.without: There is no skill 'x'.",
    ),
    (
        "unknown-skill",
        with_(agents={"x": {"skills": {"danish": 3}}}),
        "agents.x.skills.danish: There is no skill 'danish'; did you mean",
    ),
    ("unknown-queue", with_(teams={"t": {"queues": ["c"]}}), "teams.t.queues: There is no queue 'c'."),
    (
        "unknown-queue",
        queue(overflow={"when": "wait", "over": 9, "to": "queue c"}),
        "queues.a.overflow.0.to: There is no queue 'c'.",
    ),
    ("unknown-team", queue(need={"teams": ["u"]}), "queues.a.need.teams: There is no team 'u'."),
    ("unknown-team", with_(agents={"x": {"team": "u"}}), "agents.x.team: There is no team 'u'."),
    ("unknown-agent", queue(need={"agents": ["z"]}), "queues.a.need.agents: There is no agent 'z'."),
    (
        "unknown-profile",
        with_(agents={"x": {"profile": "call"}}),
        "agents.x.profile: There is no profile 'call'; did you mean 'calls'?",
    ),
    ("unknown-period", queue(hours="night"), "queues.a.hours: There is no period 'night'."),
    (
        "unknown-period",
        queue(overflow={"when": "size", "to": "voicemail", "during": "n"}),
        "queues.a.overflow.0.during: There is no",
    ),
    (
        "unknown-flow",
        with_(entry_points={"6": {"flow": "dem"}}),
        "entry_points.6.flow: There is no flow 'dem'; did you mean 'demo'?",
    ),
    (
        "unknown-strategy",
        queue(strategy="random"),
        "queues.a.strategy: There is no strategy 'random'; there are longest-available,",
    ),
    (
        "bad-expression",
        queue(need={"where": "agent.site = 'x'"}),
        "queues.a.need.where: The condition `agent.site = 'x'` cannot be",
    ),
    (
        "bad-expression",
        queue(relaxation={"after": 1, "where": "("}),
        "queues.a.relaxation.0.where: The condition `(` cannot be",
    ),
    ("out-of-range", queue(need="german >= 11"), "queues.a.need.skills.0.least: least must be from 1 to 10, not 11."),
    ("out-of-range", queue(need="german 7..3"), "queues.a.need.skills: Nobody has german at least 7 and at most 3."),
    ("out-of-range", queue(ageing=-1), "queues.a.ageing: ageing must be from 0 to 604800, not -1."),
    ("out-of-range", queue(offer_by_channel={"chat": 0}), "queues.a.offer_by_channel.chat.seconds: seconds must be from 1 to"),
    (
        "out-of-range",
        with_(agents={"x": {"skills": {"german": 0}}}),
        "agents.x.skills.german: A proficiency is from 1 to 10, not 0;",
    ),
    (
        "overflow-to-itself",
        queue(overflow={"when": "size", "to": "queue a"}),
        "queues.a.overflow.0.to: The queue overflows into itself;",
    ),
    (
        "missing-key",
        queue(overflow={"when": "period", "to": "voicemail"}),
        "queues.a.overflow.0: A rule for a period must name it:",
    ),
    ("missing-key", queue(overflow={"when": "size", "to": "team"}), "queues.a.overflow.0.to: Which team? Write: team NAME."),
    ("duplicate-id", queue(wrap_up_codes=["x", "x"]), "queues.a.wrap_up_codes: The code 'x' is there 2 times."),
    ("duplicate-id", with_(agents={"x": {"queues": ["a", "a"]}}), "agents.x.queues: The queue 'a' is named 2 times."),
    (
        "duplicate-number",
        with_(entry_points={"6": {"flow": "demo", "number": "5000"}}),
        "entry_points.6.number: The number 5000 already",
    ),
    ("bad-id", with_(skills={"all": None}), "skills.all: A skill cannot be called 'all': 'without: all' means every skill."),
    (
        "bad-time",
        with_(periods={"day": {"weekly": "mon 9-5"}}),
        "periods.day.weekly.0: '9-5' are no hours; write them as 09:00-17:30",
    ),
    ("bad-time", with_(periods={"day": {"exceptions": "02-30 closed"}}), "periods.day.exceptions.0: 02-30 is no date."),
]


@pytest.mark.parametrize(("code", "wanted", "sentence"), ERRORS, ids=lambda value: value if isinstance(value, str) else "")
def test_what_forbids_a_configuration(code: str, wanted: Document, sentence: str) -> None:
    found = advice.check(wanted, ["demo"])
    assert [(problem.code, problem.blocks) for problem in found] == [(code, True)]
    assert said(found)[0].startswith(sentence)


SERVED_BY_X = {"x": {"queues": ["a"], "skills": {"german": 4}}, "y": {"queues": ["b"], "skills": {"english": 9}}}
LATE = {"x": {"queues": ["b", {"queue": "a", "delay": 30}]}, "y": {"queues": ["b", {"queue": "a", "delay": "2m"}]}}
SECOND = {"x": {"queues": ["b", {"queue": "a", "priority": 2}]}, "y": {"queues": ["b", {"queue": "a", "priority": 5}]}}
TO_B = {"when": "wait", "over": "1m", "to": "queue b"}

WARNINGS: list[tuple[str, Document, str]] = [
    (
        "nobody-serves",
        with_(agents={"x": {"queues": ["a"]}}),
        "queues.b: Nobody serves this queue: name it with an agent or a team.",
    ),
    ("skill-nobody-has", queue(need="french"), "queues.a.need: Nobody who serves this queue has the skill 'french'."),
    (
        "level-nobody-has",
        queue(need="german >= 5"),
        "queues.a.need: Nobody who serves this queue has 'german' at 5 or more; the best has 4.",
    ),
    (
        "level-nobody-has",
        queue(need="english 1..3"),
        "queues.a.need: Nobody who serves this queue has 'english' from 1 to 3; the best has 9.",
    ),
    (
        "skills-nobody-joins",
        queue(need="german, english"),
        "queues.a.need: Nobody who serves this queue has 'german' and 'english' together.",
    ),
    (
        "level-nobody-has",
        queue(need="german >= 9", relaxation=[{"after": 30, "lower": 2}, {"after": "1m", "without": "all"}]),
        "queues.a.need: Nobody who serves this queue has 'german' at 9 or more; the best has 4. Until the step after 1m",
    ),
    (
        "skill-nobody-has",
        queue(need="german", relaxation={"after": 30, "skills": ["french"]}),
        "queues.a.relaxation.0: Nobody who serves this queue has the skill 'french'.",
    ),
    ("team-serves-not", with_(queues={"b": {"need": {"teams": "t"}}}), "queues.b.need: Nobody of t serves this queue."),
    (
        "nobody-where",
        queue(need={"where": "agent.site == 'x'"}),
        "queues.a.need: For nobody who serves this queue the condition 'agent.site",
    ),
    (
        "profile-never",
        with_(queues={"b": {"channels": ["voice", "sms"]}}, agents={"x": {"queues": ["a", "b"], "profile": "texts"}}),
        "queues.b.channels: 1 agent of this queue work by the profile 'texts', which never takes voice or sms.",
    ),
    (
        "channel-nobody-takes",
        with_(queues={"b": {"channels": ["voice", "chat"]}}, agents={"x": {"queues": ["a", "b"], "profile": "texts"}}),
        "queues.b.channels: Nobody who serves this queue has a profile that takes voice.",
    ),
    ("profile-empty", with_(profiles={"none": {}}), "profiles.none: With this profile an agent is never offered anything."),
    (
        "never-matters",
        with_(profiles={"calls": {"channels": {"voice": {"interrupts": "email"}}}}),
        "profiles.calls.channels.voice: Contacts of email are never taken with this profile, so that nothing can",
    ),
    (
        "starvation",
        queue(ageing=0),
        "queues.a.ageing: With ageing 0, contacts of priority 5, 9 may never be served while some of priority 2",
    ),
    (
        "starvation",
        with_(agents=SECOND),
        "queues.a: All who serve this queue serve 'b' first: while contacts wait there, nobody comes here.",
    ),
    (
        "relaxes-nothing",
        queue(need="german", relaxation={"after": 9, "lower": 2}),
        "queues.a.relaxation.0: This step makes nothing looser: ",
    ),
    (
        "relaxes-nothing",
        queue(relaxation={"after": 9}),
        "queues.a.relaxation.0: This step makes nothing looser: what is needed is the same",
    ),
    (
        "relaxes-nothing",
        queue(need="german", relaxation={"after": 9, "skills": ["german >= 2"]}),
        "queues.a.relaxation.0: This step asks for more than before it",
    ),
    (
        "steps-disorder",
        queue(need="german >= 4", relaxation=[{"after": 9, "lower": 1}, {"after": 5, "lower": 1}]),
        "queues.a.relaxation.1: This step stands behind one that comes later",
    ),
    (
        "never-reached",
        queue(need="german >= 4", overflow=TO_B, relaxation={"after": 90, "lower": 1}),
        "queues.a.relaxation.0: Nobody waits here for so long: after 1m a rule takes everybody elsewhere.",
    ),
    (
        "delay-for-nobody",
        with_(agents=LATE),
        "queues.a: Everybody who serves this queue has a delay: contacts wait 30 s for nobody.",
    ),
    (
        "never-matters",
        with_(queues={"a": {"overflow": TO_B}}, agents={"x": {"queues": ["a", "b"]}, "y": LATE["y"]}),
        "queues.a: y never get a contact of this queue: after 1m a rule takes everybody elsewhere.",
    ),
    (
        "rule-never-applies",
        queue(overflow=[TO_B, {"when": "wait", "over": "2m", "to": "voicemail"}]),
        "queues.a.overflow.1: This rule never applies: one before it, for the same case, does whenever this one would.",
    ),
    (
        "overflow-loop",
        with_(queues={"a": {"overflow": TO_B}, "b": {"overflow": {"when": "size", "over": 9, "to": "queue a"}}}),
        "queues.a.overflow.0: Contacts can go round for as long as nobody takes them: 'a' → 'b' → 'a'.",
    ),
    (
        "overflow-loop",
        with_(queues={n: {"overflow": {"when": "closed", "to": f"queue {m}"}} for n, m in ("ab", "ba")}),
        "queues.a.overflow.0: Contacts can go round at once, until the engine stops it: 'a' → 'b' → 'a'.",
    ),
    (
        "no-codes",
        queue(wrap_up={"code_needed": True}),
        "queues.a.wrap_up: A code is needed to finish the wrap-up, but the queue has none:",
    ),
    ("agent-without-queue", with_(agents={"z": {}}), "agents.z: This agent serves no queue and is never offered anything."),
]


@pytest.mark.parametrize(("code", "wanted", "sentence"), WARNINGS, ids=lambda value: value if isinstance(value, str) else "")
def test_what_only_warns(code: str, wanted: Document, sentence: str) -> None:
    found = advice.check(wanted, ["demo"], {"a": [2, 5, 9]})
    assert [(problem.code, problem.blocks) for problem in found] == [(code, False)], said(found)
    assert said(found)[0].startswith(sentence)


def test_without_flows_a_queue_without_ageing_is_doubted() -> None:
    assert [problem.code for problem in advice.check(queue(ageing=0))] == ["starvation"]
    assert advice.check(queue(ageing=0), ["demo"], {"a": [5]}) == [], "all contacts have one priority"


def test_an_agent_of_no_team_and_queue_serves_those_that_nobody_names() -> None:
    assert advice.check(document.parse({"queues": ["a"], "agents": ["x"]})) == []


@settings(max_examples=25, deadline=None)
@given(documents())
def test_whatever_a_document_says_there_are_only_sentences(wanted: Document) -> None:
    for problem in advice.check(wanted):
        assert problem.message[-1] in ".?"
        str(problem).encode()
