"""Every way in which a call can be refused or fail, as one small tree.

    RouterError
    ├── RequestFault        the request itself is wrong (4xx)
    │   ├── InvalidHttp, InvalidJson, InvalidRequest, MissingModel
    │   ├── ResponsesBodyOnChatEndpoint, UnsupportedContentType
    │   ├── RequestTooLarge, RequestTimeout, MethodNotAllowed, WebSocketNotServed
    │   ├── UnknownPath, UnknownModel, UnknownResponseId
    │   ├── ProviderHostedToolsForbidden, CapabilityRejected
    │   └── ImageUrlForbidden, ImageNotFetched
    ├── Refused             the caller may not (401, 403)
    │   ├── Unauthorized, ModelNotAllowed, MetricsForbidden
    │   ├── TooManyAuthFailures
    │   └── KeyDisabled, KeySuspended, KeyExpired, KeyRotated
    ├── LimitExceeded       a limit or a budget refuses it (429, 403)
    │   ├── RpmExceeded, TpmExceeded, ConcurrencyExceeded, TrafficShaped
    │   └── QuotaExhausted, KeyExhausted
    ├── NoEligibleTarget    nobody can serve this request
    ├── RoutingPolicyError  the operator's policy has not said who shall serve it
    ├── UpstreamError       the providers failed
    │   ├── UpstreamFailed, UpstreamTimeout, UpstreamRateLimited
    │   ├── UpstreamQuotaExhausted, UpstreamAccessDenied, UpstreamOverloaded
    │   └── UpstreamCapacityThrottled, UpstreamRejectedRequest
    └── RouterFault         the router itself cannot go on
        ├── InternalError, ShuttingDown, JournalUnwritable, ClientLeft
        └── CountersAway, TooManyConnections, UsageUnavailable

A leaf is raised where the fact is known and rendered by the dialect at the edge. Its
`code` is stable and documented; its `details` are safe to show: names and numbers
only, never a prompt, a credential or an upstream's free text.
"""

from smart_llmrouter.core.errors.callers import (
    KeyDisabled,
    KeyExpired,
    KeyRotated,
    KeySuspended,
    MetricsForbidden,
    ModelNotAllowed,
    Refused,
    TooManyAuthFailures,
    Unauthorized,
)
from smart_llmrouter.core.errors.faults import (
    AGAIN_AFTER_S,
    ClientLeft,
    CountersAway,
    InternalError,
    JournalUnwritable,
    RouterFault,
    ShuttingDown,
    TooManyConnections,
    UsageUnavailable,
)
from smart_llmrouter.core.errors.limits import (
    ConcurrencyExceeded,
    KeyExhausted,
    LimitExceeded,
    QuotaExhausted,
    RpmExceeded,
    TpmExceeded,
    TrafficShaped,
)
from smart_llmrouter.core.errors.requests import (
    CapabilityRejected,
    ImageNotFetched,
    ImageUrlForbidden,
    InvalidHttp,
    InvalidJson,
    InvalidRequest,
    MethodNotAllowed,
    MissingModel,
    ProviderHostedToolsForbidden,
    RequestFault,
    RequestTimeout,
    RequestTooLarge,
    ResponsesBodyOnChatEndpoint,
    UnknownModel,
    UnknownPath,
    UnknownResponseId,
    UnsupportedContentType,
    WebSocketNotServed,
)
from smart_llmrouter.core.errors.root import (
    Detail,
    Details,
    RouterError,
)
from smart_llmrouter.core.errors.targets import (
    NOT_BRIDGED,
    NOT_LOSSLESS,
    NoEligibleTarget,
    RoutingPolicyError,
)
from smart_llmrouter.core.errors.upstreams import (
    RETRY_AFTER_MAX_S,
    UpstreamAccessDenied,
    UpstreamCapacityThrottled,
    UpstreamError,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamQuotaExhausted,
    UpstreamRateLimited,
    UpstreamRejectedRequest,
    UpstreamTimeout,
)

__all__ = [
    "AGAIN_AFTER_S",
    "NOT_BRIDGED",
    "NOT_LOSSLESS",
    "RETRY_AFTER_MAX_S",
    "CapabilityRejected",
    "ClientLeft",
    "ConcurrencyExceeded",
    "CountersAway",
    "Detail",
    "Details",
    "ImageNotFetched",
    "ImageUrlForbidden",
    "InternalError",
    "InvalidHttp",
    "InvalidJson",
    "InvalidRequest",
    "JournalUnwritable",
    "KeyDisabled",
    "KeyExhausted",
    "KeyExpired",
    "KeyRotated",
    "KeySuspended",
    "LimitExceeded",
    "MethodNotAllowed",
    "MetricsForbidden",
    "MissingModel",
    "ModelNotAllowed",
    "NoEligibleTarget",
    "ProviderHostedToolsForbidden",
    "QuotaExhausted",
    "Refused",
    "RequestFault",
    "RequestTimeout",
    "RequestTooLarge",
    "ResponsesBodyOnChatEndpoint",
    "RouterError",
    "RouterFault",
    "RoutingPolicyError",
    "RpmExceeded",
    "ShuttingDown",
    "TooManyAuthFailures",
    "TooManyConnections",
    "TpmExceeded",
    "TrafficShaped",
    "Unauthorized",
    "UnknownModel",
    "UnknownPath",
    "UnknownResponseId",
    "UnsupportedContentType",
    "UpstreamAccessDenied",
    "UpstreamCapacityThrottled",
    "UpstreamError",
    "UpstreamFailed",
    "UpstreamOverloaded",
    "UpstreamQuotaExhausted",
    "UpstreamRateLimited",
    "UpstreamRejectedRequest",
    "UpstreamTimeout",
    "UsageUnavailable",
    "WebSocketNotServed",
]
