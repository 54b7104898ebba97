"""docs/configuration.md names every key of every type, with its default, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from acd import model, shapes
from acd.document import SECTIONS, Document, plain
from acd.strategies import STRATEGIES
from exchange.configuration import text

pytestmark = pytest.mark.unit

PAGE = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text(encoding="utf-8")
TYPES: dict[str, type[msgspec.Struct]] = {f"`{name}`": kind for name, kind in SECTIONS.items()} | {
    "`settings`": model.Settings,
    "A miss rule": model.MissRule,
    "A channel of a profile": model.ChannelCapacity,
    "A need": model.Need,
    "A skill of a need": model.SkillNeed,
    "A step": model.Relaxation,
    "A rule": model.Overflow,
    "A target": model.Target,
    "An offer rule": model.OfferRule,
    "A wrap-up rule": model.WrapUp,
    "A callback rule": model.CallbackRule,
    "A membership": model.Membership,
}


def under(heading: str) -> str:
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", PAGE, re.M | re.S)
    assert found is not None, heading
    return found[1]


def shown(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {shown(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[]"
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value) or "''"


def default(kind: type[msgspec.Struct], key: str) -> str:
    info = shapes.keys(kind)[key]
    if info.required:
        return "the id" if key in ("name", "number") else ""
    value = shapes.default(info)
    return f"`{shown(shapes.duration(value) if info.type is float else shapes.write(value))}`"


@pytest.mark.parametrize("heading", TYPES)
def test_every_key_is_explained_with_its_default(heading: str) -> None:
    kind = TYPES[heading]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) ?\| (.+) \|$", under(heading), re.M)
    keys = {key: default(kind, key) for key in shapes.keys(kind) if key != "id" or kind is model.Target}
    assert {key: said for key, said, _ in rows} == keys
    assert all(len(meaning) > 5 for _, _, meaning in rows)


def test_every_type_and_section_has_a_table() -> None:
    found: set[type] = set()

    def walk(kind: Any) -> None:
        for inner in getattr(kind, "__args__", ()):
            walk(inner)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in found:
            found.add(kind)
            for info in msgspec.structs.fields(kind):
                walk(info.type)

    walk(Document)
    assert found - {Document, model.Code} == set(TYPES.values())
    assert set(re.findall(r"^### `(\w+)`", PAGE, re.M)) == set(Document.__struct_fields__)


def test_strategies_are_those_that_exist() -> None:
    row = next(line for line in under("`queues`").splitlines() if line.startswith("| `strategy`"))
    assert set(re.findall(r"`([a-z-]+)`", row.split("|")[3])) == set(STRATEGIES)


def test_the_example_can_be_read() -> None:
    example = re.search(r"^    queues:\n(?:(?:    .*)?\n)+", PAGE, re.M)
    assert example is not None
    found, _ = text.parse(example[0].replace("\n    ", "\n").removeprefix("    "))
    assert plain(found)["queues"]["support"]["relaxation"] == [{"after": 30, "lower": 2}, {"after": "2m", "without": "all"}]
