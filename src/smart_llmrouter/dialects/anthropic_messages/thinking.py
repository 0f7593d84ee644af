"""Thinking in a conversation that a real provider would refuse.

A thinking block proves itself with a signature, which only its maker can give. Where a
provider of another dialect thought, the caller holds a block with a state that this
router sealed, or with an empty signature or none. Sent to a provider of Messages, each
is an error for the whole request, so such blocks are taken out. Nothing else is
touched: a conversation without them passes as it is, after a search of its bytes.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from smart_llmrouter.dialects.sealed import SEAL
from smart_llmrouter.wire.jsonobject import NotAnObject, parse_members, render_members
from smart_llmrouter.wire.rawvalues import UNREADABLE
from smart_llmrouter.wire.surrogates import without_half_pairs

_SIGNATURE: Final = b'"signature"'
_SEALED: Final = f'"{SEAL}'.encode()
_THINKING: Final = b'"thinking"'
_REDACTED: Final = b'"redacted_thinking"'
_ANY_THINKING: Final = b'thinking"'
_KINDS: Final = (_THINKING, _REDACTED)
_SEAL: Final = re.escape(SEAL).encode()
_decode_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _Proofs(NamedTuple):
    """What counts as a proof: how one that is none looks behind its name, and one."""

    is_none: Callable[[bytes, int], re.Match[bytes] | None]
    is_one: Callable[[bytes], re.Match[bytes] | None]


_MAKERS: Final = _Proofs(
    re.compile(rb'"signature"\s*:\s*(?:""|null|"' + _SEAL + rb")").match,
    re.compile(rb'\s*"(?!"|' + _SEAL + rb")", re.DOTALL).match,
)
_MAKERS_AND_SEALED: Final = _Proofs(
    re.compile(rb'"signature"\s*:\s*(?:""|null)').match,
    re.compile(rb'\s*"(?!")', re.DOTALL).match,
)


def own_thinking_only(
    messages: msgspec.Raw, *, keep_seals: bool = False
) -> msgspec.Raw:
    """Return `messages` without thinking that is unsigned or was sealed here.

    With `keep_seals` only what is unsigned goes.
    """
    return _with(messages, _MAKERS_AND_SEALED if keep_seals else _MAKERS)


def without_thinking(
    messages: msgspec.Raw, signatures: frozenset[bytes]
) -> msgspec.Raw:
    """Return `messages` without thinking that one of `signatures` is of."""
    none = b'"(?:' + b"|".join(map(re.escape, sorted(signatures))) + b')"'
    return _with(
        messages,
        _Proofs(
            re.compile(rb'"signature"\s*:\s*' + none).match,
            re.compile(rb"\s*(?!" + none + rb')"', re.DOTALL).match,
        ),
    )


def _with(messages: msgspec.Raw, proofs: _Proofs) -> msgspec.Raw:
    text = bytes(messages)
    if not _is_suspect(text, proofs):
        return messages
    items = items_of(text)
    kept = [_cleaned(item, proofs) for item in items]
    if kept == items:
        return messages
    return msgspec.Raw(b"[" + b",".join(filter(None, kept)) + b"]")


def _is_suspect(text: bytes, proofs: _Proofs) -> bool:
    """Say whether some thinking may have to go; most conversations have none at all."""
    if text.find(_ANY_THINKING) < 0:
        return False
    signatures, place = 0, text.find(_SIGNATURE)
    while place >= 0:
        if proofs.is_none(text, place):
            return True
        signatures += 1
        place = text.find(_SIGNATURE, place + len(_SIGNATURE))
    # A thinking block says the word twice, as its type and as the name of its text.
    if text.count(_THINKING) > 2 * signatures:
        return True
    sealed_goes = proofs is _MAKERS
    return sealed_goes and text.find(_REDACTED) >= 0 and text.find(_SEALED) >= 0


def _cleaned(message: bytes, proofs: _Proofs) -> bytes:
    """Return a message without the blocks that must go, nothing if none is left."""
    if not _is_suspect(message, proofs):
        return message
    try:
        members = parse_members(message)
    except NotAnObject:
        return message
    content = members.get("content")
    blocks = [] if content is None else items_of(bytes(content))
    kept = [block for block in blocks if not _must_go(block, proofs)]
    if len(kept) == len(blocks):
        return message
    if not kept:
        return b""
    members["content"] = msgspec.Raw(b"[" + b",".join(kept) + b"]")
    return render_members(members)


def _must_go(block: bytes, proofs: _Proofs) -> bool:
    try:
        members = parse_members(block)
    except NotAnObject:
        return False
    if bytes(members.get("type", b"")) not in _KINDS:
        return False
    proof = members.get("signature", members.get("data", msgspec.Raw(b"null")))
    return proofs.is_one(bytes(proof)) is None


def items_of(text: bytes) -> list[bytes]:
    """Return the items of a JSON array, byte for byte; none for anything else."""
    try:
        return [bytes(item) for item in _decode_items(text)]
    except msgspec.ValidationError:
        return []
    except UNREADABLE:
        return _items_around_half_pairs(text)


def _items_around_half_pairs(text: bytes) -> list[bytes]:
    """Find the items in a copy that can be decoded and has the same length."""
    mended = without_half_pairs(text)
    try:
        items: Sequence[msgspec.Raw] = _decode_items(mended)
    except UNREADABLE:
        return []
    # Between two items are but spaces and a comma: the next find is the item itself.
    places = [0]
    for item in items:
        places.append(mended.find(bytes(item), places[-1]) + len(item))
    return [
        text[end - len(item) : end] for item, end in zip(items, places[1:], strict=True)
    ]
