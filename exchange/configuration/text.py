"""The document as YAML text: read with the line of each thing, written so that reading gives the same."""

from __future__ import annotations

import re
from typing import Any

import yaml

from acd import document
from acd.document import Document
from acd.errors import BadDocument, Problem
from ivr import yaml_reader
from ivr.errors import FlowError

MAX_CHARACTERS = 16 * 1024 * 1024
"""10,000 agents with queues and skills take about two million."""

Lines = dict[tuple[str, ...], int]
"""Where each thing stands, by its place in the document."""

# As the reader of flows has it, but a number keeps its zeros and its plus: `+4930` and `007` are texts.
_PLAIN = (
    ("bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF"),
    ("int", re.compile(r"^-?(?:0|[1-9][0-9]{0,14})$"), "-0123456789"),
    ("float", re.compile(r"^-?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?$"), "-.0123456789"),
    ("null", re.compile(r"^(?:~|null|Null|NULL|)$"), "~nN"),
)
_FAST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(text: str) -> tuple[Any, Lines]:
    """Plain data and lines; raises BadDocument with one Problem that names the line."""
    if len(text) > MAX_CHARACTERS:
        message = f"The document has {len(text):,} characters; {MAX_CHARACTERS:,} are allowed."
        raise BadDocument([Problem("too-big", (), message)])
    lines: Lines = {}
    try:
        _forbid(text)
        node = yaml.compose(text, Loader=_FAST)
    except (yaml.YAMLError, ValueError, OverflowError):
        raise BadDocument([_explained(text)]) from None
    return (None if node is None else _data(node, (), lines)), lines


def parse(text: str) -> tuple[Document, Lines]:
    """The document, and the lines to say where its problems are; raises BadDocument, whose sentences name their lines."""
    data, lines = read(text)
    try:
        return document.parse(data), lines
    except BadDocument as error:
        raise BadDocument([located(problem, lines) for problem in error.problems]) from None


def located(problem: Problem, lines: Lines) -> Problem:
    """The problem with its line in the sentence."""
    place = problem.place
    while place and place not in lines:
        place = place[:-1]
    if place not in lines or problem.message.startswith("Line "):
        return problem
    return Problem(problem.code, problem.place, f"Line {lines[place]}: {problem.message}", problem.blocks)


def _forbid(text: str) -> None:
    """Raises YAMLError for what could make a small text huge or deep; nothing is built yet."""
    depth = 0
    for event in yaml.parse(text, Loader=_FAST):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise yaml.YAMLError
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > yaml_reader.MAX_DEPTH:
                raise yaml.YAMLError
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _explained(text: str) -> Problem:
    """The fault in the words of the slower reader."""
    try:
        yaml_reader.read(text, most=MAX_CHARACTERS)
    except FlowError as error:
        return Problem("syntax", (), error.problems[0].message)
    return Problem("syntax", (), "The text is not YAML.")


def _data(node: yaml.Node, place: tuple[str, ...], lines: Lines) -> Any:
    lines[place] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, place, lines)
    if isinstance(node, yaml.SequenceNode):
        return [_data(entry, (*place, str(number)), lines) for number, entry in enumerate(node.value)]
    value: str = node.value
    if isinstance(node, yaml.ScalarNode) and node.style:  # quoted, or a block
        return value
    kind = next((name for name, pattern, _ in _PLAIN if pattern.match(value)), "")
    match kind:
        case "bool":
            return value.lower() == "true"
        case "int":
            return int(value)
        case "float":
            return float(value)
        case "null":
            return None
    return value


def _mapping(node: yaml.MappingNode, place: tuple[str, ...], lines: Lines) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise BadDocument([Problem("syntax", place, f"Line {line}: a key must be a word.")])
        name: str = key.value
        if name in found:
            raise BadDocument([Problem("syntax", (*place, name), f"Line {line}: '{name[:64]}' is there twice.")])
        found[name] = _data(value, (*place, name), lines)
        lines[*place, name] = line
    return found


# --- writing ------------------------------------------------------------------------------------------------------


class _Block(dict[str, Any]):
    """A mapping that is never written in one line."""


class _Dumper(yaml.SafeDumper):
    """Short lists and mappings stand in one line; texts that a reader, ours or another's, could misread are quoted."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        return super().represent_sequence(tag, sequence, _fits(sequence))

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        return super().represent_mapping(tag, mapping, not isinstance(mapping, _Block) and _fits(mapping))


_Dumper.add_representer(_Block, lambda dumper, data: dumper.represent_mapping("tag:yaml.org,2002:map", data))
for _name, _pattern, _first in _PLAIN:
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", _pattern, list(_first))


def _fits(data: Any) -> bool:
    return len(str(data)) <= 90


def write(wanted: Document) -> str:
    """The document as YAML that `parse` makes the same document of; defaults are left out, the order is always the same."""
    parts = []
    for key, value in document.plain(wanted).items():
        body = _Block({key: _Block(value)})
        parts.append(yaml.dump(body, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120))
    return "\n".join(parts)
