"""docs/flows.md says what the code does: its example is right, its transcript is the simulator's, no setting is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ivr.activities import TYPES
from ivr.document import packaged, parse
from ivr.script import Agent, Place, Press, TalkOver, Wait
from ivr.simulator import simulate
from ivr.validation import check

pytestmark = pytest.mark.unit

DOCS = (Path(__file__).parents[2] / "docs" / "flows.md").read_text(encoding="utf-8")


def test_example_is_right() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)
    problems = check(example)
    assert problems == []


def test_transcript_is_the_simulators() -> None:
    (transcript,) = re.findall(r"```\n(    0\.0 .*?)```", DOCS, re.DOTALL)
    script = [Press("1"), Place(3, 5), Wait(40), Place(1, 2), Agent(), Wait(30), TalkOver()]
    assert f"{simulate(parse(packaged('demo')), script)}\n" == transcript


@pytest.mark.parametrize("kind", TYPES)
def test_every_setting_and_exit_is_described(kind: str) -> None:
    (section,) = re.findall(rf"### `{kind}`.*?(?=\n###? |\Z)", DOCS, re.DOTALL)
    for setting in set(TYPES[kind].__struct_fields__) - {"exits", "note"}:
        assert f"`{setting}" in section, setting
