"""The first contacts of a queue's lanes, in their order, each with what an agent must have to be worth a closer look.

A free agent goes through a queue from the front and can have few of its lanes. What rules out most of them, the door, is
therefore kept apart: there are few doors, and going along them touches nothing else.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING

from acd.cases import WaitingKey
from acd.ordered import BLOCK, place_of

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


class Block:
    """Some heads in order, as lists side by side; of a bounded size."""

    __slots__ = ("doors", "keys", "lanes", "numbers")

    def __init__(self, keys: list[WaitingKey], lanes: list[Lane]) -> None:
        self.keys, self.lanes = keys, lanes
        self.doors = [lane.door for lane in lanes]
        self.numbers = array("d", [key[0] for key in keys])


class Heads:
    """Lanes by their first contacts."""

    __slots__ = ("blocks", "first")

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        """To be read only; none is empty."""
        self.first: WaitingKey | None = None
        """The first contact of all."""

    @classmethod
    def of(cls, lanes: list[tuple[WaitingKey, Lane]]) -> Heads:
        """Lanes with their heads, in the order of these."""
        found = cls()
        for at in range(0, len(lanes), BLOCK // 2):
            part = lanes[at : at + BLOCK // 2]
            found.blocks.append(Block([key for key, _ in part], [lane for _, lane in part]))
        found.first = lanes[0][0] if lanes else None
        return found

    def _block(self, key: WaitingKey) -> Block:
        """Where the key is or would be; there are blocks."""
        blocks, last = self.blocks, len(self.blocks) - 1
        if not last:
            return blocks[0]
        return blocks[min(bisect_left(blocks, key, key=_last), last)]

    def add(self, key: WaitingKey, lane: Lane) -> None:
        """Put a lane in, by its head."""
        if self.first is None or key < self.first:
            self.first = key
        if not self.blocks:
            self.blocks.append(Block([key], [lane]))
            return
        block = self._block(key)
        at = place_of(block.numbers, block.keys, key)
        block.numbers.insert(at, key[0])
        block.keys.insert(at, key)
        block.doors.insert(at, lane.door)
        block.lanes.insert(at, lane)
        if len(block.keys) > BLOCK:
            half = BLOCK // 2
            self.blocks.insert(self.blocks.index(block) + 1, Block(block.keys[half:], block.lanes[half:]))
            del block.numbers[half:], block.keys[half:], block.doors[half:], block.lanes[half:]

    def remove(self, key: WaitingKey, lane: Lane) -> None:
        """Take a lane out; raises KeyError when it is not there by this head."""
        if not self.blocks:
            raise KeyError(key)
        block = self._block(key)
        at = place_of(block.numbers, block.keys, key)
        if at == len(block.keys) or block.lanes[at] is not lane:
            raise KeyError(key)
        del block.numbers[at], block.keys[at], block.doors[at], block.lanes[at]
        if not block.keys:
            self.blocks.remove(block)
        if not at:
            self.first = self.blocks[0].keys[0] if self.blocks else None


def _last(block: Block) -> WaitingKey:
    return block.keys[-1]
