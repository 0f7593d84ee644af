"""What parts of requests weigh that were weighed before, under hashes of their bytes.

A hash says nothing of what is in a part, and nobody can make another part of the same
hash: Python's hashes of bytes have a key, which is another one in each process.
"""

from collections.abc import Callable
from typing import Final

import msgspec

_MOST: Final = 16_384
_BLOCK_BYTES: Final = 2048
_OPENING: Final = b"["
_COMMA: Final = b","

_decode_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Parts:
    """The weights of single parts."""

    __slots__ = ("_weigh", "_weights")

    def __init__(self, weigh: Callable[[bytes], int]) -> None:
        """Let `weigh` find the weight of what is new."""
        self._weigh = weigh
        self._weights: dict[int, int] = {}

    def weight_of(self, part: bytes) -> int:
        """Return what a part weighs. Raises what weighing it raises."""
        key = hash(part)
        weight = self._weights.get(key)
        if weight is None:
            weight = self._weigh(part)
            if len(self._weights) >= _MOST:
                self._weights.clear()
            self._weights[key] = weight
        return weight


Mark = tuple[int, int, int]
"""What is known at a place in a list: its items that are over there as a whole.

What they weigh together, how many they are, and where the last of them ends.
"""
_BEGINNING: Final[Mark] = (0, 0, len(_OPENING))


class Lists:
    """The weights of lists, and of what lists have begun with.

    A conversation is sent again with more at its end. So there is a mark at the end of
    each block of a list, and at the end of the list, under a hash of all before it: a
    list is only taken apart behind the last mark that is known. The hash is made of the
    block's and of that at the mark before, so that no byte is hashed twice.
    """

    __slots__ = ("_block_bytes", "_items", "_marks")

    def __init__(self, items: Parts, *, block_bytes: int = _BLOCK_BYTES) -> None:
        """Let `items` find the weight of an item, and leave a mark so often."""
        self._items = items
        self._block_bytes = block_bytes
        self._marks: dict[int, Mark] = {}

    def weighed(self, text: bytes) -> Mark:
        """Return the mark at the end of a list. Raises what weighing items raises.

        `text` is one list in valid JSON, and nothing around it.
        """
        mark, key, begin, length = _BEGINNING, 0, 0, len(text)
        while begin < length:
            end = begin + self._block_bytes
            before, key = key, hash((key, text[begin:end]))
            known = self._marks.get(key)
            if known is None:
                return self._weigh_on(text, mark, begin, before)
            mark, begin = known, end
        return mark

    def _weigh_on(self, text: bytes, mark: Mark, begin: int, key: int) -> Mark:
        """Weigh what is behind a mark, and leave marks from the block at `begin` on."""
        weight, count, end = mark
        weight_of, items = self._items.weight_of, _items_behind(mark, text)
        size, length = self._block_bytes, len(text)
        if length <= begin + size:
            mark = weight + sum(map(weight_of, items)), count + len(items), length
            self._leave(mark, key, text[begin:])
            return mark
        for item in items:
            # What is between two items is nothing that an item could begin with.
            next_end = text.index(item[:1], end) + len(item)
            # An item that ends with the block is not over: it may be half a number.
            while begin + size <= next_end:
                key = self._leave(mark, key, text[begin : begin + size])
                begin += size
            weight, count, end = weight + weight_of(item), count + 1, next_end
            mark = weight, count, end
        for at in range(begin, length, size):
            key = self._leave(mark, key, text[at : at + size])
        return mark

    def _leave(self, mark: Mark, key: int, block: bytes) -> int:
        """Leave a mark at the end of a block, and return its key."""
        if len(self._marks) >= _MOST:
            self._marks.clear()
        key = hash((key, block))
        self._marks[key] = mark
        return key


def _items_behind(mark: Mark, text: bytes) -> list[bytes]:
    """Take apart what is behind a mark."""
    _, count, end = mark
    rest = text
    if count:
        rest = _OPENING + text[end:].lstrip().removeprefix(_COMMA)
    return [*map(bytes, _decode_items(rest))]
