"""Blobs that only their maker can have made: signatures and encrypted content.

Nothing is secret here. A seal proves that a blob came back whole, and from the mock
that made it.
"""

import base64
import binascii
import hashlib
import hmac
from typing import Final, Literal

SealedKind = Literal["thinking", "redacted", "reasoning", "compaction"]
_PROOF_BYTES: Final = 16


class ForeignBlob(ValueError):
    """A blob that this mock did not make, or not for this."""


class Seal:
    """Makes blobs in the name of one mock, and knows them again."""

    def __init__(self, name: str) -> None:
        """Seal as `name`: mocks of the same name take each other's blobs."""
        self._key = name.encode()

    def closed(self, kind: SealedKind, content: str) -> str:
        """Return a blob that holds `content`."""
        payload = content.encode()
        return base64.b64encode(self._proof(kind, payload) + payload).decode()

    def opened(self, kind: SealedKind, blob: str) -> str:
        """Return the content of a blob of this mock; raise `ForeignBlob` for others."""
        try:
            sealed = base64.b64decode(blob, validate=True)
            payload = sealed[_PROOF_BYTES:]
            content = payload.decode()
        except (binascii.Error, ValueError) as error:
            raise ForeignBlob(kind) from error
        if not hmac.compare_digest(sealed[:_PROOF_BYTES], self._proof(kind, payload)):
            raise ForeignBlob(kind)
        return content

    def signature(self, thinking: str) -> str:
        """Return what proves that the mock thought `thinking`."""
        return self.closed("thinking", hashlib.sha256(thinking.encode()).hexdigest())

    def signed(self, thinking: str, signature: str) -> bool:
        """Tell whether `signature` is that of `thinking`."""
        return hmac.compare_digest(self.signature(thinking), signature)

    def _proof(self, kind: SealedKind, payload: bytes) -> bytes:
        message = kind.encode() + b"\0" + payload
        return hmac.digest(self._key, message, "sha256")[:_PROOF_BYTES]
