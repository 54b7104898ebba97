"""The dialogs that a dead line card left as files: the edge sends their BYEs, so that no customer hears silence for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from exchange.supervisor import ask
from media.control.edge import Dialog, SendByes
from media.control.envelope import ControlError

log = structlog.get_logger()

RETRY = 0.5
"""Seconds until the next try when the edge does not answer (it may just be restarting)."""


@dataclass(frozen=True)
class Orphans:
    """Dialogs of one card's dead generation, and the files they came from."""

    card: str
    generation: str
    dialogs: tuple[Dialog, ...]
    files: tuple[Path, ...]


def collect(run: Path, living: Mapping[str, str], cards: frozenset[str] | None = None) -> list[Orphans]:
    """Dialog files whose card and generation do not live (`living`: card to generation), of these cards or of all."""
    found: dict[tuple[str, str], tuple[list[Dialog], list[Path]]] = {}
    for path in sorted((run / "dialogs").glob("*.json")):
        try:
            dialog = msgspec.json.decode(path.read_bytes(), type=Dialog)
        except FileNotFoundError:
            continue
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            log.error("dialog file cannot be read", file=path.name, error=str(error))
            continue
        if (cards is not None and dialog.card not in cards) or living.get(dialog.card) == dialog.generation:
            continue
        dialogs, files = found.setdefault((dialog.card, dialog.generation), ([], []))
        dialogs.append(dialog)
        files.append(path)
    return [Orphans(card, generation, tuple(d), tuple(f)) for (card, generation), (d, f) in found.items()]


async def send_byes(run: Path, orphans: Orphans) -> None:
    """Have the edge end them, however long it takes to reach it, and forget them."""
    order = SendByes(orphans.card, orphans.generation, list(orphans.dialogs))
    while True:
        try:
            await ask.tell(run / "edge.ctl", order, timeout=5.0)
        except ControlError as error:
            if not error.retryable:
                log.error("edge refuses to send byes", card=orphans.card, code=error.code, error=str(error))
                break
            log.warning("byes wait for the edge", card=orphans.card, dialogs=len(orphans.dialogs), error=str(error))
            await asyncio.sleep(RETRY)
        else:
            log.info("byes sent for a dead card", card=orphans.card, dialogs=len(orphans.dialogs))
            break
    for path in orphans.files:
        path.unlink(missing_ok=True)
