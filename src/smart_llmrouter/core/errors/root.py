"""What all of them are: something that a caller is told."""

from collections.abc import Mapping
from typing import ClassVar, Final

Detail = str | int | bool | list[str] | dict[str, list[str]]
Details = Mapping[str, Detail]
NO_DETAILS: Final[Details] = {}


class RouterError(Exception):
    """Something that the caller is told about, with a status and a stable code."""

    status: int = 500
    code: ClassVar[str] = "internal-error"
    permanent: bool = False
    """Whether asking again can never help: sent as `x-should-retry: false`."""

    def __init__(
        self,
        message: str,
        *,
        details: Details = NO_DETAILS,
        retry_after_s: int | None = None,
    ) -> None:
        """State the fact in `message`, and what is safe to know in `details`."""
        super().__init__(message)
        self.message = message
        self.details = details
        self.retry_after_s = retry_after_s
