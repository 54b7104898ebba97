"""A sorted collection of unique tuples that begin with a number; it also knows ranks.

Blocks of a bounded size keep insertion and removal short at any length. Beside the tuples of a block lie their numbers, packed:
to find a place touches these, and not the tuples all over the memory.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import chain
from operator import itemgetter
from typing import Any, Generic, TypeVar

Key = TypeVar("Key", bound=tuple[Any, ...])

BLOCK = 512
"""Keys in a block; a full one is split in two."""

SMALL = 16
"""So few keys have no numbers beside them."""

_last = itemgetter(-1)


def place_of(numbers: array[float], keys: list[Key], key: tuple[Any, ...]) -> int:
    """Where the key is or would be; `numbers` are the first items of the keys."""
    number = key[0]
    at = bisect_left(numbers, number)
    if at < len(numbers) and numbers[at] == number and keys[at] < key:
        at = bisect_left(keys, key, at + 1, bisect_right(numbers, number, at + 1))
    return at


class Ordered(Generic[Key]):
    """Unique tuples in ascending order."""

    __slots__ = ("_numbers", "blocks", "length")

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self.blocks: list[list[Key]] = []
        """All keys, in order; to be read only."""
        self._numbers: list[array[float]] = []
        """The numbers of each block, once there are more than a few keys."""
        self.length = 0
        for key in keys:
            self.add(key)

    @classmethod
    def of(cls, keys: list[Key]) -> Ordered[Key]:
        """A collection of keys that are in ascending order."""
        found = cls()
        found.blocks = [keys[at : at + BLOCK // 2] for at in range(0, len(keys), BLOCK // 2)]
        found.length = len(keys)
        if found.length > SMALL:
            found._pack()
        return found

    def _pack(self) -> None:
        self._numbers = [array("d", [key[0] for key in block]) for block in self.blocks]

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Key]:
        return chain.from_iterable(self.blocks)

    def __contains__(self, key: Key) -> bool:
        found = self.from_key(key)
        return found is not None and found == key

    def first(self) -> Key | None:
        """The smallest key."""
        return self.blocks[0][0] if self.blocks else None

    def _find(self, key: tuple[Any, ...]) -> tuple[int, int]:
        """Block and place where the key is or would be; there are keys."""
        if not self._numbers:
            return 0, bisect_left(self.blocks[0], key)
        last = len(self.blocks) - 1
        index = min(bisect_left(self.blocks, key, key=_last), last) if last else 0
        return index, place_of(self._numbers[index], self.blocks[index], key)

    def add(self, key: Key) -> None:
        """Put a key in; raises KeyError when it is there already."""
        if not self.blocks:
            self.blocks.append([])
        index, at = self._find(key)
        block = self.blocks[index]
        if at < len(block) and block[at] == key:
            raise KeyError(key)
        block.insert(at, key)
        self.length += 1
        if self._numbers:
            self._numbers[index].insert(at, key[0])
            if len(block) > BLOCK:
                self._split(index)
        elif self.length > SMALL:
            self._pack()

    def _split(self, index: int) -> None:
        block, numbers, half = self.blocks[index], self._numbers[index], BLOCK // 2
        self.blocks.insert(index + 1, block[half:])
        self._numbers.insert(index + 1, numbers[half:])
        del block[half:], numbers[half:]

    def remove(self, key: Key) -> None:
        """Take a key out; raises KeyError when it is not there."""
        if not self.blocks:
            raise KeyError(key)
        index, at = self._find(key)
        block = self.blocks[index]
        if at == len(block) or block[at] != key:
            raise KeyError(key)
        del block[at]
        self.length -= 1
        if self._numbers:
            del self._numbers[index][at]
            if not block:
                del self._numbers[index]
        if not block:
            del self.blocks[index]

    def rank(self, key: Key) -> int:
        """How many keys are smaller."""
        if not self.blocks:
            return 0
        index, at = self._find(key)
        return sum(map(len, self.blocks[:index])) + at

    def from_key(self, key: tuple[Any, ...]) -> Key | None:
        """The smallest key that is not smaller than this one."""
        if not self.blocks:
            return None
        index, at = self._find(key)
        block = self.blocks[index]
        return block[at] if at < len(block) else None
