"""The providers failed."""

from smart_llmrouter.core.errors.root import NO_DETAILS, Details, RouterError


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
