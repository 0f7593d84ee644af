"""Under which key an answer is kept: a keyed hash, in which nothing can be read."""

import hashlib
from typing import Final

import msgspec

from smart_llmrouter.cache.requests import LEFT_OUT
from smart_llmrouter.config.snapshot import Target
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.wire.jsonobject import RawMembers
from smart_llmrouter.wire.rawvalues import NULL

Key = bytes

_FORM: Final = 1
"""To be raised with any change of what is hashed or kept."""
_KEY_BYTES: Final = 24
_IDENTITY_BYTES: Final = 16
# Whether it is a stream is in the key by itself: `false` may be left out.
_LEFT_OUT: Final = {name: left | {"stream"} for name, left in LEFT_OUT.items()}
_encode: Final = msgspec.json.Encoder(order="sorted").encode


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer depends on: who asks which group for what, and in which words.

    `said` is what the caller said in other headers that go to the provider.
    """

    caller_id: str
    group: str
    dialect: DialectName
    stream: bool
    members: RawMembers
    said: tuple[str | None, ...] = ()


def key_of(question: Question, salt: bytes) -> Key:
    """Return the key of what answers a question, which nobody can tell without `salt`.

    Values count as they were written, their order does not.
    """
    left_out = _LEFT_OUT[question.dialect]
    # JSON tells where each of its values ends: no two questions have the same text.
    text = _encode(
        (
            _FORM,
            question.caller_id,
            question.group,
            question.dialect,
            question.stream,
            question.said,
            {
                name: raw
                for name, raw in question.members.items()
                if name not in left_out and raw != NULL
            },
        )
    )
    return hashlib.blake2b(text, digest_size=_KEY_BYTES, key=salt).digest()


def identity_of(target: Target) -> bytes:
    """Return what tells a target from another one that may answer otherwise.

    That is neither what it costs nor the credentials that it is called with.
    """
    provider = target.provider
    headers = [each for each in provider.headers if isinstance(each[1], str)]
    facts = (
        target.label,
        provider.dialect,
        provider.base_url,
        provider.unix_socket,
        headers,
        target.model,
        target.max_output_tokens,
        target.reasoning_control,
        target.reasoning_levels,
    )
    encoded = msgspec.json.encode(facts)
    return hashlib.blake2b(encoded, digest_size=_IDENTITY_BYTES).digest()
