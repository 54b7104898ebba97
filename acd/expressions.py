"""Conditions over agents in CEL, the Common Expression Language (https://cel.dev), checked when they are written.

They know three names: `agent`, the agent's attributes (`agent.site == "berlin"`); `skills`, their proficiency by skill
(`skills.german >= 5`; 0 without the skill); `team`. CEL has no loops without end, no state and no clock, and the library bounds
what an evaluation may cost, so that a condition can be taken from anybody.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from cel_expr_python import cel

from acd.errors import BadExpression
from acd.model import Value

MAX_LENGTH = 1_000

_LEVELS = "_level"
"""The name behind `skills.german` and `skills["german"]`, as long so that columns stay right: a map where a missing skill is 0.
`skills` alone is what the agent has, so that `has(skills.german)` and `"german" in skills` mean what they say."""

_ENVIRONMENT = cel.NewEnv(
    variables={
        "agent": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
        "skills": cel.Type.Map(cel.Type.STRING, cel.Type.INT),
        _LEVELS: cel.Type.Map(cel.Type.STRING, cel.Type.INT),
        "team": cel.Type.STRING,
    }
)

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<text>[bB]?[rR]?(?:\"{3}.*?\"{3}|'{3}.*?'{3}|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'))
    |(?P<name>[A-Za-z_]\w*)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_PLACE = re.compile(r"<input>:(\d+):(\d+): ([^\n]*)")
_Token = tuple[str, str]


class Expression:
    """A condition that can be asked again and again; made by `compile`."""

    def __init__(
        self, text: str, program: cel.Expression, named: frozenset[str], computed: bool, literals: frozenset[str]
    ) -> None:
        self.text = text
        self._program = program
        self._named = named
        self._computed = computed
        self._literals = literals

    def holds(self, attributes: Mapping[str, Value], skills: Mapping[str, int], team: str) -> bool:
        """Whether it is true for such an agent; what cannot be evaluated, as an attribute that the agent has not, is not."""
        data = {
            "agent": dict(attributes),
            "skills": dict(skills),
            _LEVELS: self._levels(attributes, skills, team),
            "team": team,
        }
        try:
            return self._program.eval(data=data).value() is True
        except Exception:
            return False

    def _levels(self, attributes: Mapping[str, Value], skills: Mapping[str, int], team: str) -> dict[str, int]:
        """The skills that the condition may ask for, 0 where the agent has none."""
        levels = dict.fromkeys(self._named, 0)
        if self._computed:
            levels.update(dict.fromkeys(self._literals, 0))
            levels.update({value: 0 for value in attributes.values() if isinstance(value, str)})
            levels[team] = 0
            levels.update(skills)
        else:
            levels.update({name: skills[name] for name in self._named if name in skills})
        return levels


@functools.lru_cache(maxsize=4096)
def compile(text: str) -> Expression:
    """The condition that a text says; raises BadExpression with a sentence for people."""
    if len(text) > MAX_LENGTH:
        raise BadExpression(f"The condition has {len(text):,} characters; more than {MAX_LENGTH:,} are not allowed.")
    if not text.strip():
        raise BadExpression("The condition is empty.")
    tokens = [(match.lastgroup or "", match.group()) for match in _TOKEN.finditer(text)]
    named, computed = _redirect(tokens)
    literals = frozenset(_unquoted(value) for kind, value in tokens if kind == "text")
    try:
        program = _ENVIRONMENT.compile("".join(value for _, value in tokens))
        result = program.return_type().name()
    except Exception as error:
        raise BadExpression(_sentence(text, str(error))) from None
    if result not in ("BOOL", "DYN"):
        raise BadExpression(f"The condition must be true or false, but `{_short(text)}` is of the type {result.lower()}.")
    return Expression(text, program, frozenset(named), computed, literals)


def _redirect(tokens: list[_Token]) -> tuple[set[str], bool]:
    """Points the look-ups in `skills` to the map with zeros; returns the names looked up, and whether others are computed."""
    code = [place for place, (kind, _) in enumerate(tokens) if kind != "space"]
    named: set[str] = set()
    computed = False

    def at(place: int) -> _Token:
        return tokens[code[place]] if 0 <= place < len(code) else ("", "")

    for place in range(len(code)):
        if at(place)[1] == _LEVELS:
            raise BadExpression(f"The condition uses the name `{_LEVELS}`, which does not exist.")
        if at(place) != ("name", "skills") or at(place - 1)[1] == ".":
            continue
        following, subject, end = at(place + 1)[1], at(place + 2), at(place + 3)[1]
        if following == "," and at(place - 1)[1] == "(":
            raise BadExpression("The condition uses the name `skills` for something of its own; take another name there.")
        if following == "[":
            if subject[0] == "text" and end == "]":
                named.add(_unquoted(subject[1]))
            else:
                computed = True
        elif following == "." and subject[0] == "name" and end != "(":
            if (at(place - 2)[1], at(place - 1)[1], end) == ("has", "(", ")"):
                continue
            named.add(subject[1])
        else:
            continue
        tokens[code[place]] = ("name", _LEVELS)
    return named, computed


def _unquoted(literal: str) -> str:
    """The text in a literal, its escapes left as they are: a skill's name has none."""
    body = literal.lstrip("bBrR")
    return body[3:-3] if body[:3] in ('"""', "'''") else body[1:-1]


def _sentence(text: str, problem: str) -> str:
    """What is wrong, for people, from what the library says."""
    if "recursion" in problem or "max recursion depth" in problem:
        return f"The condition `{_short(text)}` is nested too deeply."
    match = _PLACE.search(problem)
    if match is None:
        return f"The condition `{_short(text)}` cannot be understood."
    line, column, what = int(match[1]), int(match[2]), match[3].removesuffix(" [INVALID_ARGUMENT]").replace(_LEVELS, "skills")
    where = f"at character {column}" if "\n" not in text else f"in its line {line}, character {column}"
    return f"The condition `{_short(text)}` cannot be understood {where}: {_explained(what)}."


def _explained(what: str) -> str:
    """The library's words for the commonest mistakes, in ours."""
    if unknown := re.match(r"undeclared reference to '([^']*)'", what):
        return f"there is no `{unknown[1]}`; the names are agent (attributes), skills and team"
    if overload := re.match(r"found no matching overload for '([^']*)' applied to '\(?([^']*?)\)?'", what):
        operator = overload[1].strip("_").replace("_", " ")
        return f"`{operator}` does not work with {overload[2].replace(', ', ' and ')}"
    if what.startswith("Syntax error: "):
        return _explained_syntax(what.removeprefix("Syntax error: ").split(" expecting ")[0])
    return what


def _explained_syntax(what: str) -> str:
    """What the parser stumbled over."""
    if "'<EOF>'" in what:
        missing = re.match(r"missing ('.*?') at", what)
        return f"{missing[1]} is missing at its end" if missing else "it ends too early"
    subject = re.search(
        r"(?:mismatched input|extraneous input|no viable alternative at input|error at:) '(.*)'$", what, re.DOTALL
    )
    word = subject[1].strip() if subject else ""
    if hint := {"=": "==", "or": "||", "and": "&&", "not": "!"}.get(word):
        return f"write `{hint}` for `{word}`"
    return f"`{word}` is not expected here" if word else what


def _short(text: str) -> str:
    line = " ".join(text.encode("utf-8", "replace").decode().split())
    return line if len(line) <= 80 else line[:77] + "..."
