"""Reading a Responses request just far enough, and addressing it to a target.

All values stay as they came but `model`, and what the router itself has sealed: a
reasoning state of a provider of another dialect, which a real provider would refuse,
and a summary that stands for a compacted conversation, which it could not read. A
reasoning without a state, under an id that the router gave it, goes as well: a provider
would look for it among its own, and not find it.
"""

import re
from typing import Final

import msgspec

from smart_llmrouter.core.errors import InvalidRequest
from smart_llmrouter.dialects.base import NotBridged, Peek
from smart_llmrouter.dialects.openai_responses.compaction import summary_in
from smart_llmrouter.dialects.openai_responses.schema import (
    encode,
    text_of,
)
from smart_llmrouter.dialects.peeking import members_of, model_in, stream_in
from smart_llmrouter.dialects.sealed import SEAL
from smart_llmrouter.wire.jsonobject import (
    NotAnObject,
    parse_members,
    render_members,
)
from smart_llmrouter.wire.rawvalues import NULL, UNREADABLE

_BEGINNINGS: Final = ("input", "previous_response_id", "prompt", "conversation")
_SEALED: Final = f'"{SEAL}'.encode()
_find_own_id: Final = re.compile(rb'"rs_[0-9a-f]{32}_[0-9]+"').search
_decode_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


def peek_request(body: bytes) -> Peek:
    """Peek into the body of `POST /v1/responses`.

    Raises `InvalidJson` or `InvalidRequest`.
    """
    members = members_of(body)
    if all(members.get(name, NULL) == NULL for name in _BEGINNINGS):
        raise InvalidRequest(
            "a Responses request needs `input` (or `previous_response_id`, "
            "`conversation` or `prompt`)",
            details={"field": "input"},
        )
    return Peek(members=members, model=model_in(members), stream=stream_in(members))


def address_request(peek: Peek, *, model: bytes, keep_seals: bool = False) -> bytes:
    """Render the request for one target; `model` is its JSON-encoded model id.

    With `keep_seals` what was sealed here stays: the target knows seals, too.
    """
    members = peek.members | {"model": msgspec.Raw(model)}
    given = members.get("input")
    if given is not None and not keep_seals and _is_ours(bytes(given)):
        members["input"] = _without_sealed(given)
    return render_members(members)


def without_reasoning(peek: Peek, proofs: frozenset[bytes]) -> Peek:
    """Return the request without the reasoning items that `proofs` prove.

    Raises `NotBridged` where one of them is a conversation that was compacted: nobody
    but its maker knows what is in it.
    """
    try:
        items = _decode_items(peek.members["input"])
    except UNREADABLE:
        return peek
    kept: list[bytes] = []
    for item in map(bytes, items):
        kind = _kind_of(item) if any(proof in item for proof in proofs) else None
        if kind == "compaction":
            raise NotBridged(kind)
        if kind != "reasoning":
            kept.append(item)
    given = msgspec.Raw(b"[" + b",".join(kept) + b"]")
    return msgspec.structs.replace(peek, members=peek.members | {"input": given})


def _kind_of(item: bytes) -> str | None:
    try:
        return text_of(parse_members(item).get("type"))
    except (NotAnObject, *UNREADABLE):
        return None


def _is_ours(text: bytes) -> bool:
    """Say whether something may have to go; most requests have nothing of the kind."""
    return text.find(_SEALED) >= 0 or _find_own_id(text) is not None


def _without_sealed(given: msgspec.Raw) -> msgspec.Raw:
    """Take out what this router has sealed; all other items stay as they are."""
    try:
        items = _decode_items(given)
    except UNREADABLE:
        return given
    kept = [_as_sent(bytes(item)) for item in items]
    if all(sent is None for sent in kept):
        return given
    sent = [
        bytes(item) if changed is None else changed
        for item, changed in zip(items, kept, strict=True)
    ]
    return msgspec.Raw(b"[" + b",".join(each for each in sent if each) + b"]")


def _as_sent(item: bytes) -> bytes | None:
    """Return what stands for a sealed item, nothing if it is dropped.

    `None` leaves an item as it is.
    """
    if not _is_ours(item):
        return None
    try:
        members = parse_members(item)
        kind, value = (
            text_of(members.get("type")),
            text_of(members.get("encrypted_content")),
        )
    except (NotAnObject, *UNREADABLE):
        return None
    if kind == "reasoning":
        own = _find_own_id(bytes(members.get("id", b""))) if not value else None
        return b"" if own or (value or "").startswith(SEAL) else None
    if value is None or not value.startswith(SEAL):
        return None
    summary = summary_in(value)
    if summary is None:
        return None
    part = {"type": "input_text", "text": summary}
    return encode({"type": "message", "role": "user", "content": [part]})
