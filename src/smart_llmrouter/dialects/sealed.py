"""A provider's reasoning state, carried by a caller that speaks another dialect.

The caller keeps it for the next turn in the field that its own dialect has for such
things (a signature, an encrypted content) and sends it back unseen. What is in it says
which target made it: nobody else may be sent it.

It is not secret, and not signed: whoever changes it changes what they themselves have
said that a model thought, which they can do without it.
"""

import base64
import binascii
from typing import Final

import msgspec

from smart_llmrouter.core.content import ReasoningState, StateKind

SEAL: Final = "srt1."
"""What each sealed state begins with; no provider's own state does."""


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    minted_by: str
    kind: StateKind
    value: str
    item_id: str | None = None
    text: str = ""


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Sealed).decode


def seal(state: ReasoningState, *, label: str, text: str = "") -> str:
    """Seal a state that the target `label` made.

    `text` is the reasoning that it proves, where the caller's dialect may not give that
    back as it was.
    """
    sealed = _Sealed(label, state.kind, state.value, state.item_id, text)
    return SEAL + base64.urlsafe_b64encode(_encode(sealed)).decode().rstrip("=")


def unseal(text: str) -> tuple[ReasoningState, str] | None:
    """Return the state and its text, or nothing for what was not sealed here."""
    if not text.startswith(SEAL):
        return None
    body = text[len(SEAL) :]
    try:
        sealed = _decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        return None
    state = ReasoningState(
        kind=sealed.kind,
        value=sealed.value,
        minted_by=sealed.minted_by,
        item_id=sealed.item_id,
    )
    return state, sealed.text
