"""The providers failed."""

import math
from typing import Final

from smart_llmrouter.core.errors.root import NO_DETAILS, Details, RouterError

RETRY_AFTER_MAX_S: Final = 60
"""A longer wait is not promised: clients would sit still for as long as it says."""
_MS_PER_S: Final = 1000


class UpstreamError(RouterError):
    """Every target that was tried failed; `details` hold the class of the failure.

    `event` is the event in which the provider itself said so, behind a stream that had
    begun: the caller is sent it as it came. `reason` says why the last target could not
    be reached, or broke off, where that is known; it is for the operator's log alone.
    """

    event: bytes = b""
    reason: str = ""

    status = 502
    code = "upstream-failed"

    @property
    def error_class(self) -> str:
        """What kind of failure it was, as diagnostics name it."""
        return str(self.details.get("error_class", "upstream_failed"))


class UpstreamFailed(UpstreamError):
    """The failures had several reasons, or none that says more than this."""


class UpstreamTimeout(UpstreamError):
    """The targets did not answer in time."""

    status = 504
    code = "upstream-timeout"


class UpstreamRateLimited(UpstreamError):
    """The providers' own rate limits were met."""

    status = 503
    code = "upstream-rate-limited"


class UpstreamQuotaExhausted(UpstreamError):
    """The providers' own credit or quota is used up."""

    status = 503
    code = "upstream-quota-exhausted"


class UpstreamAccessDenied(UpstreamError):
    """The providers did not accept the router's credentials, or not for this model."""

    status = 503
    code = "upstream-access-denied"


class UpstreamOverloaded(UpstreamError):
    """The providers are overloaded.

    Claude Code asks three times after 529, and then its fallback model.
    """

    status = 529
    code = "upstream-overloaded"


class UpstreamCapacityThrottled(UpstreamError):
    """Who could serve the request is called as often as may be, or left alone now.

    Nobody was called. `Retry-After` is after when the first of them may be, where that
    is within a minute; until then asking again is in vain.
    """

    status = 503
    code = "upstream-capacity-throttled"

    def __init__(self, *, target_count: int, wait_s: float) -> None:
        """Say how many targets have to wait, and after how long the first may go on."""
        wait_ms = math.ceil(wait_s * _MS_PER_S)
        super().__init__(
            "every target that could serve this request is resting after failures, or "
            "is called as often as it may be",
            details={
                "error_class": "upstream_capacity_throttled",
                "target_count": target_count,
                "retry_after_ms": wait_ms,
                "retryable": True,
            },
            retry_after_s=math.ceil(wait_s) if wait_s <= RETRY_AFTER_MAX_S else None,
        )


class UpstreamRejectedRequest(UpstreamError):
    """The provider found the request itself wrong, so no other target was asked.

    The caller gets the provider's status and its own error body, because clients
    recover from some rejections by what it says. Credentials are taken out of it, and
    its `code` is the provider's where it has one.
    """

    code = "upstream-rejected-request"
    permanent = True

    def __init__(
        self, *, status: int, body: bytes, details: Details = NO_DETAILS
    ) -> None:
        """Keep the provider's answer for the dialect to render."""
        super().__init__("the provider rejected the request", details=details)
        self.status = status
        self.body = body
