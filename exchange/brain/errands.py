"""What the exchange does beside its work: looks at the edge, and has spoken ahead what it will have to say."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from exchange.brain.cards import Cards
from ivr.document import Flow
from media.control.envelope import ControlError

log = structlog.get_logger()

APOLOGY = "We are sorry, your call cannot be taken at the moment. Please try again later. Goodbye."
EDGE_POLL_SECONDS = 1.0
RETRY_SECONDS = 1.0


async def poll_edge(cards: Cards) -> None:
    """For ever."""
    while True:
        await cards.poll_edge()
        await asyncio.sleep(EDGE_POLL_SECONDS)


async def speak_apology(cards: Cards, rate: int) -> str:
    """Its file: spoken once and cached; line cards need it exactly when nobody is there to speak it."""
    while True:
        try:
            return (await cards.speak(APOLOGY, rate)).path
        except ControlError as error:
            log.warning("apology not spoken yet", code=error.code)
            await asyncio.sleep(RETRY_SECONDS)


async def speak_ahead(cards: Cards, rate: int, flows: Iterable[Flow]) -> None:
    """Have the flows' fixed prompts spoken before the first caller needs them; those with variables come when asked for."""
    texts = [text for flow in flows for activity in flow.activities.values() for _, text in activity.prompts()]
    for text in dict.fromkeys(t for t in texts if "{" not in t):
        try:
            await cards.speak(text, rate)
        except ControlError as error:
            log.warning("prompt not spoken ahead", code=error.code)
