"""A string that cannot print itself.

Provider keys and other credentials live in `Secret` from the moment the
configuration is read, so that no log line, traceback, `repr` or serialiser can
show them by accident. Only `reveal` gives the text, and only the transport calls it.
"""

from typing import NoReturn

MASK = "********"


class Secret:
    """Hold one credential; `reveal` is the only way to its text."""

    __slots__ = ("_text", "source")

    def __init__(self, text: str, *, source: str) -> None:
        """Keep `text`; `source` says where it came from, such as `${ACME_API_KEY}`."""
        self._text = text
        self.source = source

    def reveal(self) -> str:
        """Return the credential itself."""
        return self._text

    def __repr__(self) -> str:
        """Name the source, never the text."""
        return f"Secret({self.source})"

    def __str__(self) -> str:
        """Return a mask."""
        return MASK

    def __format__(self, spec: str, /) -> str:
        """Return a mask, whatever the format asks for."""
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        """Compare by text, so that settings with equal secrets are equal."""
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        """Hash by text, as equality does."""
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied into another process."""
        raise TypeError("a Secret cannot be serialised")
