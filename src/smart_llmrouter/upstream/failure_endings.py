"""What the caller is told when no target is left to try, or a stream broke off."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

from smart_llmrouter.core.errors import (
    RETRY_AFTER_MAX_S,
    Detail,
    Details,
    RouterError,
    UpstreamAccessDenied,
    UpstreamError,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamQuotaExhausted,
    UpstreamRateLimited,
    UpstreamRejectedRequest,
    UpstreamTimeout,
)
from smart_llmrouter.upstream.failure_classes import Failure

_MESSAGE_OF_ERROR: Final[Mapping[type[UpstreamError], str]] = {
    UpstreamAccessDenied: "no provider gave the router access to this model",
    UpstreamQuotaExhausted: "the providers' credit or quota is used up",
    UpstreamRateLimited: "the providers limit the router's rate",
    UpstreamOverloaded: "the providers are overloaded",
    UpstreamTimeout: "no provider answered in time",
    UpstreamFailed: "every provider that was tried failed",
}
_MESSAGE_OF_CLASS: Final = {
    "upstream_response_too_large": (
        "the provider's answer is larger than `upstream.max_response_bytes`"
    ),
}


def terminal_error(failures: Sequence[Failure]) -> RouterError:
    """Return what the caller is told after the attempts in `failures` all failed.

    The last failure decides where it found the request itself wrong. Otherwise a kind
    that names its reason is told only where all failures were of that kind; targets
    that were too small for the request are left out of account.
    """
    last = failures[-1]
    details: dict[str, Detail] = {
        "attempts": len(failures),
        "error_class": last.error_class,
        "retryable": last.retryable,
    }
    if last.upstream_status is not None:
        details["upstream_status"] = last.upstream_status
    if last.rejected:
        return _rejection(last, details)
    kinds = {each.meaning.error for each in failures if not each.rejected}
    kind = last.meaning.error if len(kinds) == 1 else UpstreamFailed
    told = kind(
        _MESSAGE_OF_CLASS.get(last.error_class, _MESSAGE_OF_ERROR[kind]),
        details=details,
        retry_after_s=_soonest(failures) if kind is UpstreamRateLimited else None,
    )
    told.reason = last.reason
    return told


def error_behind(failure: Failure, what: str) -> UpstreamError:
    """Return what the caller is told of a failure inside its stream, in `what`."""
    details: dict[str, Detail] = {"error_class": failure.error_class}
    if failure.rejected:
        return _rejection(failure, details)
    return failure.meaning.error(what, details=details)


def _rejection(failure: Failure, details: Details) -> UpstreamRejectedRequest:
    """Return what a rejected request is; inside a stream the status told nothing."""
    status = failure.upstream_status or HTTPStatus.BAD_REQUEST
    return UpstreamRejectedRequest(
        status=max(int(status), int(HTTPStatus.BAD_REQUEST)),
        body=failure.body,
        details=details,
    )


def _soonest(failures: Sequence[Failure]) -> int | None:
    """Return the shortest wait that a provider named, where it is short enough."""
    waits = [each.retry_after_s for each in failures if each.retry_after_s is not None]
    soonest = min(waits, default=None)
    return soonest if soonest is not None and soonest <= RETRY_AFTER_MAX_S else None
