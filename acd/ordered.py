"""A sorted collection of unique tuples that also knows ranks.

Blocks of a bounded size keep insertion and removal short at any length; a rank adds up the blocks in front.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

Key = TypeVar("Key", bound=tuple[Any, ...])

_BLOCK = 512
"""Keys in a block; a full one is split in two."""


class Ordered(Generic[Key]):
    """Unique tuples in ascending order."""

    __slots__ = ("_lasts", "blocks", "length")

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self.blocks: list[list[Key]] = []
        """All keys, in order; to be read only."""
        self._lasts: list[Key] = []
        self.length = 0
        for key in keys:
            self.add(key)

    @classmethod
    def of(cls, keys: list[Key]) -> Ordered[Key]:
        """A collection of keys that are in ascending order."""
        found = cls()
        found.blocks = [keys[at : at + _BLOCK // 2] for at in range(0, len(keys), _BLOCK // 2)]
        found._lasts = [block[-1] for block in found.blocks]
        found.length = len(keys)
        return found

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Key]:
        for block in self.blocks:
            yield from block

    def __contains__(self, key: Key) -> bool:
        found = self.from_key(key)
        return found is not None and found == key

    def first(self) -> Key | None:
        """The smallest key."""
        return self.blocks[0][0] if self.blocks else None

    def add(self, key: Key) -> None:
        """Put a key in; raises KeyError when it is there already."""
        self.length += 1
        if not self.blocks:
            self.blocks.append([key])
            self._lasts.append(key)
            return
        index = min(bisect_left(self._lasts, key), len(self.blocks) - 1)
        block = self.blocks[index]
        if key > self._lasts[index]:
            block.append(key)
        else:
            place = bisect_left(block, key)
            if block[place] == key:
                self.length -= 1
                raise KeyError(key)
            insort(block, key, lo=place, hi=place)
        if len(block) > _BLOCK:
            half = len(block) // 2
            self.blocks.insert(index + 1, block[half:])
            self._lasts.insert(index, block[half - 1])
            del block[half:]
        self._lasts[index] = self.blocks[index][-1]
        if index + 1 < len(self.blocks):
            self._lasts[index + 1] = self.blocks[index + 1][-1]

    def remove(self, key: Key) -> None:
        """Take a key out; raises KeyError when it is not there."""
        index = bisect_left(self._lasts, key)
        if index == len(self.blocks):
            raise KeyError(key)
        block = self.blocks[index]
        place = bisect_left(block, key)
        if block[place] != key:
            raise KeyError(key)
        del block[place]
        self.length -= 1
        if block:
            self._lasts[index] = block[-1]
        else:
            del self.blocks[index]
            del self._lasts[index]

    def rank(self, key: Key) -> int:
        """How many keys are smaller."""
        index = bisect_left(self._lasts, key)
        if index == len(self.blocks):
            return self.length
        return sum(map(len, self.blocks[:index])) + bisect_left(self.blocks[index], key)

    def from_key(self, key: tuple[Any, ...]) -> Key | None:
        """The smallest key that is not smaller than this one."""
        index = bisect_left(self._lasts, key)
        if index == len(self.blocks):
            return None
        block = self.blocks[index]
        return block[bisect_left(block, key)]

    def above(self, key: tuple[Any, ...]) -> Key | None:
        """The smallest key that is greater than this one."""
        index = bisect_right(self._lasts, key)
        if index == len(self.blocks):
            return None
        block = self.blocks[index]
        return block[bisect_right(block, key)]
