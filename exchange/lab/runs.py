"""The same day under two sets of rules, for several seeds, spread over the cores."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

import msgspec

from acd.events import Configured
from acd.simulation.day import Day, Result, manners, run
from acd.simulation.manners import Manner


class Side(msgspec.Struct, frozen=True):
    """A day with its rules; None: those that it had, changes during the day included."""

    day: Day
    rules: Configured | None


class Work:
    """What all workers share; they inherit it by fork, so that nothing of it is copied."""

    sides: tuple[Side, ...] = ()
    fitted: tuple[dict[str, Manner], Manner] = ({}, Manner())


def _one(side: int, seed: int) -> Result:
    which = Work.sides[side]
    return run(which.day, seed, Work.fitted, which.rules)


@contextmanager
def _still() -> Iterator[None]:
    """Without the garbage collector: the day is large, and nothing in it is garbage."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


Job = tuple[int, int]
"""Side and seed."""


def both(
    sides: tuple[Side, ...], seeds: int, processes: int = 0, done: Callable[[int, int], None] | None = None
) -> list[list[Result]]:
    """For each side the results of all seeds (1, 2, …); `done` hears how many runs of how many are finished.

    Where the log knows everything, the first side (the rules as they were) leaves nothing to chance: when its first two
    runs are the same, they stand for all.
    """
    Work.sides, Work.fitted = sides, manners(sides[0].day)
    jobs = [(0, seed) for seed in range(1, min(seeds, 2) + 1)]
    jobs += [(side, seed) for seed in range(1, seeds + 1) for side in range(1, len(sides))]
    found: dict[Job, Result] = {}
    with _still():
        _run(jobs, found, processes, done)
        rest = [(0, seed) for seed in range(3, seeds + 1)]
        if rest and found[0, 1].figures == found[0, 2].figures:
            found |= dict.fromkeys(rest, found[0, 1])
        elif rest:
            _run(rest, found, processes, done)
    return [[found[side, seed] for seed in range(1, seeds + 1)] for side in range(len(sides))]


def _run(jobs: list[Job], found: dict[Job, Result], processes: int, done: Callable[[int, int], None] | None) -> None:
    total = len(found) + len(jobs)

    def note(job: Job, result: Result) -> None:
        found[job] = result
        if done is not None:
            done(len(found), total)

    workers = min(processes or len(os.sched_getaffinity(0)), len(jobs))
    if workers <= 1:
        for job in jobs:
            note(job, _one(*job))
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("fork")) as pool:
        for job, result in zip(jobs, pool.map(_one, *zip(*jobs, strict=True)), strict=True):
            note(job, result)
