"""Prompt templates: what they say, and what they refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr import prompts
from ivr.errors import PromptError
from ivr.inputs import Value
from ivr.variables import VariableType, coerce

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "variables", "spoken"),
    [
        (
            "You are number {position} in the queue for {queue_name}.",
            {"position": 3, "queue_name": "Sales"},
            "You are number 3 in the queue for Sales.",
        ),
        ("Your number is {caller:digits}", {"caller": "+49 30-12"}, "Your number is 4 9 3 0 1 2"),
        ("About {expected_wait:minutes} minutes", {"expected_wait": 61.0}, "About 2 minutes"),
        ("About {expected_wait:minutes} minutes", {"expected_wait": 0}, "About 1 minutes"),
        ("{{not a variable}}", {}, "{not a variable}"),
        ("{nothing} left", {}, "left"),
        ("{half}", {"half": 0.5}, "0.5"),
        ("{known}", {"known": True}, "yes"),
        ("{value}", {"value": "{position}"}, "{position}"),
        ("{long}", {"long": "x" * 900}, "x" * 200),
        ("{bell}", {"bell": "a\x07b\nc"}, "a b c"),
    ],
)
def test_rendering(text: str, variables: dict[str, Value], spoken: str) -> None:
    assert prompts.render(text, variables) == spoken


@pytest.mark.parametrize(
    "text", ["{", "}", "{position", "position}", "{Position}", "{a.b}", "{a[0]}", "{}", "{a!r}", "{1+1}", "{a:hex}"]
)
def test_what_is_no_template(text: str) -> None:
    with pytest.raises(PromptError):
        prompts.slots(text)


@given(st.text(), st.dictionaries(st.sampled_from(["a", "b"]), st.one_of(st.text(), st.integers(), st.floats(), st.booleans())))
def test_rendering_never_raises(text: str, variables: dict[str, Value]) -> None:
    prompts.render(text, variables)
    prompts.render("{a}{b:digits}{a:minutes}", variables)


@given(st.text())
def test_braces_doubled_come_back_as_they_were(text: str) -> None:
    assert prompts.render(text.replace("{", "{{").replace("}", "}}"), {}) == text.strip()[: prompts.MAX_SPOKEN].strip()


@pytest.mark.parametrize(
    ("value", "type", "fitting"),
    [
        ("5", "number", 5),
        ("5.5", "number", 5.5),
        ("five", "number", None),
        ("inf", "number", None),
        ("1e300", "number", None),
        (True, "number", None),
        (float("nan"), "number", None),
        (7, "text", "7"),
        (False, "text", "no"),
        ("Yes", "yes_no", True),
        ("perhaps", "yes_no", None),
        (0, "yes_no", False),
    ],
)
def test_coercion(value: Value, type: VariableType, fitting: Value | None) -> None:
    assert coerce(value, type) == fitting
