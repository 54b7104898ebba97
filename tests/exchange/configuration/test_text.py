"""The document as YAML: the same after writing and reading, lines in the sentences, and no text that costs much."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acd.document import Document
from acd.errors import BadDocument
from exchange.configuration import text
from tests.acd.documents import documents

pytestmark = pytest.mark.unit


@settings(max_examples=20, deadline=None)
@given(documents())
def test_yaml_makes_the_same_document_again(wanted: Document) -> None:
    assert text.parse(text.write(wanted))[0] == wanted


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("a: &x 1", "Line 1, column 4: anchors and aliases (& and *) are not allowed; quote the text."),
        ("x: !!python/object a", "Line 1, column 4: tags (!) are not allowed; quote the text."),
        ("[" * 30, "Line 1, column 21: nested deeper than 20 levels."),
        ("queues:\n  a: {}\n  a: {}", "Line 3: 'a' is there twice."),
        ("[a, b]: 1", "Line 1: a key must be a word."),
        ("queues:\n  sales:\n    ageing: ten", "Line 3: 'ten' is no duration; write seconds, or 90s, 2m, 1h30m, 1d."),
        ("queues:\n  sales: {ageng: 1}", "Line 2: There is no key 'ageng' here; did you mean 'ageing'?"),
        ("queues:\n  sales:\n    overflow:\n      - {when: wait}\n", "Line 4: The key 'to' is missing."),
        ("a: [1", "Line 1, column 6: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'."),
    ],
)
def test_mistakes_are_told_with_their_line(yaml: str, message: str) -> None:
    with pytest.raises(BadDocument) as caught:
        text.parse(yaml)
    assert caught.value.problems[0].message == message


def test_numbers_to_dial_keep_their_zeros_and_their_plus() -> None:
    found, _ = text.parse(
        "entry_points: {a: {number: 0049301, flow: f}, b: {number: +4930, flow: f}, c: {number: 5000, flow: f}}"
    )
    assert [entry.number for entry in found.entry_points] == ["0049301", "+4930", "5000"]


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.text(max_size=40), st.text("{}[]:,-?&*!|>'\"%@` \n\tab10.#~\0\ud800", max_size=40)))
def test_no_text_makes_another_error(anything: str) -> None:
    try:
        text.parse(anything)
    except BadDocument as error:
        assert error.problems  # noqa: PT017 - either way is right
