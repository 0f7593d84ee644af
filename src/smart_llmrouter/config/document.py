"""What a configuration file says, and where in the file each value stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple, TypeAlias

from smart_llmrouter.config.findings import Finding, KeyPath, Severity, dotted

Plain: TypeAlias = "bool | int | Decimal | str | list[Plain] | dict[str, Plain] | None"


class Position(NamedTuple):
    """A place in the file, counted from 1, in characters."""

    line: int
    column: int


START: Final = Position(1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What the file says, and where.

    `keys` holds where the key of each mapping entry stands (of a list item: where the
    item does), `scalars` where each scalar value stands.
    """

    file: str
    root: dict[str, Plain]
    keys: Mapping[KeyPath, Position]
    scalars: Mapping[KeyPath, Position]

    def key_position(self, path: KeyPath) -> Position:
        """Return where the key stands, or the nearest thing around it that exists."""
        while path:
            found = self.keys.get(path)
            if found is not None:
                return found
            path = path[:-1]
        return START

    def position(self, path: KeyPath) -> Position:
        """Return where the value stands: a scalar itself, else its key."""
        return self.scalars.get(path) or self.key_position(path)

    def error(
        self, path: KeyPath, message: str, remedy: str, *, awaits: str | None = None
    ) -> Finding:
        """Return an error about the value at `path`."""
        at = self.position(path)
        return self._finding("error", at, (path, message, remedy), awaits=awaits)

    def key_error(self, path: KeyPath, message: str, remedy: str) -> Finding:
        """Return an error about the key at `path` itself."""
        at = self.key_position(path)
        return self._finding("error", at, (path, message, remedy))

    def warning(self, path: KeyPath, message: str, remedy: str) -> Finding:
        """Return a warning about the entry at `path`."""
        at = self.key_position(path)
        return self._finding("warning", at, (path, message, remedy))

    def _finding(
        self,
        severity: Severity,
        at: Position,
        what: tuple[KeyPath, str, str],
        *,
        awaits: str | None = None,
    ) -> Finding:
        path, message, remedy = what
        return Finding(
            severity=severity,
            file=self.file,
            line=at.line,
            column=at.column,
            key_path=dotted(path),
            message=message,
            remedy=remedy,
            awaits=awaits,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The outcome of reading: `document` is `None` when nothing can be checked."""

    document: Document | None
    findings: tuple[Finding, ...]
