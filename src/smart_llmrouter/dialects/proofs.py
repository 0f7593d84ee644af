"""Proofs of reasoning as they pass: found in bytes, never read.

A provider hands a proof out with its reasoning, and takes it back from nobody but who
got it from there: a signature in Messages, an encrypted content in Responses. Which
target gave one is remembered by a digest, so that the conversation goes on there, and
that another target, should it have to take over, is not shown what it would refuse.
"""

import hashlib
import re
from collections.abc import Callable
from typing import Final

import msgspec

from smart_llmrouter.dialects.sealed import SEAL

_DIGEST_BYTES: Final = 16
_SEALED: Final = SEAL.encode()

IsForeign = Callable[[bytes], bool]
"""Says of a proof, by its digest, whether another target is known to have given it."""


class ProofMark:
    """How a proof stands in a dialect's JSON: as the value of the member `name`."""

    __slots__ = ("_find_all", "_match", "_name")

    def __init__(self, name: str) -> None:
        """Look for members called `name`; inside of a text their quotes are escaped."""
        self._name = f'"{name}"'.encode()
        pattern = re.compile(re.escape(self._name) + rb'\s*:\s*"([^"\\]+)"')
        self._match = pattern.match
        self._find_all = pattern.findall

    def all_in(self, block: bytes) -> list[bytes]:
        """Return the digest of each proof in what a provider sent."""
        if block.find(self._name) < 0:
            return []
        return [_digest(proof) for proof in self._find_all(block)]

    def last_in(self, conversation: msgspec.Raw | None) -> bytes | None:
        """Return the digest of the last proof in what a caller sent, if there is one.

        What a router sealed is none: it says itself who made it.
        """
        if conversation is None:
            return None
        text = bytes(conversation)
        place = text.rfind(self._name)
        found = self._match(text, place) if place >= 0 else None
        if found is None or found[1].startswith(_SEALED):
            return None
        return _digest(found[1])

    def foreign_in(
        self, conversation: msgspec.Raw, is_foreign: IsForeign
    ) -> frozenset[bytes]:
        """Return the proofs in what a caller sent that others gave, as they stand."""
        text = bytes(conversation)
        if text.find(self._name) < 0:
            return frozenset()
        given = frozenset(self._find_all(text))
        return frozenset(proof for proof in given if is_foreign(_digest(proof)))


def _digest(proof: bytes) -> bytes:
    return hashlib.blake2b(proof, digest_size=_DIGEST_BYTES).digest()
