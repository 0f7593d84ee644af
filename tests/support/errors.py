"""One of each error that there is."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from smart_llmrouter.core import errors
from smart_llmrouter.core.decisions import PolicyRun
from smart_llmrouter.core.errors import RouterError

_MADE: Final[Mapping[str, Callable[[], RouterError]]] = {
    "ResponsesBodyOnChatEndpoint": lambda: errors.ResponsesBodyOnChatEndpoint("input"),
    "RequestTooLarge": lambda: errors.RequestTooLarge(7),
    "MethodNotAllowed": lambda: errors.MethodNotAllowed(("GET", "HEAD")),
    "NoEligibleTarget": lambda: errors.NoEligibleTarget(
        group="g", dialect="openai-chat", missing={"a/b": ["dialect"]}
    ),
    "RoutingPolicyError": lambda: errors.RoutingPolicyError(
        group="g",
        run=PolicyRun(kind="script", outcome="failed", duration_us=7, error="timeout"),
    ),
    "CapabilityRejected": lambda: errors.CapabilityRejected("mid_conv_system"),
    "ImageNotFetched": lambda: errors.ImageNotFetched("messages", "too-large"),
    "ImageUrlForbidden": lambda: errors.ImageUrlForbidden("messages"),
    "ProviderHostedToolsForbidden": lambda: errors.ProviderHostedToolsForbidden("mcp"),
    "TooManyAuthFailures": lambda: errors.TooManyAuthFailures(7.5),
    "UpstreamCapacityThrottled": lambda: errors.UpstreamCapacityThrottled(
        target_count=2, wait_s=7.5
    ),
    "UpstreamRejectedRequest": lambda: errors.UpstreamRejectedRequest(
        status=422, body=b"no"
    ),
}


def leaves(kind: type[RouterError] = RouterError) -> Iterator[type[RouterError]]:
    """Walk the tree down to the errors that are raised."""
    below = kind.__subclasses__()
    for each in below:
        yield from leaves(each)
    if not below:
        yield kind


def made(kind: type[RouterError]) -> RouterError:
    """Make an error of this kind."""
    if kind.__name__ in _MADE:
        return _MADE[kind.__name__]()
    if issubclass(kind, errors.LimitExceeded):
        return kind("no", scope="caller:a", limit="rpm", value="1", left="0", wait_s=7)
    parameters = inspect.signature(kind).parameters
    if "message" in parameters:
        return kind("something happened")
    if "token_id" in parameters:
        return kind("rtr_a")
    return kind()  # type: ignore[call-arg]  # most leaves write their own message


LEAVES: Final = sorted(leaves(), key=lambda kind: kind.__name__)
