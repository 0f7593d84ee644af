"""What is no HTTP request is refused like one: in OpenAI's shape, with a request id."""

import json
import re

import pytest

from tests.support.raw_http import exchange
from tests.support.router import Router

NOT_HTTP = [
    b"hello\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nno colon\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nx: " + b"a" * 70_000,
]


@pytest.mark.parametrize("sent", NOT_HTTP)
async def test_what_is_not_http_gets_a_clear_answer(
    router: Router, sent: bytes
) -> None:
    """Even then the answer names itself, so that it can be asked about."""
    heard = await exchange(router.port, sent)

    found = re.search(rb"(?mi)^x-request-id: (req_[0-9a-f]{32})\r?$", heard.head)
    error = json.loads(heard.body)["error"]
    assert heard.head.startswith(b"HTTP/1.1 400 ")
    assert found is not None
    assert error["request_id"] == found.group(1).decode()
    assert error["code"] == "invalid-http"
    assert error["type"] == "invalid_request_error"
