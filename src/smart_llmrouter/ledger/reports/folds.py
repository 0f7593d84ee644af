"""What was found by many dimensions, added up by fewer of them when it is asked for."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Generic, Protocol, Self, TypeVar

from smart_llmrouter.ledger.reports.dimensions import Dimension

RawKey = tuple[object, ...]
"""One value a dimension, as a database says it."""


class Adding(Protocol):
    """What adds up over disjoint sets of calls; it stays what it is."""

    def plus(self, others: Sequence[Self], /) -> Self:
        """Return it with that of others: other sets of calls."""


T = TypeVar("T", bound=Adding)


class Folds(Generic[T]):
    """What was found by all of some dimensions, and so by any of them.

    What was asked for once is kept: less is added up where others begin from there.
    """

    def __init__(
        self, dimensions: Sequence[Dimension], found: Iterable[tuple[RawKey, T]]
    ) -> None:
        """Begin with what was found; no key comes twice."""
        names = tuple(each.name for each in dimensions)
        self._known: dict[tuple[str, ...], Mapping[RawKey, T]] = {names: dict(found)}

    def by(self, dimensions: Sequence[Dimension]) -> Mapping[RawKey, T]:
        """Return what was found by some of the dimensions, in this order."""
        wanted = tuple(each.name for each in dimensions)
        if wanted not in self._known:
            begin = min(
                (names for names in self._known if set(names) >= set(wanted)),
                key=lambda names: len(self._known[names]),
            )
            self._known[wanted] = self._folded(begin, wanted)
        return self._known[wanted]

    def _folded(
        self, begin: tuple[str, ...], wanted: tuple[str, ...]
    ) -> Mapping[RawKey, T]:
        part_of = _narrowing([begin.index(name) for name in wanted])
        parts: dict[RawKey, list[T]] = {}
        for key, each in self._known[begin].items():
            part = part_of(key)
            if (sofar := parts.get(part)) is None:
                parts[part] = [each]
            else:
                sofar.append(each)
        return {
            key: first.plus(others) if others else first
            for key, (first, *others) in parts.items()
        }


def _narrowing(places: Sequence[int]) -> Callable[[RawKey], RawKey]:
    """Return what takes from a key the values at some places."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda key: tuple(key[place] for place in places)
