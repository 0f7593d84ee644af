"""The SDKs of OpenAI and Anthropic do all that they can, whatever the provider speaks.

One program for each SDK and surface tells in a line of JSON what each feature gave. All
of it is compared, and all nine pairs of dialects give the same.
"""

import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.scene import DIALECTS, Scene

# Interpreters start slowly where much else is running.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

SetScene = Callable[..., Scene]

PROGRAMS: Final = Path(__file__).parent / "programs"
SURFACES: Final = {
    "openai-chat": "openai_chat",
    "openai-responses": "openai_responses",
    "anthropic-messages": "anthropic_messages",
}
LANGUAGES: Final = {"python": ".py", "node": ".mjs"}
_REQUEST: Final = re.compile(r" \(request req_[0-9a-f]{32}\)$")

# How each surface says that a text ended by itself, with a call of a tool, at the cap.
ENDED: Final = {
    "openai-chat": ("stop", "tool_calls", "length"),
    "openai-responses": ("completed", "completed", "max_output_tokens"),
    "anthropic-messages": ("end_turn", "tool_use", "max_tokens"),
}
CITY: Final = {"kind": "city", "name": "Example", "population": 1}
USAGE: Final = {"fresh": 176, "cached": 1024, "output": 7}
TWENTY_WORDS: Final = (
    "the router carries every call from one end to the other "
    "and keeps a record of it while a mock"
)
IMAGE: Final = "1 image: image/png, 70 bytes."
THOUGHTS: Final = ["First I look at it.", "Then I say it."]

NO_TOKEN: Final = (
    "a valid caller token is needed: "
    "send `Authorization: Bearer <token>` or `x-api-key: <token>`"
)
NOT_ALLOWED: Final = (
    "this token may not use the requested model; "
    "GET /v1/models lists those that it may use"
)
NO_MODEL: Final = (
    "no such model for this token; GET /v1/models lists those that it may use"
)
REJECTED: Final = "The request is not valid."
LIMITED: Final = "the providers limit the router's rate"
_OPENAI_CODES: Final = (
    *("unauthorized", "model-not-allowed", "model-not-found"),
    *("upstream-rejected-request", "upstream-rate-limited"),
)
ERROR_CODES: Final[Mapping[str, Sequence[str]]] = {
    "openai-chat": _OPENAI_CODES,
    "openai-responses": _OPENAI_CODES,
    "anthropic-messages": (
        *("authentication_error", "permission_error", "not_found_error"),
        *("invalid_request_error", "overloaded_error"),
    ),
}
UNAVAILABLE: Final = {
    "openai-chat": "InternalServerError",
    "openai-responses": "InternalServerError",
    "anthropic-messages": "ServiceUnavailableError",
}
# What becomes of a failure after the first event. Responses makes an event of it.
LATE: Final = {
    "openai-chat": ("APIError", None, "upstream-failed"),
    "openai-responses": ("response.failed", None, "server_error"),
    "anthropic-messages": ("APIStatusError", 200, "api_error"),
}
LATE_IN_NODE: Final = {**LATE, "anthropic-messages": ("APIError", None, "api_error")}


@pytest.mark.parametrize("upstream", DIALECTS)
@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_an_sdk_does_everything_over_every_pair_of_dialects(
    set_scene: SetScene, *, language: str, surface: str, upstream: str
) -> None:
    """Texts, tools, images, structures, thoughts, counts and errors are all there."""
    scene = set_scene(upstream)

    found = told(scene, SURFACES[surface], language)

    expected = common(surface, upstream) | OWN[surface](upstream)
    expected["errors"] = errors(language, surface, upstream)
    assert found == expected


def told(scene: Scene, program: str, language: str) -> dict[str, Any]:
    """Run a program; return what each feature gave."""
    shutil.copy(PROGRAMS / "tasks.json", scene.work)
    code = (PROGRAMS / program).with_suffix(LANGUAGES[language]).read_text()
    ended = scene.script(code, language=language)
    assert ended.code == 0, ended
    found: dict[str, Any] = dict(map(json.loads, ended.stdout.splitlines()))
    for error in found["errors"].values():
        error[3] = _REQUEST.sub("", error[3])
    return found


def common(surface: str, upstream: str) -> dict[str, Any]:
    """Return what all surfaces have, each in its words."""
    end, called, cap = ENDED[surface]
    text = {
        "text": "Bonjour le monde",
        "stop": end,
        "usage": USAGE,
        # The bytes of a provider that speaks the same dialect are left alone.
        "model": "mock-mini" if surface == upstream else "chat",
    }
    tool = {
        "first": {"text": "Adding.", "stop": called},
        "calls": [["add", {"a": 2, "b": 40}]],
        "second": {"text": "1 results, 0 errors, last 42", "stop": end},
    }
    return {
        "text": text,
        "streamed_text": text,
        "capped": {"text": TWENTY_WORDS, "stop": cap},
        "tool": tool,
        "streamed_tool": tool,
        "parallel": {
            "calls": [["add", {"a": 1, "b": 2}], ["add", {"a": 3, "b": 4}]],
            "second": {"text": "2 results, 0 errors, last 7", "stop": end},
        },
        "image": {"text": IMAGE, "stop": end},
        "structured": CITY,
        "streamed_structured": CITY,
        "models": ["chat"],
    }


def _chat(upstream: str) -> dict[str, Any]:
    # Responses tells thoughts to those only who ask for a summary, which Chat cannot.
    shown = upstream != "openai-responses"
    return {
        "reasoning": {
            "thoughts": THOUGHTS if shown else [None, None],
            "tokens": True,
            "second": {"text": "It is 11", "stop": "stop"},
            "third": {"text": "Still here", "stop": "stop"},
        }
    }


def _responses(upstream: str) -> dict[str, Any]:
    own = upstream == "openai-responses"
    return {
        "tool_image": {"text": IMAGE, "stop": "completed"},
        "reasoning": {
            "thoughts": THOUGHTS,
            "tokens": True,
            "second": {"text": "It is 11", "stop": "completed"},
            "third": {"text": "Still here", "stop": "completed"},
        },
        "count": {"tokens": 14 if own else 85, "estimate": not own},
    }


def _messages(upstream: str) -> dict[str, Any]:
    own = upstream == "anthropic-messages"
    return {
        "tool_image": {"text": IMAGE, "stop": "end_turn"},
        "reasoning": {
            "thoughts": ["", ""] if upstream == "openai-responses" else THOUGHTS,
            "second": {"text": "It is 11", "stop": "end_turn"},
            "third": {"text": "Still here", "stop": "end_turn"},
        },
        "count": {"tokens": 14 if own else 86, "estimate": not own},
    }


OWN: Final = {
    "openai-chat": _chat,
    "openai-responses": _responses,
    "anthropic-messages": _messages,
}


def errors(language: str, surface: str, upstream: str) -> dict[str, Any]:
    """Return what an SDK raises: its class, the status, a code, the message, a wait."""
    rejected: str | None
    token, model, missing, rejected, limited = ERROR_CODES[surface]
    late = LATE[surface] if language == "python" else LATE_IN_NODE[surface]
    if "anthropic-messages" not in (surface, upstream):
        rejected = None  # as OpenAI has it
    failed = "the provider reported an error in its stream"
    if surface == upstream == "openai-responses":
        failed = "The server had an error while processing your request."
    return {
        "token": ["AuthenticationError", 401, token, NO_TOKEN, None],
        "model": ["PermissionDeniedError", 403, model, NOT_ALLOWED, None],
        "missing": ["NotFoundError", 404, missing, NO_MODEL, None],
        "rejected": ["BadRequestError", 400, rejected, REJECTED, None],
        "limited": [UNAVAILABLE[surface], 503, limited, LIMITED, "7"],
        "failing": [*late, failed, None],
        "cut": [*late, "the provider broke the stream off", None],
    }
