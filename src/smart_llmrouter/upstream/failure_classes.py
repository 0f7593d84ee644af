"""What each class of upstream failure means: one table.

A class is a stable name: it stands in records, metrics, decisions and error details.
The table says what follows a failure of it, what the caller is told when nothing is
left to try, and what it says about the target. How a class is found is the business of
`upstream.failures`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from smart_llmrouter.core.errors import (
    UpstreamAccessDenied,
    UpstreamError,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamQuotaExhausted,
    UpstreamRateLimited,
    UpstreamRejectedRequest,
    UpstreamTimeout,
)

Then = Literal["again", "wait", "next", "larger", "stop"]
"""What follows a failure.

    again    the next target; where none is left, the same one again: it has surely not
             begun to generate anything
    wait     the same, but the target that failed only if it asked for a short wait
    next     the next target
    larger   the next target whose context is larger, or of unknown size
    stop     nobody else is asked
"""

Standing = Literal["failure", "rate-limit", "quota", "request", "none"]
"""What a failure says about its target's health.

It has failed; it limits the rate; its account is empty; the request was wrong, which a
target that lives has found out; or nothing.
"""


class Meaning(NamedTuple):
    """What a class means. `what` says for people what has happened."""

    then: Then
    error: type[UpstreamError]
    standing: Standing
    what: str


MEANINGS: Final[Mapping[str, Meaning]] = {
    "upstream_connect_failed": Meaning(
        "again",
        UpstreamFailed,
        "failure",
        "No connection: refused, unreachable, no such host, or the proxy let nobody "
        "through.",
    ),
    "upstream_connect_timeout": Meaning(
        "again",
        UpstreamTimeout,
        "failure",
        "No connection within `upstream.connect_timeout_s`.",
    ),
    "upstream_pool_exhausted": Meaning(
        "next",
        UpstreamTimeout,
        "failure",
        "No connection within that time, as all of `upstream.max_connections` were in "
        "use.",
    ),
    "upstream_tls_failed": Meaning(
        "next",
        UpstreamFailed,
        "failure",
        "The TLS handshake failed: a certificate, a name, or a file of `tls`.",
    ),
    "upstream_network_error": Meaning(
        "next", UpstreamFailed, "failure", "The exchange failed below HTTP otherwise."
    ),
    "upstream_unanswered": Meaning(
        "again",
        UpstreamFailed,
        "failure",
        "The connection ended before the head of an answer.",
    ),
    "upstream_connection_cut": Meaning(
        "next",
        UpstreamFailed,
        "failure",
        "The connection ended inside the answer.",
    ),
    "upstream_malformed_answer": Meaning(
        "next",
        UpstreamFailed,
        "failure",
        "What came back was not HTTP, or not an answer of the dialect.",
    ),
    "upstream_response_too_large": Meaning(
        "stop",
        UpstreamFailed,
        "request",
        "The answer was larger than `upstream.max_response_bytes`.",
    ),
    "upstream_first_event_timeout": Meaning(
        "next",
        UpstreamTimeout,
        "failure",
        "No first event within the group's `attempt_timeout_s`.",
    ),
    "upstream_idle_timeout": Meaning(
        "stop",
        UpstreamTimeout,
        "failure",
        "A stream that had begun was silent for `upstream.idle_timeout_s`.",
    ),
    "upstream_total_timeout": Meaning(
        "stop",
        UpstreamTimeout,
        "none",
        "The whole call took longer than `upstream.total_timeout_s`.",
    ),
    "upstream_timeout": Meaning(
        "next",
        UpstreamTimeout,
        "failure",
        "The provider itself said so, with the status 408 or 504.",
    ),
    "upstream_rate_limited": Meaning(
        "wait", UpstreamRateLimited, "rate-limit", "The provider limits the rate: 429."
    ),
    "upstream_overloaded": Meaning(
        "again",
        UpstreamOverloaded,
        "failure",
        "The provider says that it is overloaded, with 529, 503 or 429.",
    ),
    "upstream_server_error": Meaning(
        "again", UpstreamFailed, "failure", "Any other status from 500 on."
    ),
    "upstream_unexpected_status": Meaning(
        "next",
        UpstreamFailed,
        "failure",
        "A status that means no answer and no error: 204, or a redirect.",
    ),
    "upstream_conflict": Meaning(
        "next", UpstreamFailed, "failure", "The status 409 or 425."
    ),
    "upstream_quota_exhausted": Meaning(
        "next",
        UpstreamQuotaExhausted,
        "quota",
        "The credit or quota is used up: 402, or another status whose body says so.",
    ),
    "upstream_auth_failed": Meaning(
        "next",
        UpstreamAccessDenied,
        "failure",
        "The credentials were not accepted: 401, or a body that says so.",
    ),
    "upstream_access_denied": Meaning(
        "next",
        UpstreamAccessDenied,
        "failure",
        "The credentials may not do this: 403.",
    ),
    "upstream_entitlement_failed": Meaning(
        "next",
        UpstreamAccessDenied,
        "failure",
        "The account may not: a plan, a verification, terms or a country.",
    ),
    "upstream_model_access_denied": Meaning(
        "next",
        UpstreamAccessDenied,
        "failure",
        "The model is not there, or not for this account: 404, or a body that says so.",
    ),
    "upstream_bad_request": Meaning(
        "stop",
        UpstreamRejectedRequest,
        "request",
        "The request itself is wrong: 400, 422 and their like.",
    ),
    "upstream_request_too_large": Meaning(
        "stop",
        UpstreamRejectedRequest,
        "request",
        "The request has too many bytes: 413.",
    ),
    "upstream_context_overflow": Meaning(
        "larger",
        UpstreamRejectedRequest,
        "request",
        "The request is longer than the model's context.",
    ),
    "upstream_content_filter": Meaning(
        "stop",
        UpstreamRejectedRequest,
        "request",
        "The provider's filter refused what was asked.",
    ),
    "upstream_error_in_stream": Meaning(
        "next",
        UpstreamFailed,
        "failure",
        "An answer with status 200 reported an error that is none of the above.",
    ),
}
"""Every class that there is; `error_class` is one of these names."""


def standing_of(error_class: str) -> Standing:
    """Return what a failure says about its target; what is no class says nothing."""
    meaning = MEANINGS.get(error_class)
    return "none" if meaning is None else meaning.standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failed attempt.

    `body` is kept only for a rejection of the request itself, which is the caller's to
    read. `retry_after_s` is what the provider asked for. `reason` is for the operator:
    why the provider could not be reached.
    """

    error_class: str
    upstream_status: int | None = None
    retry_after_s: int | None = None
    body: bytes = b""
    reason: str = ""

    @property
    def meaning(self) -> Meaning:
        """What follows from it."""
        return MEANINGS[self.error_class]

    @property
    def rejected(self) -> bool:
        """Whether the request itself was found wrong."""
        return self.meaning.error is UpstreamRejectedRequest

    @property
    def retryable(self) -> bool:
        """Whether any other target could help."""
        return self.meaning.then not in {"stop", "larger"}
