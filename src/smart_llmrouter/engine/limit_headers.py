"""The headers that tell a caller how its limits stand, as the SDKs of its dialect do.

Every answer to a call that has a limit of a minute says `x-ratelimit-*`, as OpenAI
does; on Messages also `anthropic-ratelimit-*`. Of several limits it is the one of which
the least is left. Resets are told as OpenAI does, in seconds (`7.250s`), and as
Anthropic does, as a time.
"""

import math
from datetime import UTC, datetime
from typing import Final

from smart_llmrouter.admission.verdicts import Lease, Warned
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
    b"x-ratelimit-reset-%b: %%bs\r\n" % (kind, kind, kind)
    for kind in (_REQUESTS, _TOKENS)
}
_OPENAI_BOTH: Final = _OPENAI[_REQUESTS] + _OPENAI[_TOKENS]
_ANTHROPIC: Final = {
    kind: b"anthropic-ratelimit-%b-limit: %%d\r\n"
    b"anthropic-ratelimit-%b-remaining: %%d\r\n"
    b"anthropic-ratelimit-%b-reset: %%b\r\n" % (kind, kind, kind)
    for kind in (_REQUESTS, _TOKENS)
}
_OF_A_MINUTE: Final = {"rpm": _REQUESTS, "tpm": _TOKENS}
_PERCENT: Final = 100


def granted_lines(lease: Lease, dialect: DialectName, now_s: float) -> HeaderLines:
    """Return the headers of a call that was granted; `now_s` is since 1970 UTC."""
    rpm, tpm, reset = lease.rpm, lease.tpm, b"%.3f" % lease.reset_s
    if rpm is not None and tpm is not None:
        left = lease.requests_left, lease.tokens_left
        lines = _OPENAI_BOTH % (rpm, left[0], reset, tpm, left[1], reset)
    elif rpm is not None:
        lines = _OPENAI[_REQUESTS] % (rpm, lease.requests_left, reset)
    elif tpm is not None:
        lines = _OPENAI[_TOKENS] % (tpm, lease.tokens_left, reset)
    else:
        lines = b""
    if dialect == _MESSAGES:
        lines += _for_anthropic(lease, now_s)
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
    limit, left = int(refused.value), int(refused.left)
    lines = _OPENAI[kind] % (limit, left, b"%.3f" % wait_s)
    if dialect == _MESSAGES:
        lines += _ANTHROPIC[kind] % (limit, left, _time(now_s + wait_s))
    return lines


def _for_anthropic(lease: Lease, now_s: float) -> HeaderLines:
    reset, lines = _time(now_s + lease.reset_s), b""
    if lease.rpm is not None:
        lines = _ANTHROPIC[_REQUESTS] % (lease.rpm, lease.requests_left, reset)
    if lease.tpm is not None:
        lines += _ANTHROPIC[_TOKENS] % (lease.tpm, lease.tokens_left, reset)
    return lines


def _time(at_s: float) -> bytes:
    at = datetime.fromtimestamp(math.ceil(at_s), UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ").encode()


def _warning(warned: Warned) -> HeaderLines:
    percent = warned.used * _PERCENT // warned.cap
    text = f"{warned.scope.kind} {warned.period}.{warned.unit} {percent}%"
    return f"{WARNING}: {text}\r\n".encode()
