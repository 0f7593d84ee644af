"""Under which key an answer is kept: a keyed hash, in which nothing can be read."""

import hashlib
from collections.abc import Iterator
from typing import Final

import msgspec

from smart_llmrouter.cache.requests import LEFT_OUT
from smart_llmrouter.config.snapshot import Target
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.wire.jsonobject import RawMembers
from smart_llmrouter.wire.rawvalues import NULL

Key = bytes

_FORM: Final = b"1"
"""To be raised with any change of what is hashed or kept."""
_KEY_BYTES: Final = 24
_IDENTITY_BYTES: Final = 16


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
    head = (
        _FORM,
        question.caller_id.encode(),
        question.group.encode(),
        question.dialect.encode(),
        b"stream" if question.stream else b"plain",
        *(b"" if each is None else each.encode() for each in question.said),
    )
    parts = (*head, *_canonical(question.members, question.dialect))
    text = b"".join([b"%d:%b" % (len(each), each) for each in parts])
    return hashlib.blake2b(text, digest_size=_KEY_BYTES, key=salt).digest()


def _canonical(members: RawMembers, dialect: DialectName) -> Iterator[bytes]:
    """Yield the names and the values of those fields on which the answer depends."""
    left_out = LEFT_OUT[dialect]
    for name in sorted(members):
        raw = members[name]
        # Whether it is a stream is in the key by itself: `false` may be left out.
        if name != "stream" and name not in left_out and raw != NULL:
            yield name.encode("utf-8", "surrogatepass")
            yield bytes(raw)


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
