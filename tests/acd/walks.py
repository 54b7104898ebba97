"""Walks by plain random numbers, many times as fast as hypothesis': `python -m tests.acd.walks STEPS [SEED]`."""

from __future__ import annotations

import random
import sys
import time

from tests.acd.floors import CONFIGURATIONS
from tests.acd.walk import STEPS_OF, Walk

LENGTH = 120
OFTEN = {"wait": 4, "accept_all": 3, "come": 3, "some_come_in": 2, "come_available": 2, "talk_ends": 2}
"""Steps that come more often than once: without them little happens in the rest."""


def walk(seed: int, length: int = LENGTH) -> Walk:
    """One walk, checked after each step; a failure names its seed."""
    dice = random.Random(seed)
    names = [name for name in STEPS_OF for _ in range(OFTEN.get(name, 1))]
    machine = Walk()
    try:
        machine.start(dice.randrange(len(CONFIGURATIONS)), dice.random() < 0.7, dice.randrange(32))
        machine.everything_holds()
        for _ in range(1, length):
            name = dice.choice(names)
            getattr(machine, name)(**{argument: dice.choice(values) for argument, values in STEPS_OF[name].items()})
            machine.everything_holds()
        machine.teardown()
    except Exception as error:
        error.add_note(f"seed {seed}; the last events: {machine.log[-3:]}")
        raise
    return machine


def main() -> None:
    """Walk until so many steps are done."""
    steps, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    begin, walked, told = time.monotonic(), 0, 0.0
    while walked < steps:
        walk(seed)
        walked, seed = walked + LENGTH, seed + 1
        if time.monotonic() - begin > told + 30:
            told = time.monotonic() - begin
            print(f"{walked:,} steps, next seed {seed}, {told:.0f} s", flush=True)
    print(f"{walked:,} steps without a fault, {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
