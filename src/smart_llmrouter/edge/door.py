"""The door: who has a token that is known comes in, and whoever else fails."""

from typing import Protocol

from smart_llmrouter.core.errors import RouterError, Unauthorized
from smart_llmrouter.core.identity import Caller
from smart_llmrouter.edge.exchange import Fields
from smart_llmrouter.edge.failures import Failures, Reason
from smart_llmrouter.edge.identity import Authenticator, token_of


class Request(Protocol):
    """What is looked at of a request; `headers` has the last value of each field."""

    @property
    def headers(self) -> dict[bytes, bytes]:
        """Its fields by their lower-case names."""

    @property
    def fields(self) -> Fields:
        """All of them, in their order."""

    @property
    def peer(self) -> bytes:
        """The address that it came from; see `edge.addresses`."""


class Door:
    """Finds who calls; what fails is judged by the failures of its address.

    For a token there is one hash and one look-up, before anything is counted.
    """

    def __init__(self, authenticator: Authenticator, failures: Failures) -> None:
        """Let in whom `authenticator` knows."""
        self._authenticator = authenticator
        self._failures = failures

    def caller_of(self, request: Request) -> Caller:
        """Return who sent a request, whatever the caller's status. Raises `Refused`."""
        headers = request.headers
        token = token_of(headers.get(b"authorization"), headers.get(b"x-api-key"))
        caller = self._authenticator.caller_of(token)
        if caller is not None:
            return caller
        reason: Reason = "unknown" if token else "missing"
        raise self._failures.judged(reason, request) or Unauthorized()

    def refusal_of(self, caller: Caller, request: Request) -> RouterError | None:
        """Return why this caller may not call now; `None` when it may."""
        refusal = self._authenticator.refusal_of(caller)
        if refusal is None:
            return None
        return self._failures.judged("inactive", request) or refusal

    def active_caller(self, request: Request) -> Caller:
        """Return who sent a request and may call. Raises `Refused`."""
        caller = self.caller_of(request)
        refusal = self.refusal_of(caller, request)
        if refusal is not None:
            raise refusal
        return caller
