"""Why a contact went where it went: its story out of the log's effects, and, on demand, every candidate of each decision."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import tzinfo

import msgspec

from acd import effects
from acd.effects import Effect
from acd.engine import Engine
from acd.errors import Refused
from acd.events import Event
from acd.sentences import Names, Sentence, Writer
from exchange.brain import logged
from exchange.lab.entries import Log
from exchange.lab.errors import LabError
from exchange.lab.player import Player
from exchange.lab.times import show
from storage.entries import LogRow, Position


class Judged(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one agent had to do with a decision."""

    agent: str
    name: str
    reason: str = ""
    """Empty: could have had it."""
    detail: str = ""


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """A sentence, and with `--all` everybody who was looked at."""

    sentence: Sentence
    candidates: list[Judged] | None = None


class Story(msgspec.Struct, frozen=True):
    """`switchroom explain --json`."""

    contact: str
    told: list[Told]
    notes: list[str] = []


async def explain(log: Log, contact: str, zone: tzinfo, *, everybody: bool = False, recordings: bool = True) -> Story:
    """The contact's story; raises LabError when the log has none."""
    moments = await _moments(log, contact)
    if not moments:
        raise LabError(f"The log of {log.name} says nothing of a contact {contact}.")
    names = Names.of(await log.configured(moments[-1][0].at + 1.0), await log.users())
    writer = Writer(names, zone)
    candidates: dict[tuple[Position, int], list[Judged]] = {}
    notes: list[str] = []
    if everybody:
        try:
            candidates = await _all_candidates(log, moments, contact, names, recordings)
        except LabError as error:
            notes.append(f"The candidates cannot be computed anew: {error}")
    told = []
    for row, found in moments:
        for index, effect in enumerate(found):
            if getattr(effect, "contact", None) != contact:
                continue
            sentence = writer.sentence(row.at, effect)
            if sentence is not None:
                told.append(Told(sentence, candidates.get((row.position, index))))
    return Story(contact, told, notes)


def as_json(story: Story) -> str:
    """For programs."""
    return msgspec.json.encode(story).decode()


def text(story: Story, zone: tzinfo) -> str:
    """For a person."""
    writer = Writer(Names(), zone)
    first = story.told[0].sentence.at
    out = [f"Contact {story.contact}, {show(first, zone)}", ""]
    for told in story.told:
        out.append(f"{writer.clock(told.sentence.at)} {told.sentence.text}")
        out += [f"         {line}" for line in _candidates(told.candidates)]
    return "\n".join([*out, *(f"Note: {note}" for note in story.notes)])


def _candidates(judged: list[Judged] | None) -> list[str]:
    """Those who could have had it first, then the others by what kept them from it."""
    if not judged:
        return []
    by_reason: dict[tuple[str, str], list[str]] = {}
    for one in judged:
        by_reason.setdefault((one.reason, one.detail), []).append(one.name)
    lines = []
    for (reason, detail), names in sorted(by_reason.items()):
        what = f"{reason} ({detail})" if detail else reason or "available and able"
        lines.append(f"{what}: {', '.join(names)}")
    return lines


async def _moments(log: Log, contact: str) -> list[tuple[LogRow, list[Effect]]]:
    found: list[tuple[LogRow, list[Effect]]] = []
    for row in await log.about(contact):
        with contextlib.suppress(ValueError):
            decided = logged.decode(row.effects)
            if any(getattr(effect, "contact", None) == contact for effect in decided):
                found.append((row, decided))
    return found


# --- everybody ----------------------------------------------------------------------------------------------------


class Watching(Engine):
    """Looks at every agent when a decision about one contact has fallen."""

    contact_id = ""
    looks = False
    """Whether the next event decides about the contact."""
    judged: list[list[tuple[str, str, str]]]
    """For each decision, in order: agent, reason, detail."""

    @classmethod
    def of(cls, engine: Engine, contact: str) -> Watching:
        """In the state of another one."""
        found = cls.restore(engine.snapshot())
        assert isinstance(found, cls)  # noqa: S101  `restore` gives one of its class
        found.contact_id, found.judged = contact, []
        return found

    def handle(self, event: Event) -> list[Effect]:
        """As the engine, and then look."""
        if not self.looks:
            return super().handle(event)
        before = self.snapshot()
        found = super().handle(event)
        for index, effect in enumerate(found):
            if not isinstance(effect, effects.OfferMade | effects.NobodyFor) or effect.contact != self.contact_id:
                continue
            engine: Engine = self
            if isinstance(effect, effects.OfferMade) and effect.auto:
                engine = Engine.restore(before)
                engine.accept_nothing()
                engine.handle(event)
            self.judged.append(self._judge(engine, found[index:]))
        return found

    def _judge(self, engine: Engine, since: Sequence[Effect]) -> list[tuple[str, str, str]]:
        """Whoever was offered something from then on in the same event could have had it until then."""
        taken = {effect.agent for effect in since if isinstance(effect, effects.OfferMade)}
        found = []
        for agent in engine.agents():
            try:
                reason, detail = ("", "") if agent.id in taken else engine.why_not(self.contact_id, agent.id)
            except Refused:
                continue
            found.append((agent.id, reason, detail))
        return found


async def _all_candidates(
    log: Log, moments: Sequence[tuple[LogRow, list[Effect]]], contact: str, names: Names, recordings: bool
) -> dict[tuple[Position, int], list[Judged]]:
    wanted: dict[Position, list[int]] = {}
    for row, effects_of in moments:
        if indices := [i for i, e in enumerate(effects_of) if isinstance(e, _DECISIONS) and e.contact == contact]:
            wanted[row.position] = indices
    if not wanted:
        return {}
    found: dict[tuple[Position, int], list[Judged]] = {}
    player = await Player.begin(log, moments[0][0].at, recordings)
    watching: Watching | None = None
    last = max(wanted)
    async for row in log.rows(player.after):
        places = wanted.get(row.position)
        if places is not None and watching is None:
            player.house.engine = watching = Watching.of(player.house.engine, contact)
        if watching is not None:
            watching.looks = places is not None
        await player.take(row)
        if places is not None and watching is not None:
            for index, judged in zip(places, watching.judged, strict=False):
                found[row.position, index] = [Judged(id, names.agent(id), reason, detail) for id, reason, detail in judged]
        if watching is not None:
            watching.judged.clear()
        if row.position >= last:
            break
    return found


_DECISIONS = (effects.OfferMade, effects.NobodyFor)
