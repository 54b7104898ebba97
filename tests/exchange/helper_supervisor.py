"""A supervisor in a process of its own, for the tests to kill."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from test_supervisor import Site

from media.control import logs as process_logs


async def main() -> None:
    process_logs.configure("info", stream=sys.stderr)
    supervisor = Site(Path(sys.argv[1])).supervisor()
    task = asyncio.create_task(supervisor.run())
    while supervisor.phase != "running":
        await asyncio.sleep(0.01)
    print("running", flush=True)
    await task


asyncio.run(main())
