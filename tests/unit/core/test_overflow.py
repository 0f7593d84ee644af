"""How providers say that a request is longer than the context."""

import json

import pytest

from smart_llmrouter.core.errors import UpstreamRejectedRequest
from smart_llmrouter.core.overflow import Overflow, overflow_in
from smart_llmrouter.dialects.registry import DIALECTS

SAID = [
    pytest.param(
        {
            "error": {
                "message": "This model's maximum context length is 8,192 tokens. "
                "However, your messages resulted in 9,000 tokens.",
                "code": "context_length_exceeded",
            }
        },
        (9000, 8192),
        id="Chat",
    ),
    pytest.param(
        {
            "object": "error",
            "message": "This model's maximum context length is 4096 tokens. However, "
            "you requested 5000 tokens (4900 in the messages, 100 in the completion).",
            "type": "BadRequestError",
            "code": 400,
        },
        (5000, 4096),
        id="error-not-in-an-object",
    ),
    pytest.param(
        {
            "error": {
                "code": 400,
                "message": "the request exceeds the available context size",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 9000,
                "n_ctx": 8192,
            }
        },
        (9000, 8192),
        id="numbers-beside-the-message",
    ),
    pytest.param(
        {
            "error": {
                "code": 400,
                "message": "The input token count (1200000) exceeds the maximum number "
                "of tokens allowed (1048576).",
                "status": "INVALID_ARGUMENT",
            }
        },
        (1200000, 1048576),
        id="token-count",
    ),
    pytest.param(
        {
            "error": "This model's maximum prompt length is 131072 but the request "
            "contains 537812 tokens."
        },
        (537812, 131072),
        id="prompt-length",
    ),
    pytest.param(
        {
            "error": {
                "message": "Your input exceeds the context window of this model.",
                "code": "context_length_exceeded",
            }
        },
        None,
        id="Responses",
    ),
]
"""Rejections, and the tokens that were found and are allowed, where they say so."""


def rejection(body: object) -> UpstreamRejectedRequest:
    """Return what a provider's rejection becomes."""
    return UpstreamRejectedRequest(status=400, body=json.dumps(body).encode())


@pytest.mark.parametrize(("body", "tokens"), SAID)
def test_claude_code_learns_it_in_its_own_words(
    body: object, tokens: tuple[int, int] | None
) -> None:
    """It makes room when it reads `prompt is too long`, and not otherwise."""
    told = DIALECTS["anthropic-messages"].render_error(
        rejection(body), request_id="req_1"
    )

    message = json.loads(told)["error"]["message"]
    assert message.startswith("prompt is too long: ")
    if tokens is not None:
        assert (
            message == f"prompt is too long: {tokens[0]} tokens > {tokens[1]} maximum"
        )


@pytest.mark.parametrize(("body", "tokens"), SAID)
def test_codex_learns_it_by_its_code(
    body: object,
    tokens: tuple[int, int] | None,  # noqa: ARG001 - of the other test
) -> None:
    """It stops and makes room by `context_length_exceeded`."""
    told = DIALECTS["openai-responses"].encode_error_event(
        rejection(body), request_id="req_1"
    )

    data = json.loads(told.partition(b"data: ")[2])
    assert data["response"]["error"]["code"] == "context_length_exceeded"


def test_programs_of_chat_learn_it_by_the_code_where_the_provider_gave_none() -> None:
    """Anthropic's words have no code."""
    body = {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "prompt is too long: 210000 tokens > 200000 maximum",
        },
    }

    told = DIALECTS["openai-chat"].render_error(rejection(body), request_id="req_1")

    assert json.loads(told)["error"]["code"] == "context_length_exceeded"


def test_words_that_claude_code_knows_are_not_said_twice() -> None:
    """An error event of Anthropic's has no shape of its own any more."""
    message = "prompt is too long: 210000 tokens > 200000 maximum"

    told = DIALECTS["anthropic-messages"].render_error(
        rejection({"error": {"type": "invalid_request_error", "message": message}}),
        request_id="req_1",
    )

    assert json.loads(told)["error"]["message"] == message


def test_the_room_for_the_answer_counts_for_codex_too() -> None:
    """Anthropic refuses an input and an output cap that are too long together."""
    found = overflow_in(
        b"input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000"
    )

    assert found == Overflow()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"error":{"message":"max_tokens is too large: 99999"}}',
        b'{"error":{"message":"unknown beta context-1m-2025-08-07"}}',
        b'{"error":{"message":"context_management: Extra inputs are not permitted"}}',
    ],
)
def test_other_rejections_are_not_about_length(body: bytes) -> None:
    """An agent would throw its history away for nothing."""
    assert overflow_in(body) is None
