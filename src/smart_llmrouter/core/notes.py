"""What a translation could not carry as it was: said to the caller, and on record."""

from collections.abc import Iterable
from typing import Literal

import msgspec

NoteAction = Literal["approximated", "dropped"]


class Note(msgspec.Struct, frozen=True, order=True):
    """One field that reached the other side changed, or not at all.

    `field` is a name of the dialect that said it, of a closed set and never content;
    `reason` is one short sentence of ours.
    """

    action: NoteAction
    field: str
    reason: str


class Notes:
    """Collects the notes of one translation, each once, in order."""

    __slots__ = ("_notes",)

    def __init__(self) -> None:
        """Begin without any."""
        self._notes: dict[Note, None] = {}

    def approximated(self, field: str, reason: str) -> None:
        """Note a field that the other side says in a different way."""
        self._notes[Note("approximated", field, reason)] = None

    def dropped(self, field: str, reason: str) -> None:
        """Note a field that the other side cannot say."""
        self._notes[Note("dropped", field, reason)] = None

    def add(self, notes: Iterable[Note]) -> None:
        """Take over what was noted elsewhere."""
        self._notes.update(dict.fromkeys(notes))

    def all(self) -> tuple[Note, ...]:
        """Return what was noted."""
        return tuple(self._notes)
