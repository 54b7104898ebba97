"""Hold, of which the engine knows nothing, is counted from the house's own inputs: as the house counts it."""

from __future__ import annotations

import pytest

import acd.events as routing
from acd.figures.sums import work_by
from exchange.bookkeeper.figures import Figures
from exchange.brain import records
from storage.entries import Position
from tests.exchange.brain.story import Story, new_house

pytestmark = pytest.mark.unit


def test_the_figures_of_hold_are_the_houses() -> None:
    story = Story()
    contact = story.to_talk()
    held = 0.0
    for seconds in (12.0, 30.5):
        story.ask(contact, "hold")
        story.at += seconds
        story.ask(contact, "hold", on=False)
        story.at += 5
    story.ask(contact, "hold")
    story.ask(contact, "hold")
    story.at += 7.25
    held = story.talk(contact).held_seconds
    story.ask(contact, "hang_up")
    final = story.talk(contact).held_seconds
    story.at += 20
    story.route(routing.WrapUpDone(0, contact, "agent1", "sold"))
    book, house = Figures(), new_house()
    for number, data in enumerate(story.log, 1):
        record = records.decode(data)
        book.take(Position(1, number), record, house.apply(record).decided)
    (work,) = work_by([*book.fold.take_closed(), book.fold.state.quarter], lambda key: key[:2]).values()
    assert 42.5 <= held < final
    assert work.hold_ms / 1000 == pytest.approx(final, abs=0.005)
    assert work.talk_ms / 1000 == pytest.approx(10.5, abs=1.5)
    assert work.wrap_up_ms / 1000 == pytest.approx(20.1, abs=0.005)
    assert work.handled == 1
