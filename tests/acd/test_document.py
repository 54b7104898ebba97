"""The configuration as a document: nothing is lost on the way out and back, short forms are understood, mistakes are told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acd import document, shapes
from acd.errors import BadDocument
from acd.model import (
    AgentConfig,
    Code,
    Membership,
    MissRule,
    Need,
    OfferRule,
    Overflow,
    QueueConfig,
    Relaxation,
    SkillConfig,
    SkillNeed,
    Target,
    WrapUp,
)
from tests.acd.documents import documents

pytestmark = pytest.mark.unit


@settings(max_examples=20, deadline=None)
@given(documents())
def test_plain_data_makes_the_same_document_again(wanted: document.Document) -> None:
    assert document.parse(document.plain(wanted)) == wanted


def test_the_engine_gets_all_that_it_knows_of() -> None:
    sent = document.configured(document.parse({"skills": ["b", "a"], "queues": {"x": None}, "idle_codes": ["z", "y"]}), 5.0)
    assert (sent.at, [s.id for s in sent.skills], [q.id for q in sent.queues]) == (5.0, ["a", "b"], ["x"])
    assert [code.code for code in sent.idle_codes] == ["z", "y"], "codes stay in the order in which agents see them"
    assert document.configured(document.of_configured(sent), 5.0) == sent


GERMAN = SkillNeed("german", 5)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ({"need": "german >= 5"}, {"need": Need((GERMAN,))}),
        ({"need": "german >= 5, billing"}, {"need": Need((GERMAN, SkillNeed("billing")))}),
        ({"need": ["german 3..7 prefer low"]}, {"need": Need((SkillNeed("german", 3, 7, "low"),))}),
        ({"need": ["german<=3", "x = 4"]}, {"need": Need((SkillNeed("german", 1, 3), SkillNeed("x", 4, 4)))}),
        ({"need": {"skills": "german >= 5", "where": "team == 'a'"}}, {"need": Need((GERMAN,), "team == 'a'")}),
        ({"relaxation": {"after": "1m30s", "without": "all"}}, {"relaxation": (Relaxation(90.0, without=("*",)),)}),
        ({"relaxation": [{"after": 30, "skills": []}]}, {"relaxation": (Relaxation(30.0, skills=()),)}),
        ({"ageing": "10m"}, {}),
        ({"ageing_seconds": 0.5}, {"ageing_seconds": 0.5}),
        (
            {"overflow": [{"when": "wait", "over": "5m", "to": "queue b"}]},
            {"overflow": (Overflow("wait", Target("queue", "b"), 300),)},
        ),
        ({"overflow": {"when": "closed", "to": "voicemail"}}, {"overflow": (Overflow("closed", Target("voicemail")),)}),
        ({"wrap_up": "off"}, {"wrap_up": WrapUp("off")}),
        ({"wrap_up": "1h"}, {"wrap_up": WrapUp(seconds=3600)}),
        (
            {"offer": 15, "offer_by_channel": {"chat": "1m"}},
            {"offer": OfferRule(15), "offer_by_channel": {"chat": OfferRule(60)}},
        ),
        ({"wrap_up_codes": {"a": "A", "b": None}}, {"wrap_up_codes": (Code("a", "A"), Code("b", "b"))}),
        ({"wrap_up_codes": [{"code": "a", "name": "A"}, "b"]}, {"wrap_up_codes": (Code("a", "A"), Code("b", "b"))}),
        ({"channels": "voice"}, {"channels": ("voice",)}),
        (None, {}),
    ],
)
def test_short_forms(data: Any, value: dict[str, Any]) -> None:
    assert document.parse_item("queues", "q", data) == QueueConfig("q", "q", **value)


def test_short_forms_of_people_and_skills() -> None:
    found = document.parse(
        {
            "skills": {"german": "Deutsch", "english": None},
            "settings": {"rona": 3, "declined_by_reason": {"busy": {"limit": 2, "seconds": "1m"}}},
            "agents": {
                "anna": {"queues": ["sales", {"queue": "support", "priority": 2, "delay": 30}], "skills": {"german": 7}}
            },
            "entry_points": {"5000": {"flow": "demo"}, "main": {"number": "+4930123", "flow": "demo"}},
        }
    )
    assert found.skills == (SkillConfig("english", "english"), SkillConfig("german", "Deutsch"))
    served = (Membership("sales"), Membership("support", 2, delay=30.0))
    assert found.agents == (AgentConfig("anna", "anna", served, skills={"german": 7}),)
    assert (found.settings.rona, found.settings.declined_by_reason) == (MissRule(3), {"busy": MissRule(2, 60.0)})
    assert [entry.number for entry in found.entry_points] == ["5000", "+4930123"]


@pytest.mark.parametrize(
    ("data", "place", "sentence"),
    [
        ([], "", "A configuration is a mapping with the keys settings, idle_codes, skills, "),
        ({"queus": {}}, "queus", "There is no key 'queus' here; did you mean 'queues'?"),
        ({"queues": ["a", "a"]}, "queues", "A queue is named twice."),
        ({"queues": 5}, "queues", "queues must be a mapping of ids to their settings."),
        ({"queues": {"a b": None}}, "queues.a b", "An id has 1 to 64 letters, digits or the signs _ . @ + -"),
        ({"queues": {"a": {"ageng": 1}}}, "queues.a.ageng", "There is no key 'ageng' here; did you mean 'ageing'?"),
        (
            {"queues": {"a": {"ageing": "ten"}}},
            "queues.a.ageing",
            "'ten' is no duration; write seconds, or 90s, 2m, 1h30m, 1d.",
        ),
        ({"queues": {"a": {"ageing": float("nan")}}}, "queues.a.ageing", "'nan' must be a number, or a duration of at most"),
        ({"queues": {"a": {"max_waiting": True}}}, "queues.a.max_waiting", "true must be a whole number."),
        ({"queues": {"a": {"keep_place": "no"}}}, "queues.a.keep_place", "'no' must be true or false."),
        ({"queues": {"a": {"name": "x\ny"}}}, "queues.a.name", "A text has at most 1,000 characters, all of them visible."),
        (
            {"queues": {"a": {"need": ["german > 5"]}}},
            "queues.a.need.skills.0",
            "'german > 5' cannot be understood here; write german, ",
        ),
        ({"queues": {"a": {"overflow": [{"when": "wait"}]}}}, "queues.a.overflow.0", "The key 'to' is missing."),
        (
            {"queues": {"a": {"overflow": [{"when": "late", "to": "queue b"}]}}},
            "queues.a.overflow.0.when",
            "'late' is none of wait, size,",
        ),
        (
            {"queues": {"a": {"wrap_up": {"mode": "of"}}}},
            "queues.a.wrap_up.mode",
            "'of' is none of off, optional, mandatory, timed.",
        ),
        ({"queues": {"a": {"id": "b"}}}, "queues.a.id", "The id is 'a', and cannot be another one here."),
        (
            {"agents": {"a": {"attributes": {"x": []}}}},
            "agents.a.attributes.x",
            "A list must be a text, a number, true or false.",
        ),
        ({"agents": {"a": {"skills": ["german"]}}}, "agents.a.skills", "A list must be a mapping."),
        ({"entry_points": {"1": {"channel": "fax"}}}, "entry_points.1.channel", "'fax' is none of voice, chat, email, sms,"),
    ],
)
def test_what_cannot_be_read_is_told(data: Any, place: str, sentence: str) -> None:
    with pytest.raises(BadDocument) as caught:
        document.parse(data)
    problem = caught.value.problems[0]
    assert (".".join(problem.place), problem.message[: len(sentence)]) == (place, sentence)


ANYTHING = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=5),
        st.sampled_from(["german >= 5", "2m", "queue a"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["queues", "agents", "a", "need", "skills", "where", "overflow", "to", "offer", "queue", "rona", "settings"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(ANYTHING)
def test_no_data_makes_another_error(data: Any) -> None:
    try:
        found = document.parse(data)
    except BadDocument as error:
        assert all(problem.message.endswith((".", "?")) for problem in error.problems)  # noqa: PT017 - either way is right
    else:
        assert isinstance(found, document.Document)


@pytest.mark.parametrize(
    ("text", "wanted"), [("90s", 90), ("2m", 120), ("1h30m", 5400), ("1d", 86400), ("0.5s", 0.5), ("", None), ("m", None)]
)
def test_durations(text: str, wanted: float | None) -> None:
    assert shapes.seconds(text) == wanted
