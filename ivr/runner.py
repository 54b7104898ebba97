"""Walks a caller through a flow: a pure state machine without I/O and clock.

`handle(state, input, now)` gives the next state and the effects; the same history gives the same ids. What an activity does
with an input is its own file's matter; here is what holds for all: starts, talks, ends, failures, and the way from an exit
to the next activity.
"""

from __future__ import annotations

from collections.abc import Iterable

from ivr.activities import Activity
from ivr.document import Flow
from ivr.effects import FlowEffect, HangUp, LeaveQueue
from ivr.inputs import (
    Assigned,
    CallerLeft,
    CommandDone,
    CommandFailed,
    CommandResult,
    DeadlineReached,
    Digits,
    FlowInput,
    NumberKeyed,
    QueueChanged,
    Recorded,
    Resumed,
    Started,
    TalkEnded,
    Unassigned,
    Unavailable,
)
from ivr.state import NEW, TALKING, FlowState
from ivr.step import REASONS, Step
from ivr.variables import initial

MAX_ACTIVITIES_A_STEP = 50
"""Activities passed in answer to one input; more is a loop that validation would have refused."""

GONE_SECONDS = 5.0
"""A card said that the caller left in the middle of a command: so long may CallerLeft take before we hang up ourselves."""

_GONE = "gone"


class Runner:
    """Knows the flows, in all versions that callers are in; `handle` decides, the exchange does."""

    def __init__(self, flows: Iterable[Flow] = ()) -> None:
        self._flows: dict[str, dict[int, Flow]] = {}
        for flow in flows:
            self.add(flow)

    def add(self, flow: Flow) -> None:
        """Know one more flow, or a version of it; callers stay in the version they began."""
        self._flows.setdefault(flow.flow, {})[flow.version] = flow

    def knows(self, flow: str, version: int) -> bool:
        """Whether this version of the flow is known."""
        return version in self._flows.get(flow, {})

    def newest(self, flow: str) -> int:
        """The newest version of the flow; raises KeyError for an unknown one."""
        return max(self._flows[flow])

    def begin(self, contact: str, flow: str, version: int = 0) -> FlowState:
        """The state of a contact before Started; without a version in the newest, which raises KeyError for an unknown flow."""
        return FlowState(contact, flow, version or self.newest(flow))

    def handle(self, state: FlowState, input: FlowInput, now: float) -> tuple[FlowState, list[FlowEffect]]:
        """The next state and what is to be done for it, in order; never raises for any state that it gave."""
        if state.ended:
            return state, self._after_end(state, input)
        step = Step(state, now)
        flow = self._flows.get(state.flow, {}).get(state.version)
        if flow is None or (state.phase != NEW and state.activity not in flow.activities):
            # The version a caller is in was taken away: nothing can be done for them here.
            if isinstance(input, CallerLeft):
                step.end("caller-left")
            else:
                step.hang_up("error")
            return step.freeze()
        if state.phase == NEW:
            self._first(flow, step, input)
        elif state.phase == TALKING:
            self._talking(flow.activities[state.activity], step, input)
        else:
            self._walking(flow.activities[state.activity], step, input)
        self._follow(flow, step)
        return step.freeze()

    @staticmethod
    def _after_end(state: FlowState, input: FlowInput) -> list[FlowEffect]:
        """Nothing follows the end, except that a hang-up which a crash may have swallowed is said again."""
        if not isinstance(input, Resumed) or state.outcome in ("", "caller-left"):
            return []
        return [HangUp(REASONS[state.outcome])]

    # --- by phase -------------------------------------------------------------------------------------------------

    def _first(self, flow: Flow, step: Step, input: FlowInput) -> None:
        if isinstance(input, Started):
            step.variables = initial(flow.variables, input.variables)
            self._enter(flow, step, flow.entry)
        elif isinstance(input, CallerLeft):
            step.end("caller-left")

    def _talking(self, activity: Activity, step: Step, input: FlowInput) -> None:
        match input:
            case CallerLeft():
                step.end("caller-left")
            case Assigned(agent=agent):
                step.agent = agent
            case Resumed():
                step.silence()
            case Unassigned():
                step.agent = ""
                step.phase = ""
                activity.unassigned(step)
            case TalkEnded(by=by):
                step.agent = ""
                if by != "caller" and "answered" in activity.exits:
                    step.leave("answered")
                else:
                    step.hang_up("talk-ended")
            case _:
                pass

    def _walking(self, activity: Activity, step: Step, input: FlowInput) -> None:
        match input:
            case CommandDone(id=id, result=result):
                self._done(activity, step, id, result)
            case CommandFailed(id=id, code=code):
                command = step.settle(id)
                if command is not None:
                    activity.failed(step, command, code)
            case DeadlineReached():
                names = step.due()
                if _GONE in names:
                    step.hang_up("error")
                elif names:
                    activity.due(step, names)
            case QueueChanged():
                step.variables |= {"position": input.position, "waiting": input.waiting, "expected_wait": max(0.0, input.ewt)}
                activity.queue_changed(step, input)
            case Unavailable(why=why, kind=kind, target=target):
                step.variables |= {"overflow": kind, "overflow_target": target}
                step.queued = ""
                activity.unavailable(step, why)
            case Assigned(agent=agent):
                # In whatever activity the caller is by now (a queue's time-out may cross it): the agent is there.
                step.enter(step.activity)
                step.agent, step.phase = agent, TALKING
            case CallerLeft():
                activity.left(step)
                step.end("caller-left")
            case Resumed(gap=gap):
                step.postpone(gap)
                step.reissue()
            case _:
                pass

    def _done(self, activity: Activity, step: Step, id: str, result: CommandResult) -> None:
        command = step.settle(id)
        if command is None:
            return
        if isinstance(result, (Digits, Recorded, NumberKeyed)) and result.why == "ended":
            step.wake(_GONE, GONE_SECONDS)
            return
        activity.done(step, command, result)

    # --- from activity to activity --------------------------------------------------------------------------------

    def _follow(self, flow: Flow, step: Step) -> None:
        """Take exits until an activity waits for something."""
        for _ in range(MAX_ACTIVITIES_A_STEP):
            if step.ended or (step.exit is None and step.failure is None):
                return
            target = None if step.exit is None else flow.activities[step.activity].exits.get(step.exit)
            if target is None or target not in flow.activities:
                target = self._rescue(flow, step)
            if target is None:
                step.hang_up("error")
                return
            self._enter(flow, step, target)
        step.hang_up("error")

    def _rescue(self, flow: Flow, step: Step) -> str | None:
        """Where a failure leads: to `on_error` the first time, nowhere the second."""
        step.failures += 1
        return flow.on_error if step.failures == 1 and flow.on_error in flow.activities else None

    def _enter(self, flow: Flow, step: Step, name: str) -> None:
        activity = flow.activities.get(name)
        if activity is None:
            step.hang_up("error")
            return
        step.enter(name)
        if step.queued and not activity.keeps_place(step.queued):
            step.emit(LeaveQueue("moved-on"))
            step.queued = ""
        activity.enter(step)
