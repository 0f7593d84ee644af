"""The headers that go with an error."""

import pytest

from smart_llmrouter.core.errors import (
    InvalidJson,
    MethodNotAllowed,
    ModelNotAllowed,
    RouterError,
    ShuttingDown,
    Unauthorized,
    UpstreamFailed,
    UpstreamRateLimited,
)
from smart_llmrouter.engine.refusals import error_headers

ID = "req_" + "0" * 32
JSON = (b"content-type", b"application/json")
NO_RETRY = (b"x-should-retry", b"false")


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (InvalidJson("x"), [JSON, NO_RETRY]),
        (ModelNotAllowed(), [JSON, NO_RETRY]),
        (Unauthorized(), [JSON, NO_RETRY, (b"www-authenticate", b"Bearer")]),
        (
            MethodNotAllowed(("GET", "HEAD")),
            [JSON, NO_RETRY, (b"allow", b"GET, HEAD")],
        ),
        (ShuttingDown(), [JSON, (b"retry-after", b"1")]),
        (UpstreamRateLimited("x", retry_after_s=0), [JSON, (b"retry-after", b"0")]),
        (UpstreamRateLimited("x"), [JSON]),
        (
            UpstreamFailed(
                "x",
                details={"error_class": "upstream_conflict", "upstream_status": 409},
            ),
            [
                JSON,
                (b"x-router-error-class", b"upstream_conflict"),
                (b"x-upstream-status", b"409"),
            ],
        ),
        (UpstreamFailed("x"), [JSON]),
    ],
)
def test_headers_of_an_error(
    error: RouterError, headers: list[tuple[bytes, bytes]]
) -> None:
    """Each says what a client may act on, and no more."""
    assert error_headers(error, dialect="openai-chat", request_id=ID) == headers
