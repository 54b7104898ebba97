"""Every fault of a document has a code, a place and a sentence; no text makes the reader raise anything else or take long."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.document import packaged, parse
from ivr.errors import FlowError
from ivr.validation import check
from ivr.yaml_reader import MAX_CHARACTERS

pytestmark = pytest.mark.unit

HEAD = "flow: f\nversion: 1\nentry: a\nvariables: {name: {type: text}, count: {type: number}}\nactivities:\n"
ANSWERED = HEAD + "  a: {type: answer, exits: {done: b}}\n"
QUEUE = ANSWERED + "  b: {type: queue, queue: sales, "
END = "  z: {type: hangup}\n"

TABLE: dict[str, tuple[str, str, str, str]] = {
    "not yaml": ("flow: [", "syntax", "", "Line 1"),
    "a list": ("- flow", "syntax", "", "mapping"),
    "nothing": ("", "syntax", "", "mapping"),
    "anchors": ("a: &x 1\nb: *x", "syntax", "", "anchors"),
    "tags": ("a: !!python/object:os.system {}", "syntax", "", "tags"),
    "a key twice": ("flow: a\nflow: b", "syntax", "", "Line 2, column 1: 'flow' is there twice"),
    "two documents": ("a: 1\n---\nb: 2", "syntax", "", "single document"),
    "too deep": ("[" * 50 + "]" * 50, "syntax", "", "nested deeper"),
    "too big": ("# " + "x" * MAX_CHARACTERS, "too-big", "", "131,072 are allowed"),
    "half a character": ('flow: "\\ud83d"', "syntax", "", "not YAML"),
    "no character": ('flow: "\\UFFFFFFFF"', "syntax", "", "not YAML"),
    "no activities": ("flow: f\nversion: 1\nentry: a", "missing-setting", "", "'activities' is missing"),
    "bad version": (HEAD.replace("version: 1", "version: new") + END, "bad-setting", "", "A value of 'version' is wrong"),
    "an unknown setting": (HEAD.replace("entry", "entri") + END, "unknown-setting", "", "did you mean 'entry'?"),
    "an unknown type": (HEAD + "  a: {type: sai}", "unknown-type", "a", "did you mean 'say'?"),
    "no type": (HEAD + "  a: {text: hi}", "unknown-type", "a", "the types are answer, say"),
    "an activity of one word": (HEAD + "  a: hangup", "bad-setting", "a", "mapping"),
    "a misspelled setting": (HEAD + "  a: {type: goodbye, txt: hi}", "unknown-setting", "a", "did you mean 'text'?"),
    "a missing setting": (HEAD + "  a: {type: goodbye}", "missing-setting", "a", "'text' is missing"),
    "a setting of the wrong kind": (HEAD + "  a: {type: goodbye, text: 5}", "bad-setting", "a", "A value of 'text' is wrong"),
    "a setting out of range": (QUEUE + "priority: 99}", "bad-setting", "b", "A value of 'priority' is wrong"),
    "an exit to nothing": (
        HEAD + "  a: {type: answer, exits: {done: }}",
        "bad-setting",
        "a",
        "A value of 'exits' is wrong",
    ),
    "a choice that is no digit": (
        ANSWERED + "  b: {type: menu, prompt: x, choices: {one: z}, exits: {}}",
        "bad-setting",
        "b",
        "A key of 'choices' is wrong: Expected one to eight of the digits",
    ),
    "an unknown entry": (HEAD.replace("entry: a", "entry: zz") + END, "unknown-activity", "", "did you mean 'z'?"),
    "an unknown on_error": (
        "on_error: y\n" + ANSWERED + "  b: {type: hangup}",
        "unknown-activity",
        "",
        "on_error leads to 'y'",
    ),
    "an exit to an unknown activity": (
        HEAD + "  a: {type: answer, exits: {done: hallo}}\n  hello: {type: goodbye, text: x}",
        "unknown-activity",
        "a",
        "did you mean 'hello'?",
    ),
    "an unknown exit": (
        HEAD + "  a: {type: answer, exits: {done: z, dome: z}}\n" + END,
        "unknown-exit",
        "a",
        "no exit 'dome' here (did you mean 'done'?); it has done.",
    ),
    "an exit where there is none": (HEAD + "  a: {type: hangup, exits: {done: a}}", "unknown-exit", "a", "it has none"),
    "a missing exit": (QUEUE + "exits: {nobody: z, closed: z}}\n" + END, "missing-exit", "b", "'full' leads nowhere"),
    "a timeout without exit": (
        QUEUE + "timeout: 5, exits: {nobody: z, closed: z, full: z}}\n" + END,
        "missing-exit",
        "b",
        "'timeout' leads nowhere",
    ),
    "a timeout exit without timeout": (
        QUEUE + "exits: {timeout: z, nobody: z, closed: z, full: z}}\n" + END,
        "unknown-exit",
        "b",
        "no exit 'timeout'",
    ),
    "an unreachable activity": (HEAD + "  a: {type: hangup}\n" + END, "unreachable", "z", "No exit leads here"),
    "an unknown queue": (
        QUEUE.replace("queue: sales", "queue: sale") + "exits: {nobody: z, closed: z, full: z}}\n" + END,
        "unknown-queue",
        "b",
        "did you mean 'sales'?",
    ),
    "an unknown variable": (ANSWERED + "  b: {type: goodbye, text: '{nam}'}", "unknown-variable", "b", "did you mean 'name'?"),
    "a bad prompt": (
        ANSWERED + "  b: {type: goodbye, text: 'hello {'}",
        "bad-prompt",
        "b",
        "text: A variable is written {name}",
    ),
    "a form that does not fit": (ANSWERED + "  b: {type: goodbye, text: '{name:minutes}'}", "bad-prompt", "b", "type text"),
    "an unknown form": (ANSWERED + "  b: {type: goodbye, text: '{name:loud}'}", "bad-prompt", "b", "digits, minutes"),
    "setting what is built in": (
        HEAD + "  a: {type: set, values: {position: 1}, exits: {done: z}}\n" + END,
        "built-in",
        "a",
        "cannot be set",
    ),
    "setting what is not declared": (
        HEAD + "  a: {type: set, values: {counter: 1}, exits: {done: z}}\n" + END,
        "unknown-variable",
        "a",
        "did you mean 'count'?",
    ),
    "setting what does not fit": (
        HEAD + "  a: {type: set, values: {count: many}, exits: {done: z}}\n" + END,
        "bad-value",
        "a",
        "type number",
    ),
    "declaring what is built in": (
        HEAD.replace("name:", "caller:") + "  a: {type: hangup}",
        "built-in",
        "",
        "cannot be declared again",
    ),
    "a default that does not fit": (
        HEAD.replace("{type: number}", "{type: number, default: few}") + "  a: {type: hangup}",
        "bad-value",
        "",
        "not of the type number",
    ),
    "speaking before answering": (HEAD + "  a: {type: goodbye, text: hi}", "not-answered", "a", "'answer' activity"),
    "a choice named like the menu's own exit": (
        ANSWERED + "  b: {type: menu, prompt: x, choices: {1: invalid}, exits: {invalid: z, no_input: z}}\n" + END,
        "reserved-exit",
        "b",
        "cannot be called 'invalid'",
    ),
    "messages too close": (
        QUEUE + "position: {prompt: x, every: 3}, exits: {nobody: z, closed: z, full: z}}\n" + END,
        "bad-setting",
        "b",
        "at least 10 seconds",
    ),
    "a message that cannot be long enough": (
        ANSWERED + "  b: {type: voicemail, prompt: x, min_seconds: 9, max_seconds: 5, exits: {recorded: z, none: z}}\n" + END,
        "bad-setting",
        "b",
        "min_seconds 9",
    ),
    "a loop of announcements": (
        ANSWERED + "  b: {type: say, text: x, exits: {done: c}}\n  c: {type: say, text: y, exits: {done: b}}",
        "loop",
        "b",
        "b → c → b",
    ),
    "a menu that asks a silent line for ever": (
        ANSWERED + "  b: {type: menu, prompt: x, choices: {1: go}, exits: {go: z, invalid: b, no_input: b}}\n" + END,
        "loop",
        "b",
        "b → b",
    ),
}


@pytest.mark.parametrize("fault", TABLE)
def test_fault(fault: str) -> None:
    text, code, activity, words = TABLE[fault]
    problems = check(text, {"sales", "support"})
    assert [(problem.code, problem.activity) for problem in problems] == [(code, activity)], list(map(str, problems))
    assert words in problems[0].message
    assert problems[0].message[-1] in ".)"


@pytest.mark.parametrize(
    "text",
    [
        ANSWERED + "  b: {type: menu, prompt: x, choices: {1: go}, exits: {go: b, invalid: b, no_input: z}}\n" + END,
        QUEUE + "timeout: 60, exits: {timeout: c, nobody: z, closed: z, full: z}}\n"
        "  c: {type: say, text: x, exits: {done: b}}\n" + END,
        HEAD + "  a: {type: set, values: {name: no, count: '{position}'}, exits: {done: z}}\n" + END,
    ],
)
def test_what_is_right(text: str) -> None:
    assert check(text, {"sales"}) == []


def test_yaml_words_are_texts() -> None:
    flow = parse(ANSWERED + "  b: {type: goodbye, text: [no, on, 2026-13-45, 1:30, 0x1F, 'yes']}")
    assert list(flow.activities["b"].prompts()) == [
        ("text", word) for word in ("no", "on", "2026-13-45", "1:30", "0x1F", "yes")
    ]


def test_all_activities_that_cannot_be_read_are_named() -> None:
    with pytest.raises(FlowError) as caught:
        parse(
            HEAD.replace("version: 1", "version: 0") + "  a: {type: goodbye}\n  b: {type: nonsense}\n  c: {type: say, text: []}"
        )
    assert [problem.activity for problem in caught.value.problems] == ["", "a", "b", "c"]


def test_ten_thousand_faults_are_found_quickly_and_told_in_part() -> None:
    exits = ", ".join(f"e{n}: t{n}" for n in range(20))
    text = HEAD + "".join(f"  a{n}: {{type: answer, exits: {{{exits}}}}}\n" for n in range(450))
    assert len(text) < MAX_CHARACTERS
    begun = time.process_time()
    assert len(check(text)) == 100
    assert time.process_time() - begun < 20


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300))
def test_no_text_makes_it_raise(text: str) -> None:
    check(text, set())


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_damage_to_the_demo_makes_it_raise(data: st.DataObject) -> None:
    text = packaged("demo")
    start = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 40))
    graft = data.draw(
        st.sampled_from(
            ["", "{", "[", ": ", "- ", "&a ", "!x ", "1e999", "\x00", "\t", "'", '"', "|", "~", "{{", "*", "9" * 5000]
        )
    )
    for problem in check(text[:start] + graft + text[start + length :], {"sales", "support"}):
        assert problem.message
