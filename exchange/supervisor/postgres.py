"""The embedded PostgreSQL as a process of the supervisor."""

from __future__ import annotations

from pathlib import Path

from exchange.supervisor.errors import StartFailed
from exchange.supervisor.process import Process, launch
from exchange.supervisor.screen import Screen
from exchange.supervisor.specs import Spec
from storage.embedded import STOP_FAST, STOP_IMMEDIATE, EmbeddedPostgres
from storage.errors import StorageError

RECOVERY_SECONDS = 900.0
"""After a crash the server replays its log before it answers; to kill it then would only begin that anew."""


async def prepare(data: Path, run: Path, screen: Screen) -> tuple[Spec, str]:
    """Make the cluster if there is none; how the server is run, and how to connect. Raises StartFailed."""
    try:
        server = EmbeddedPostgres(data, run)
        await server.prepare(lambda text: screen.say(f"  {text}"))
    except StorageError as error:
        raise StartFailed(str(error)) from error
    spawn = server.spawn()

    async def launcher(spec: Spec, log: Path) -> Process:
        await server.bury()
        return launch(spec.argv, spec.environment, log, cwd=spawn.cwd, user=spawn.uid, group=spawn.gid)

    async def probe() -> str:
        await server.ready(timeout=RECOVERY_SECONDS)
        return ""

    spec = Spec(
        name="postgres",
        role="postgres",
        label="PostgreSQL",
        argv=tuple(spawn.argv),
        environment=spawn.env,
        launcher=launcher,
        probe=probe,
        ready_seconds=RECOVERY_SECONDS,
        stop_signals=(STOP_FAST, STOP_IMMEDIATE),
        hurried_from=0,
        grace=20.0,
    )
    return spec, server.dsn
