"""`python -m exchange.bookkeeper --run DIR --name bookkeeper --data DIR`, with its settings in the environment."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from exchange import settings
from exchange.bookkeeper.messages import BookCommand
from exchange.bookkeeper.worker import Bookkeeper
from media.worker import arguments, main, serve
from storage.embedded import EmbeddedPostgres

NICENESS = 10
"""Behind everything with a clock, and behind the exchange: it catches up when nobody else has anything to do."""


async def begin(flags: argparse.Namespace) -> None:
    """Answer commands, and keep the books."""
    chosen = settings.load(data=flags.data)
    dsn = chosen.database_url.get_secret_value() or EmbeddedPostgres(flags.data, flags.run).dsn
    worker = Bookkeeper(dsn, retention_days=chosen.log_retention_days, recordings=chosen.recordings)
    await serve(flags.run, flags.name, "bookkeeper", BookCommand, worker)
    if worker.failed:
        sys.exit(1)


if __name__ == "__main__":
    parser = arguments("Switchroom's bookkeeper: follows the event log, makes snapshots, keeps what is counted from it.")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="data directory")
    main(parser, NICENESS, begin)
