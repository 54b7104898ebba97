"""A small real process for the supervisor's tests: greets on its control socket, keeps what it is told in files.

As a line card it has as many calls as `<run>/<name>.calls` says; as an edge it writes what it is told to `<run>/edge.told`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from exchange.supervisor.spare import FLAG, wait_for_the_word
from media.control import edge, line
from media.control.server import ControlServer


class Helper:
    def __init__(self, run: Path, name: str) -> None:
        self.run, self.name = run, name
        self.leave = asyncio.Event()
        self.draining = False
        commands: Any = edge.EdgeCommand if name == "edge" else line.LineCommand
        self.server = ControlServer(run / f"{name}.ctl", card=name, kind="helper", commands=commands, handler=self.handle)

    def calls(self) -> int:
        path = self.run / f"{self.name}.calls"
        return int(path.read_text() or 0) if path.exists() else 0

    async def handle(self, command: Any) -> Any:
        with (self.run / f"{self.name}.told").open("ab") as file:
            file.write(msgspec.json.encode(command) + b"\n")
        if isinstance(command, line.TakeInventory):
            calls = [line.CallRecord(f"c{i}", None, 0.0, 0.0, [], []) for i in range(self.calls())]
            return line.Inventory(self.name, self.server.generation, 0, "", 4, 16000, calls)
        return None

    def signalled(self, number: int) -> None:
        if self.draining or number == signal.SIGINT:
            self.leave.set()
        self.draining = True

    async def main(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.signalled, number)
        async with self.server:
            print("helper runs", self.name, flush=True)
            while not self.leave.is_set() and not (self.draining and self.calls() == 0):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.leave.wait(), 0.02)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--fail", action="store_true")
    parser.add_argument(FLAG, action="store_true")
    options, _ = parser.parse_known_args()
    if options.spare and not wait_for_the_word():
        sys.exit(0)
    if options.fail:
        sys.exit("cannot work: no reason")
    asyncio.run(Helper(options.run, options.name).main())
