"""Whether a flow makes sense: every fault as a sentence that helps whoever wrote it."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Collection, Iterator, Set

from ivr import prompts
from ivr.activities import Activity, Exit
from ivr.activities.answer import Answer
from ivr.activities.callback import Callback
from ivr.activities.queue import Queue
from ivr.activities.set import Set as SetActivity
from ivr.activities.voicemail import Voicemail
from ivr.document import MAX_PROBLEMS, Flow, parse
from ivr.errors import FlowError, Problem, PromptError
from ivr.variables import BUILT_IN, Variable, coerce


def check(text: str, queues: Set[str] | None = None) -> list[Problem]:
    """Everything that is wrong with a document; empty: it can be run. `queues` None: any queue may exist."""
    try:
        flow = parse(text)
    except FlowError as error:
        return error.problems
    return validate(flow, queues)


def validate(flow: Flow, queues: Set[str] | None = None) -> list[Problem]:
    """The faults of a flow in the order of its activities, at most MAX_PROBLEMS."""
    return list(itertools.islice(_problems(flow, queues), MAX_PROBLEMS))


def _problems(flow: Flow, queues: Set[str] | None) -> Iterator[Problem]:
    yield from _document(flow)
    reached = _reached(flow, flow.entry) | _reached(flow, flow.on_error)
    # While a way leads to a misspelled name, what seems unreachable is most often its real end: one fault is said once.
    targets = [flow.entry, *(target for activity in flow.activities.values() for target in activity.exits.values())]
    intact = all(target in flow.activities for target in targets)
    unanswered = _reached(flow, flow.entry, stop=Answer)
    for name, activity in flow.activities.items():
        yield from (Problem(code, name, message) for code, message in activity.faults())
        yield from _exits(flow, name, activity)
        yield from _prompts(flow, name, activity)
        yield from _settings(flow, name, activity, queues)
        if name not in reached and intact:
            yield Problem("unreachable", name, "No exit leads here; connect it or remove it.")
        if name in unanswered and activity.needs_answer():
            yield Problem("not-answered", name, "A caller can come here before an 'answer' activity took the call.")
    yield from _loops(flow)


def _document(flow: Flow) -> Iterator[Problem]:
    if flow.entry not in flow.activities:
        yield Problem("unknown-activity", "", f"The entry '{flow.entry}' is no activity{_guess(flow.entry, flow.activities)}.")
    if flow.on_error is not None and flow.on_error not in flow.activities:
        guess = _guess(flow.on_error, flow.activities)
        yield Problem("unknown-activity", "", f"on_error leads to '{flow.on_error}', which is no activity{guess}.")
    for name, variable in flow.variables.items():
        if name in BUILT_IN:
            yield Problem("built-in", "", f"The variable '{name}' is built in and cannot be declared again.")
        elif variable.default is not None and coerce(variable.default, variable.type) is None:
            yield Problem("bad-value", "", f"The default of the variable '{name}' is not of the type {variable.type}.")


def _exits(flow: Flow, name: str, activity: Activity) -> Iterator[Problem]:
    outlets = {exit.name: exit for exit in activity.outlets()}
    for exit, target in activity.exits.items():
        if exit not in outlets:
            has = f"it has {', '.join(outlets)}" if outlets else "it has none"
            yield Problem("unknown-exit", name, f"There is no exit '{exit}' here{_guess(exit, outlets)}; {has}.")
        if target not in flow.activities:
            guess = _guess(target, flow.activities)
            yield Problem("unknown-activity", name, f"The exit '{exit}' leads to '{target}', which is no activity{guess}.")
    for outlet in outlets.values():
        if outlet.required and outlet.name not in activity.exits:
            yield Problem("missing-exit", name, f"The exit '{outlet.name}' leads nowhere; say under exits where it goes.")


def _prompts(flow: Flow, name: str, activity: Activity) -> Iterator[Problem]:
    known: dict[str, Variable] = {**BUILT_IN, **flow.variables}
    for setting, text in activity.prompts():
        try:
            slots = prompts.slots(text)
        except PromptError as error:
            yield Problem("bad-prompt", name, f"{setting}: {error}")
            continue
        for slot in slots:
            if slot.name not in known:
                guess = _guess(slot.name, known)
                yield Problem("unknown-variable", name, f"{setting}: there is no variable '{slot.name}'{guess}.")
            elif slot.form and known[slot.name].type not in prompts.FORMS[slot.form]:
                kind = known[slot.name].type
                yield Problem(
                    "bad-prompt", name, f"{setting}: '{slot.name}' is of the type {kind}, which has no form '{slot.form}'."
                )


def _settings(flow: Flow, name: str, activity: Activity, queues: Set[str] | None) -> Iterator[Problem]:
    queue = activity.queue if isinstance(activity, (Queue, Callback, Voicemail)) else None
    if queue is not None and queues is not None and queue not in queues:
        yield Problem("unknown-queue", name, f"There is no queue '{queue}'{_guess(queue, queues)}.")
    if isinstance(activity, SetActivity):
        for variable, value in activity.values.items():
            if variable in BUILT_IN:
                yield Problem("built-in", name, f"The variable '{variable}' is built in and cannot be set.")
            elif variable not in flow.variables:
                guess = _guess(variable, flow.variables)
                yield Problem(
                    "unknown-variable", name, f"There is no variable '{variable}'{guess}; declare it under variables."
                )
            elif not (isinstance(value, str) and "{" in value) and coerce(value, flow.variables[variable].type) is None:
                kind = flow.variables[variable].type
                yield Problem("bad-value", name, f"The variable '{variable}' is of the type {kind}; this value is not.")


# --- the graph ----------------------------------------------------------------------------------------------------


def _edges(flow: Flow, name: str) -> Iterator[tuple[Exit, str]]:
    """The connected exits of an activity that really exist, with where they lead."""
    activity = flow.activities[name]
    for outlet in activity.outlets():
        target = activity.exits.get(outlet.name)
        if target in flow.activities:
            yield outlet, str(target)


def _reached(flow: Flow, start: str | None, stop: type[Activity] | None = None) -> set[str]:
    """All activities that a caller can come to from `start`, not going on behind activities of the type `stop`."""
    reached: set[str] = set()
    ahead = [start] if start is not None and start in flow.activities else []
    while ahead:
        name = ahead.pop()
        if name in reached:
            continue
        reached.add(name)
        if stop is None or not isinstance(flow.activities[name], stop):
            ahead += [target for _, target in _edges(flow, name)]
    return reached


def _loops(flow: Flow) -> Iterator[Problem]:
    """Circles that turn by themselves: no exit in them needs the caller or a stretch of waiting."""
    by_itself = {name: [target for exit, target in _edges(flow, name) if not exit.waits] for name in flow.activities}
    state: dict[str, int] = {}
    for root in flow.activities:
        if root in state:
            continue
        path: list[str] = []
        ahead: list[tuple[str, bool]] = [(root, False)]
        while ahead:
            name, finished = ahead.pop()
            if finished:
                state[name] = 2
                path.pop()
            elif state.get(name) == 1:
                round_trip = [*path[path.index(name) :], name]
                circle = " → ".join(round_trip if len(round_trip) <= 8 else [*round_trip[:4], "…", *round_trip[-3:]])
                yield Problem(
                    "loop", name, f"A caller who does nothing goes round for ever: {circle}. Lead one exit out of it."
                )
            elif name not in state:
                state[name] = 1
                path.append(name)
                ahead.append((name, True))
                ahead += [(target, False) for target in reversed(by_itself[name])]


def _guess(word: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(word, sorted(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
