"""The request itself is wrong."""

from smart_llmrouter.core.errors.root import RouterError


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


class ImageUrlForbidden(RequestFault):
    """An image or another file is at an address that is not public; see the settings.

    The URL itself is never repeated.
    """

    code = "image-url-forbidden"

    def __init__(self, field: str) -> None:
        """Name the field that it stands in, and what can be done."""
        super().__init__(
            f"`{field}` names an image or a file by a URL that leads, or may lead, to "
            "an address that is not public: send its data, or ask the router's "
            "operator to allow such URLs (`upstream.allow_private_image_urls`)",
            details={"field": field},
        )


class ImageNotFetched(RequestFault):
    """An image could not be fetched for a target that takes only the data of images.

    The URL itself is never repeated.
    """

    code = "image-not-fetched"

    def __init__(self, field: str, reason: str) -> None:
        """Name the field that it stands in; the `reason` is a stable word."""
        super().__init__(
            f"an image that `{field}` names by its URL could not be fetched "
            f"({reason}): send its data instead",
            details={"field": field, "reason": reason},
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
