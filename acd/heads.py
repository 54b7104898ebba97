"""The first contacts of a queue's lanes, in their order, each with what an agent must have to be worth a closer look.

A free agent goes through a queue from the front and can have few of its lanes. What rules out most of them, the door, is
therefore kept apart: there are few doors, and going along them touches nothing else.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from acd.cases import WaitingKey
from acd.ordered import BLOCK, block_of, place_of

if TYPE_CHECKING:
    from acd.lanes import Lane


class Door:
    """The skill that is needed most, and whether there is more to ask; shared by all lanes of which it is true."""

    __slots__ = ("bit", "least", "skill", "whole")

    def __init__(self, bit: int, skill: str, least: int, *, whole: bool) -> None:
        self.bit = bit
        """The channel."""
        self.skill = skill
        self.least = least
        """0 with an empty skill: none is needed."""
        self.whole = whole
        """Whoever comes through can have the lane's contacts, as far as they serve the queue."""


class Heads:
    """Lanes by their first contacts: lists side by side, in blocks of a bounded size."""

    __slots__ = ("_numbers", "doors", "keys", "lanes")

    def __init__(self) -> None:
        self.keys: list[list[WaitingKey]] = []
        """Blocks of heads, in order, and below the door and the lane of each; to be read only."""
        self.doors: list[list[Door]] = []
        self.lanes: list[list[Lane]] = []
        self._numbers: list[array[float]] = []

    @classmethod
    def of(cls, lanes: list[tuple[WaitingKey, Lane]]) -> Heads:
        """Lanes with their heads, in the order of these."""
        found = cls()
        for at in range(0, len(lanes), BLOCK // 2):
            part = lanes[at : at + BLOCK // 2]
            found._new_block(len(found.keys), [key for key, _ in part], [lane for _, lane in part])
        return found

    def _new_block(self, index: int, keys: list[WaitingKey], lanes: list[Lane]) -> None:
        self.keys.insert(index, keys)
        self.lanes.insert(index, lanes)
        self.doors.insert(index, [lane.door for lane in lanes])
        self._numbers.insert(index, array("d", [key[0] for key in keys]))

    def add(self, key: WaitingKey, lane: Lane) -> None:
        """Put a lane in, by its head."""
        if not self.keys:
            self._new_block(0, [key], [lane])
            return
        index = block_of(self._numbers, self.keys, key)
        numbers, keys, lanes = self._numbers[index], self.keys[index], self.lanes[index]
        at = place_of(numbers, keys, key)
        numbers.insert(at, key[0])
        keys.insert(at, key)
        lanes.insert(at, lane)
        self.doors[index].insert(at, lane.door)
        if len(keys) > BLOCK:
            half = BLOCK // 2
            self._new_block(index + 1, keys[half:], lanes[half:])
            del numbers[half:], keys[half:], lanes[half:], self.doors[index][half:]

    def remove(self, key: WaitingKey, lane: Lane) -> None:
        """Take a lane out; raises KeyError when it is not there by this head."""
        if not self.keys:
            raise KeyError(key)
        index = block_of(self._numbers, self.keys, key)
        numbers, keys, lanes = self._numbers[index], self.keys[index], self.lanes[index]
        at = place_of(numbers, keys, key)
        if at == len(keys) or lanes[at] is not lane:
            raise KeyError(key)
        del numbers[at], keys[at], lanes[at], self.doors[index][at]
        if not keys:
            del self._numbers[index], self.keys[index], self.lanes[index], self.doors[index]
