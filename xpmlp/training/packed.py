"""A list that takes little memory however long it gets: its items are kept as bytes.

A small array takes a hundred bytes besides its numbers, and a record a float for each field.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from typing import TypeVar, overload

import numpy as np

Item = TypeVar("Item")


class Packed(Sequence[Item]):
    """A list of items that can be written as arrays of numbers.

    pack: the numbers of an item, float32 or float64 of any shape. unpack: the item of these
    numbers (n,), of the same dtype; it is made anew each time that it is asked for.
    An item with the numbers of the one before it shares them.
    """

    def __init__(
        self,
        pack: Callable[[Item], np.ndarray],
        unpack: Callable[[np.ndarray], Item],
        items: Iterable[Item] = (),
    ) -> None:
        self._pack, self._unpack = pack, unpack
        self._items: list[bytes] = []  # each the letter of its dtype and its numbers
        for item in items:
            self.append(item)

    def append(self, item: Item) -> None:
        """Add an item."""
        numbers = self._pack(item)
        content = numbers.dtype.char.encode() + numbers.tobytes()
        same = self._items and self._items[-1] == content
        self._items.append(self._items[-1] if same else content)

    def cut(self, length: int) -> None:
        """Drop the items after the first `length`."""
        del self._items[length:]

    def _item(self, content: bytes) -> Item:
        return self._unpack(np.frombuffer(content, content[:1].decode(), offset=1).copy())

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        if isinstance(index, slice):
            return list(map(self._item, self._items[index]))
        return self._item(self._items[index])

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Packed):
            return self._items == other._items
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> "Packed[Item]":
        made = Packed(self._pack, self._unpack)
        made._items = copy(self._items)
        return made

    def __repr__(self) -> str:
        return repr(list(self))
