"""Every way in which a call can be refused or fail, as one small tree.

    RouterError
    ├── RequestFault        the request itself is wrong (4xx)
    │   ├── InvalidHttp, InvalidJson, InvalidRequest, MissingModel
    │   ├── ResponsesBodyOnChatEndpoint, UnsupportedContentType
    │   ├── RequestTooLarge, RequestTimeout, MethodNotAllowed, WebSocketNotServed
    │   ├── UnknownPath, UnknownModel, UnknownResponseId
    │   └── ProviderHostedToolsForbidden, CapabilityRejected
    ├── Refused             the caller may not (401, 403)
    │   ├── Unauthorized, ModelNotAllowed, MetricsForbidden
    │   └── KeyDisabled, KeySuspended, KeyExpired, KeyRotated
    ├── NoEligibleTarget    nobody can serve this request
    ├── UpstreamError       the providers failed
    │   ├── UpstreamFailed, UpstreamTimeout, UpstreamRateLimited
    │   ├── UpstreamQuotaExhausted, UpstreamAccessDenied, UpstreamOverloaded
    │   └── UpstreamRejectedRequest
    └── RouterFault         the router itself cannot go on
        └── InternalError, ShuttingDown, JournalUnwritable, ClientLeft

A leaf is raised where the fact is known and rendered by the dialect at the edge. Its
`code` is stable and documented; its `details` are safe to show: names and numbers
only, never a prompt, a credential or an upstream's free text.
"""

from collections.abc import Mapping
from typing import ClassVar, Final

Detail = str | int | bool | list[str] | dict[str, list[str]]
Details = Mapping[str, Detail]

_NO_DETAILS: Final[Details] = {}


class RouterError(Exception):
    """Something that the caller is told about, with a status and a stable code."""

    status: int = 500
    code: ClassVar[str] = "internal-error"
    permanent: ClassVar[bool] = False
    """Whether asking again can never help: sent as `x-should-retry: false`."""

    def __init__(
        self,
        message: str,
        *,
        details: Details = _NO_DETAILS,
        retry_after_s: int | None = None,
    ) -> None:
        """State the fact in `message`, and what is safe to know in `details`."""
        super().__init__(message)
        self.message = message
        self.details = details
        self.retry_after_s = retry_after_s


class RequestFault(RouterError):
    """The request itself is wrong: it would be refused wherever it went."""

    status = 400
    code = "invalid-request"
    permanent = True


class InvalidJson(RequestFault):
    """The body is not a JSON object."""

    code = "invalid-json"


class InvalidHttp(RequestFault):
    """What arrived is not an HTTP/1.1 request, or its head is larger than 64 KiB."""

    code = "invalid-http"


class InvalidRequest(RequestFault):
    """A field that the router itself must read has the wrong type."""

    code = "invalid-request"


class MissingModel(RequestFault):
    """The request names no model, and no `server.default_group` is configured."""

    code = "missing-model"

    def __init__(self) -> None:
        """Say which of the two can be changed."""
        super().__init__(
            "the request names no model and this router has no default group: "
            "set `model` to one of the groups that GET /v1/models lists"
        )


class ResponsesBodyOnChatEndpoint(RequestFault):
    """A body of the Responses API was sent to the Chat Completions endpoint."""

    code = "responses-body-on-chat-endpoint-disabled"

    def __init__(self, field: str) -> None:
        """Name the field that gave the body away."""
        super().__init__(
            f"the body has `{field}` and no `messages`: this is a Responses request; "
            "send Chat Completions (`messages`) to this endpoint",
            details={"field": field},
        )


class ProviderHostedToolsForbidden(RequestFault):
    """The request has a tool that a provider would run itself; the group forbids it."""

    code = "provider-hosted-tools-forbidden"

    def __init__(self, kind: str) -> None:
        """Name the kind of the tool."""
        super().__init__(
            f"this model group does not let providers run tools of the kind `{kind}`: "
            "leave the tool out, or ask the router's operator for a group that has it",
            details={"field": "tools", "tool": kind},
        )


class UnsupportedContentType(RequestFault):
    """The body is not sent as plain JSON."""

    status = 415
    code = "unsupported-content-type"


class RequestTooLarge(RequestFault):
    """The body is larger than `server.max_request_bytes`."""

    status = 413
    code = "request-too-large"

    def __init__(self, limit_bytes: int) -> None:
        """State the limit in bytes."""
        super().__init__(
            f"the request body is larger than {limit_bytes} bytes",
            details={"max_request_bytes": limit_bytes},
        )


class RequestTimeout(RequestFault):
    """The request did not arrive in `server.client_timeout_s`, or too slowly."""

    status = 408
    code = "request-timeout"
    permanent = False

    def __init__(self) -> None:
        """Say whose time was up."""
        super().__init__("the request took too long to arrive")


class MethodNotAllowed(RequestFault):
    """The path exists, but not with this method."""

    status = 405
    code = "method-not-allowed"

    def __init__(self, allowed: tuple[str, ...]) -> None:
        """Name the methods that the path takes."""
        self.allowed = allowed
        super().__init__(
            f"this path takes {' and '.join(allowed)} only",
            details={"allowed": list(allowed)},
        )


class WebSocketNotServed(RequestFault):
    """A WebSocket was asked for; the same path takes HTTP POST."""

    status = 426
    code = "websocket-not-served"

    def __init__(self) -> None:
        """Say what to do instead."""
        super().__init__(
            "no WebSocket is served here: send the request as HTTP POST to this path"
        )


class UnknownPath(RequestFault):
    """Nothing is served at this path."""

    status = 404
    code = "unknown-path"

    def __init__(self, remedy: str = "") -> None:
        """Point at what is served, or say how to get there.

        The path itself is not repeated: it may hold a secret.
        """
        super().__init__(
            f"nothing is served at this path; {remedy}"
            if remedy
            else "nothing is served at this path; the API lives under /v1, the "
            "documentation under /docs/"
        )


class UnknownModel(RequestFault):
    """`GET /v1/models/{id}` names no model that this caller may use."""

    status = 404
    code = "model-not-found"

    def __init__(self) -> None:
        """Point at the list; the name itself is the caller's free text."""
        super().__init__(
            "no such model for this token; GET /v1/models lists those that it may use"
        )


class UnknownResponseId(RequestFault):
    """`previous_response_id` is none of this caller's, or its target has gone.

    A provider keeps what it answered; nobody else can go on from there.
    """

    code = "unknown-response-id"

    def __init__(self) -> None:
        """Say what always works; the id itself is the caller's free text."""
        super().__init__(
            "no stored answer of this caller has this `previous_response_id`, or the "
            "target that keeps it is not in this group any more: send the whole "
            "conversation in `input` instead",
            details={"field": "previous_response_id"},
        )


class CapabilityRejected(RequestFault):
    """A feature of the Messages API cannot be carried; ask again without it.

    Claude Code knows the wording and does so by itself.
    """

    code = "capability-rejected"

    def __init__(self, capability: str) -> None:
        """Name the feature by its class, such as `mid_conv_system`."""
        self.capability = capability
        super().__init__(
            f"capability_rejected: {capability}", details={"capability": capability}
        )


class Refused(RouterError):
    """The caller is not who it must be, or may not do this."""

    status = 403
    code = "forbidden"
    permanent = True


class Unauthorized(Refused):
    """No token, or one that this router does not know."""

    status = 401
    code = "unauthorized"

    def __init__(self) -> None:
        """Say how a token is sent, and nothing about the one that came."""
        super().__init__(
            "a valid caller token is needed: send `Authorization: Bearer <token>` "
            "or `x-api-key: <token>`"
        )


class _KeyInactive(Refused):
    """The token is known, but it may not be used now."""

    remedy: ClassVar[str]

    def __init__(self, token_id: str) -> None:
        """Name the token by its public id."""
        super().__init__(
            f"the key {token_id} {self.remedy}", details={"token_id": token_id}
        )


class KeyDisabled(_KeyInactive):
    """The token's entry has the status `disabled`."""

    code = "key-disabled"
    remedy = "is disabled; ask the router's operator to enable it"


class KeySuspended(_KeyInactive):
    """The token's entry has the status `suspended`."""

    code = "key-suspended"
    remedy = "is suspended; ask the router's operator why"


class KeyExpired(_KeyInactive):
    """The token's date has passed, or its entry has the status `expired`."""

    code = "key-expired"
    remedy = "has expired; ask the router's operator for a new one"


class KeyRotated(_KeyInactive):
    """The token was replaced by a newer one."""

    code = "key-rotated"
    remedy = "was replaced by a newer key; use that one"


class ModelNotAllowed(Refused):
    """The model is not one that this caller may use, or does not exist."""

    code = "model-not-allowed"

    def __init__(self) -> None:
        """Point at the list; the name itself is the caller's free text."""
        super().__init__(
            "this token may not use the requested model; GET /v1/models lists "
            "those that it may use"
        )


class MetricsForbidden(Refused):
    """`/metrics` is for callers with `metrics_admin: true`."""

    code = "metrics-forbidden"

    def __init__(self) -> None:
        """Name the setting that opens it."""
        super().__init__("/metrics is for callers with `metrics_admin: true`")


OTHER_DIALECT: Final = "dialect"
"""The requirement that a target of another dialect misses where `bridges` is `off`."""
NOT_BRIDGED: Final = "not-bridged"
"""What it misses where it cannot say what was asked for, which follows a colon."""
NOT_LOSSLESS: Final = "not-lossless"
"""What it misses where `bridges` is `lossless`, and a field would be dropped."""

_HINTS: Final = {
    NOT_BRIDGED: (
        "leave out what the other dialect cannot say, or add a target to the group "
        "that speaks the dialect of the request"
    ),
    OTHER_DIALECT: (
        "add a target to the group that speaks the dialect of the request, or let "
        "others serve it (`bridges`)"
    ),
    NOT_LOSSLESS: (
        "leave out what the other dialect cannot say, or let the group drop hints "
        "(`bridges: best-effort`)"
    ),
}


def _hint(missing: Mapping[str, list[str]]) -> str:
    """Say what would help where all targets miss the same, and else in general."""
    reasons = {why.partition(":")[0] for each in missing.values() for why in each}
    only = reasons.pop() if len(reasons) == 1 else ""
    return _HINTS.get(only, "add a target to the group that has what is missing")


class NoEligibleTarget(RouterError):
    """No target of the group can carry this request; none was called."""

    status = 502
    code = "no-eligible-target"
    permanent = True

    def __init__(
        self, *, group: str, dialect: str, missing: Mapping[str, list[str]]
    ) -> None:
        """Name, target by target, the requirements that it misses."""
        told = "; ".join(f"{label}: {', '.join(why)}" for label, why in missing.items())
        super().__init__(
            f"no target of group {group} can serve this {dialect} request ({told})",
            details={
                "model": group,
                "dialect": dialect,
                "requirements": sorted(
                    {why for each in missing.values() for why in each}
                ),
                "targets": dict(missing),
                "hint": _hint(missing),
            },
        )


class UpstreamError(RouterError):
    """Every target that was tried failed; `details` hold the class of the failure.

    `event` is the event in which the provider itself said so, behind a stream that had
    begun: the caller is sent it as it came.
    """

    event: bytes = b""

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
        self, *, status: int, body: bytes, details: Details = _NO_DETAILS
    ) -> None:
        """Keep the provider's answer for the dialect to render."""
        super().__init__("the provider rejected the request", details=details)
        self.status = status
        self.body = body


class RouterFault(RouterError):
    """The router itself cannot go on with this call."""


class InternalError(RouterFault):
    """A defect of the router; the traceback is in its log under the request id."""

    def __init__(self) -> None:
        """Say nothing but whose fault it is."""
        super().__init__("the router failed; its log has the reason")


class ShuttingDown(RouterFault):
    """The router stopped before this call could end."""

    status = 503
    code = "shutting-down"

    def __init__(self) -> None:
        """Invite to try again."""
        super().__init__(
            "the router is shutting down; send the request again", retry_after_s=1
        )


class JournalUnwritable(RouterFault):
    """The call could not be written down, so its answer is withheld."""

    status = 503
    code = "journal-unwritable"

    def __init__(self) -> None:
        """Name the part that `/readyz` shows."""
        super().__init__(
            "the router cannot write its usage journal and answers nothing that it "
            "cannot record; /readyz shows the state of the journal"
        )


class ClientLeft(RouterFault):
    """The caller closed its connection before the answer ended; only recorded."""

    status = 499
    code = "client-left"

    def __init__(self) -> None:
        """Carry no more than the fact."""
        super().__init__("the caller closed its connection")
