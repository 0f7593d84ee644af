"""What a dialect has to be able to do, so that the provider can speak it.

A dialect reads a request into a `Spoken`, and writes errors. A `Spoken` says what was
asked in words of no dialect, and puts an answer into the shape of its own.
"""

from typing import Protocol

from smart_llmrouter.mockprovider.asked import Asked
from smart_llmrouter.mockprovider.http import Answer, Event, Request
from smart_llmrouter.mockprovider.script import Step, StreamError
from smart_llmrouter.mockprovider.speech import Speech


class Refused(ValueError):
    """A request that a real provider would refuse; the message says why.

    `kind`, `code` and `param` stand in the error where its dialect has a place for
    them; without a `kind` it is the one that is usual for the status.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str | None = None,
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        """Refuse with `message`, as a 400 unless another status is given."""
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param


class Spoken(Protocol):
    """One request in its dialect."""

    @property
    def asked(self) -> Asked:
        """Return what is asked."""

    def check(self) -> None:
        """Raise `Refused` where a real provider would refuse the request."""

    def answer(self, speech: Speech, step: Step) -> Answer:
        """Say `speech`, plain or as a stream, as the request wants it."""

    def failure(self, error: StreamError, speech: Speech, step: Step) -> Event:
        """Return the error that ends an answer which began as `answer` says."""


class Dialect(Protocol):
    """A way to talk to a provider."""

    def read(self, request: Request) -> Spoken:
        """Read a request; raise `Refused` where it is none of this dialect."""

    def refusal(self, status: int, refused: Refused | None = None) -> bytes:
        """Return the error body for `status`, of `refused` where that is given."""
