"""The public paths, and which dialect is spoken at each of them.

    POST  /v1/chat/completions                  openai-chat
    POST  /v1/responses                         openai-responses
    POST  /v1/responses/input_tokens            openai-responses, counts only
    POST  /v1/messages                          anthropic-messages
    POST  /v1/messages/count_tokens             anthropic-messages, counts only
    POST  /v1/route/explain                     any of them; see `explain`
    GET   /v1/models, /v1/models/{id}           by the headers; see `models`

What begins with `/anthropic` is the same in Anthropic's dialect, for clients that keep
two providers apart by their base URLs.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote

from smart_llmrouter.core.errors import InvalidRequest
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.edge.exchange import Fields
from smart_llmrouter.edge.heads import split_target
from smart_llmrouter.ledger.journal_events import Surface as Part

INFERENCE_PATHS: Final[Mapping[str, DialectName]] = {
    "/v1/chat/completions": "openai-chat",
    "/v1/responses": "openai-responses",
    "/v1/messages": "anthropic-messages",
    "/anthropic/v1/messages": "anthropic-messages",
}
COUNTING_PATHS: Final[Mapping[str, DialectName]] = {
    "/v1/responses/input_tokens": "openai-responses",
    "/v1/messages/count_tokens": "anthropic-messages",
    "/anthropic/v1/messages/count_tokens": "anthropic-messages",
}
_MODELS: Final = "/v1/models"
_PARTS: Final[Mapping[str, Part]] = {
    **dict.fromkeys(INFERENCE_PATHS, "inference"),
    **dict.fromkeys(COUNTING_PATHS, "counting"),
    "/v1/route/explain": "explain",
    "/v1/models": "models",
    "/anthropic/v1/models": "models",
    "/v1/codex/models.json": "models",
    "/v1/usage": "usage",
    "/metrics": "metrics",
}
"""What is served where somebody must have a token."""
_OPENAI_ONLY: Final = ("/v1/chat/", "/v1/responses")
_ANTHROPIC: Final = "/anthropic"

_BETA: Final = b"anthropic-beta"
_MOST_VERSION_BYTES: Final = 64
_MOST_DIGITS: Final = 4
_MOST_RETRIES: Final = 1000
_MOST_BETA_BYTES: Final = 8192
_PRINTABLE: Final = re.compile(rb"[\x20-\x7e]+")
Headers = Mapping[bytes, bytes]


class Surface(NamedTuple):
    """In which dialect something was asked for, and whether Codex asks."""

    dialect: DialectName
    codex: bool


def surface_of(target: bytes, headers: Headers) -> Surface:
    """Say to whom an answer is written, also where nothing is served.

    Whoever sends `anthropic-version` reads Anthropic's dialect, whatever the path.
    """
    path = (split_target(target) or (b"", b""))[0].decode("latin-1")
    if speaks_anthropic(path, headers):
        return Surface("anthropic-messages", codex=False)
    if path.startswith("/v1/responses"):
        codex = path == "/v1/responses" and is_codex(headers)
        return Surface("openai-responses", codex=codex)
    return Surface("openai-chat", codex=False)


def speaks_anthropic(path: str, headers: Headers) -> bool:
    """Say whether the caller expects Anthropic's shapes at a path.

    The path decides where it can, and else the header that only these clients send.
    """
    if path.startswith((f"{_ANTHROPIC}/", "/v1/messages", "/v1/v1/messages")):
        return True
    return b"anthropic-version" in headers and not path.startswith(_OPENAI_ONLY)


def is_codex(headers: Headers) -> bool:
    """Say whether it is Codex that asks: it names itself in `originator`."""
    return headers.get(b"originator", b"").lower().startswith(b"codex")


def retry_count(value: bytes) -> int:
    """Read how often the SDK of a caller has asked this before; nonsense is never."""
    if not value.isdigit():
        return 0
    return min(int(value[:_MOST_DIGITS]), _MOST_RETRIES)


def anthropic_version(headers: Headers) -> str | None:
    """Return the version of its API that a caller speaks. Raises `InvalidRequest`."""
    value = headers.get(b"anthropic-version")
    return _printable("anthropic-version", value, most_bytes=_MOST_VERSION_BYTES)


def anthropic_beta(headers: Headers, fields: Fields) -> str | None:
    """Return the features that a caller asks for. Raises `InvalidRequest`.

    A list may come in several fields (RFC 9110, 5.3); `headers` has the last of them.
    """
    value = headers.get(_BETA)
    if value and len(fields) != len(headers):
        value = b",".join(each for name, each in fields if name == _BETA)
    return _printable("anthropic-beta", value, most_bytes=_MOST_BETA_BYTES)


def _printable(name: str, value: bytes | None, *, most_bytes: int) -> str | None:
    """Return a header that goes out again as it came, if it is safe to send."""
    if not value:
        return None
    if len(value) > most_bytes or _PRINTABLE.fullmatch(value) is None:
        raise InvalidRequest(
            f"the header `{name}` must be printable ASCII, {most_bytes} bytes at most",
            details={"field": name},
        )
    return value.decode("ascii")


def templated(target: bytes) -> tuple[Part, str]:
    """Say which part of the router a target asks for, and the path but for names in it.

    Both are of a closed set: nothing of what is not served is repeated.
    """
    path = unquote((split_target(target) or (b"", b""))[0].decode("latin-1"))
    part = _PARTS.get(path)
    if part is not None:
        return part, path
    for models in (_MODELS, f"{_ANTHROPIC}{_MODELS}"):
        if path.startswith(f"{models}/"):
            return "models", f"{models}/:name"
    return "other", "other"


def remedy_for(path: str) -> str:
    """Say what is wrong with a path that is not served, where that is clear."""
    for base in ("", _ANTHROPIC):
        doubled = f"{base}/v1"
        if path.startswith(f"{doubled}/v1/"):
            return (
                f"it has /v1 twice: the client adds /v1 itself, so take it away from "
                f"the end of its base URL and keep `{base or '/'}`"
            )
    if _is_served(f"/v1{path}"):
        return "it lacks /v1: add it to the end of the client's base URL"
    return ""


def _is_served(path: str) -> bool:
    return path in INFERENCE_PATHS or path in COUNTING_PATHS or path == _MODELS
