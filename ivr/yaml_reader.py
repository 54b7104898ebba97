"""Reads the YAML of flow documents: plain data only, bounded in size and depth, no surprises.

Stricter than PyYAML's safe loader: no anchors and aliases (they can make a small text huge), no tags, no key twice, keys are
always texts (`1:` is "1"), and of the plain words only `true`, `false` and `null` are not texts (YAML 1.2's core schema:
`no`, `on`, `2026-01-01` and `1:30` stay what they look like).
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
import yaml

from ivr.errors import FlowError, Problem

MAX_CHARACTERS = 128 * 1024
MAX_DEPTH = 20


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  PyYAML's own attribute

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise yaml.composer.ComposerError(
                None, None, "anchors and aliases (& and *) are not allowed; quote the text", event.start_mark
            )
        if getattr(event, "tag", None) is not None:
            raise yaml.composer.ComposerError(None, None, "tags (!) are not allowed; quote the text", event.start_mark)
        if self._depth >= MAX_DEPTH:
            raise yaml.composer.ComposerError(None, None, f"nested deeper than {MAX_DEPTH} levels", event.start_mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key.start_mark)
        if key.value in values:
            raise yaml.constructor.ConstructorError(None, None, f"'{key.value[:64]}' is there twice", key.start_mark)
        values[key.value] = loader.construct_object(value, deep=True)
    return values


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int | str:
    # Python refuses to read integers of thousands of digits; as a text the settings' types will refuse them in words.
    return int(node.value) if len(node.value) <= 18 else str(node.value)


for tag, pattern, first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)


def read(text: str, most: int = MAX_CHARACTERS) -> Any:
    """The document's data; raises FlowError with one Problem that names the line."""
    if len(text) > most:
        raise FlowError([Problem("too-big", "", f"The document has {len(text):,} characters; {most:,} are allowed.")])
    try:
        loader = _Loader(text)
        try:
            data = loader.get_single_data()
        finally:
            loader.dispose()
        msgspec.msgpack.encode(data)  # half a surrogate pair, written as an escape, cannot be stored or spoken
        return data
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"Line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        raise FlowError(
            [Problem("syntax", "", f"{place}{', '.join(filter(None, (error.context, error.problem)))}.")]
        ) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # ValueError: an escape that is no character
        raise FlowError([Problem("syntax", "", f"The text is not YAML: {' '.join(str(error).split())}.")]) from error
