"""The headers that tell a caller how its limits stand, as the SDKs of its dialect do.

Every answer to a call that has a limit of a minute says `x-ratelimit-*`, as OpenAI
does; on Messages also `anthropic-ratelimit-*`. Of several limits it is the one of which
the least is left. Resets are told as OpenAI does, in seconds (`7.250s`), and as
Anthropic does, as a time.
"""

import math
from datetime import UTC, datetime
from typing import Final

from smart_llmrouter.admission.verdicts import Lease, Warned, Window
from smart_llmrouter.core.errors import LimitExceeded
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.engine.client import HeaderLines

WARNING: Final = "x-router-budget-warning"
_MESSAGES: Final = "anthropic-messages"
_REQUESTS: Final = b"requests"
_TOKENS: Final = b"tokens"
_OPENAI: Final = {
    kind: b"x-ratelimit-limit-%b: %%d\r\n"
    b"x-ratelimit-remaining-%b: %%d\r\n"
    b"x-ratelimit-reset-%b: %%.3fs\r\n" % (kind, kind, kind)
    for kind in (_REQUESTS, _TOKENS)
}
_OPENAI_BOTH: Final = _OPENAI[_REQUESTS] + _OPENAI[_TOKENS]
_ANTHROPIC: Final = (
    b"anthropic-ratelimit-%b-limit: %d\r\n"
    b"anthropic-ratelimit-%b-remaining: %d\r\n"
    b"anthropic-ratelimit-%b-reset: %b\r\n"
)
_OF_A_MINUTE: Final = {"rpm": _REQUESTS, "tpm": _TOKENS}
_PERCENT: Final = 100


def granted_lines(lease: Lease, dialect: DialectName, now_s: float) -> HeaderLines:
    """Return the headers of a call that was granted; `now_s` is since 1970 UTC."""
    requests, tokens = lease.requests, lease.tokens
    if requests is None:
        lines = b"" if tokens is None else _lines(_TOKENS, tokens)
    elif tokens is None:
        lines = _lines(_REQUESTS, requests)
    else:
        lines = _OPENAI_BOTH % (
            requests.limit,
            requests.left,
            requests.reset_s,
            tokens.limit,
            tokens.left,
            tokens.reset_s,
        )
    if dialect == _MESSAGES:
        lines += _for_anthropic(_REQUESTS, requests, now_s)
        lines += _for_anthropic(_TOKENS, tokens, now_s)
    if lease.warned:
        lines += b"".join(_warning(each) for each in lease.warned)
    return lines


def refused_lines(
    refused: LimitExceeded, dialect: DialectName, now_s: float
) -> HeaderLines:
    """Return the headers of a call that a limit of a minute has refused."""
    kind = _OF_A_MINUTE.get(refused.limit)
    if kind is None:
        return b""
    wait_s = refused.wait_s if math.isfinite(refused.wait_s) else 0.0
    window = Window(limit=int(refused.value), left=int(refused.left), reset_s=wait_s)
    if dialect == _MESSAGES:
        return _lines(kind, window) + _for_anthropic(kind, window, now_s)
    return _lines(kind, window)


def _lines(kind: bytes, window: Window) -> HeaderLines:
    return _OPENAI[kind] % (window.limit, window.left, window.reset_s)


def _for_anthropic(kind: bytes, window: Window | None, now_s: float) -> HeaderLines:
    if window is None:
        return b""
    at = _time(math.ceil(now_s + window.reset_s))
    return _ANTHROPIC % (kind, window.limit, kind, window.left, kind, at)


def _time(at_s: int) -> bytes:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()


def _warning(warned: Warned) -> HeaderLines:
    percent = warned.used * _PERCENT // warned.cap
    text = f"{warned.scope.kind} {warned.period}.{warned.unit} {percent}%"
    return f"{WARNING}: {text}\r\n".encode()
