"""What a model of the mock is told not to be able to do: refused, or not heeded."""

from collections.abc import Collection
from dataclasses import replace
from typing import Final

import msgspec

from smart_llmrouter.mockprovider.asked import Asked
from smart_llmrouter.mockprovider.dialect import Refused
from smart_llmrouter.mockprovider.script import Lack

_FORCING: Final = frozenset({"required", "any", "tool", "function", "custom"})
_NO_EFFORT: Final = frozenset({None, "none"})


class _Choice(msgspec.Struct):
    """The one field of a request that says whether a tool must be called."""

    tool_choice: msgspec.Raw = msgspec.Raw(b"null")


class _Kind(msgspec.Struct):
    type: str | None = None


_decode_choice: Final = msgspec.json.Decoder(_Choice).decode
_decode_kind: Final = msgspec.json.Decoder(str | _Kind | None).decode


def check(asked: Asked, body: bytes, lacks: Collection[Lack]) -> None:
    """Refuse what is asked, in `body`, of a model that lacks it."""
    for lack, is_asked in (
        ("tools", bool(asked.tools)),
        ("forced-choice", _is_forced(body)),
        ("structured-output", asked.structured),
        ("images", bool(asked.images)),
        ("image-urls", any(each.size_bytes is None for each in asked.images)),
        ("reasoning", asked.thinks or asked.effort not in _NO_EFFORT),
    ):
        if lack in lacks and is_asked:
            raise Refused(f"This model does not support {lack.replace('-', ' ')}.")


def heeded(asked: Asked, lacks: Collection[Lack]) -> Asked:
    """Return what is left of what is asked: the rest is not refused, but ignored."""
    if "parallel-tools" in lacks:
        asked = replace(asked, parallel=False)
    if "output-cap" in lacks:
        asked = replace(asked, max_tokens=None)
    return asked


def _is_forced(body: bytes) -> bool:
    choice = _decode_kind(_decode_choice(body).tool_choice)
    kind = choice.type if isinstance(choice, _Kind) else choice
    return kind in _FORCING
