"""`python -m media.vault --run DIR --name vault --vault DIR --key-file FILE`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import structlog

from media.control.work import VaultCommand
from media.vault.errors import VaultError
from media.vault.keys import make_or_load_master_key
from media.vault.store import Vault
from media.vault.worker import VaultWorker
from media.worker import arguments, main, serve

log = structlog.get_logger()
NICENESS = 10
"""Behind everything with a clock; a recording that is filed a minute later hurts nobody."""


async def begin(flags: argparse.Namespace) -> None:
    """Open the vault, then answer commands."""
    log.info("opening the vault", card=flags.name, directory=str(flags.vault))
    try:
        worker = VaultWorker(Vault(flags.vault, make_or_load_master_key(flags.key_file)), flags.run / f"{flags.name}.scratch")
        worker.prepare()
    except VaultError as error:
        log.error("the vault cannot be opened", card=flags.name, code=error.code, error=error.message)
        sys.exit(1)
    except OSError as error:
        log.error("the vault cannot be opened", card=flags.name, code="disk", error=str(error))
        sys.exit(1)
    await serve(flags.run, flags.name, "vault", VaultCommand, worker)


if __name__ == "__main__":
    parser = arguments("Switchroom's vault worker: encodes, analyses and encrypts recordings.")
    parser.add_argument("--vault", type=Path, required=True, metavar="DIR", help="directory of the recordings")
    parser.add_argument("--key-file", type=Path, required=True, metavar="FILE", help="master key, made (0600) on first use")
    main(parser, NICENESS, begin)
