"""The door: who has a token that is known comes in, and whoever else fails."""

from smart_llmrouter.core.errors import RouterError, Unauthorized
from smart_llmrouter.core.identity import Caller
from smart_llmrouter.edge.accesses import Accesses, Refused
from smart_llmrouter.edge.failures import Failures, Reason
from smart_llmrouter.edge.identity import Authenticator, token_of


class Door:
    """Finds who calls; what fails is judged by the failures of its address.

    For a token there is one hash and one look-up, before anything is counted.
    """

    def __init__(
        self, authenticator: Authenticator, failures: Failures, accesses: Accesses
    ) -> None:
        """Let in whom `authenticator` knows; `accesses` note who is refused."""
        self._authenticator = authenticator
        self._failures = failures
        self._accesses = accesses

    def caller_of(self, request: Refused) -> Caller:
        """Return who sent a request, whatever the caller's status.

        Raises `core.errors.Refused`.
        """
        headers = request.headers
        token = token_of(headers.get(b"authorization"), headers.get(b"x-api-key"))
        caller = self._authenticator.caller_of(token)
        if caller is not None:
            return caller
        reason: Reason = "unknown" if token else "missing"
        error = self._failures.judged(reason, request) or Unauthorized()
        self._accesses.failed(error, reason, request)
        raise error

    def refusal_of(self, caller: Caller, request: Refused) -> RouterError | None:
        """Return why this caller may not call now; `None` when it may."""
        refusal = self._authenticator.refusal_of(caller)
        if refusal is None:
            return None
        refusal = self._failures.judged("inactive", request) or refusal
        self._accesses.failed(refusal, "inactive", request, caller=caller)
        return refusal

    def forbid(
        self, error: RouterError, request: Refused, *, caller: Caller
    ) -> RouterError:
        """Return an error that refuses what a caller may not do, once it is noted."""
        self._accesses.forbidden(error, request, caller=caller)
        return error

    def active_caller(self, request: Refused) -> Caller:
        """Return who sent a request and may call. Raises `core.errors.Refused`."""
        caller = self.caller_of(request)
        refusal = self.refusal_of(caller, request)
        if refusal is not None:
            raise refusal
        return caller
