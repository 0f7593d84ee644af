"""Who calls: from the headers of a request to a `Caller`.

A token is hashed before anything else touches it. All that is ever looked up or
compared is a digest of 32 bytes.
"""

import hmac
from collections.abc import Mapping
from typing import Final

from smart_llmrouter.core.clock import WallClock
from smart_llmrouter.core.errors import (
    KeyDisabled,
    KeyExpired,
    KeyRotated,
    KeySuspended,
    RouterError,
    Unauthorized,
)
from smart_llmrouter.core.identity import DIGEST_BYTES, Caller, token_digest

_S_PER_DAY: Final = 86_400
_EPOCH_ORDINAL: Final = 719_163  # date(1970, 1, 1).toordinal()
_BEARER: Final = b"bearer "
_ERROR_OF_STATUS: Final = {
    "disabled": KeyDisabled,
    "suspended": KeySuspended,
    "expired": KeyExpired,
    "rotated": KeyRotated,
}
_LONGEST_TOKEN: Final = 1024
"""Of what is longer not even a hash is made: a header may have 64 KiB."""
_NOBODY: Final = (bytes(DIGEST_BYTES), None)


class Authenticator:
    """Find the caller whose token a request carries."""

    def __init__(
        self, callers: Mapping[bytes, Caller], *, wall_clock: WallClock
    ) -> None:
        """Know `callers` by the digest of their token."""
        self._callers = {digest: (digest, caller) for digest, caller in callers.items()}
        self._wall_clock = wall_clock

    def caller_of(self, token: bytes | None) -> Caller | None:
        """Return the caller of a token, whatever its status; `None` if it is nobody's.

        That takes one hash and one look-up.
        """
        if not token or len(token) > _LONGEST_TOKEN:
            return None
        digest = token_digest(token)
        # A dictionary compares hashes first, which leaks nothing of use: who knows how
        # two digests differ would still have to invert SHA-256. The compare makes the
        # decision itself constant in time.
        known, caller = self._callers.get(digest, _NOBODY)
        return caller if hmac.compare_digest(known, digest) else None

    def refusal_of(self, caller: Caller) -> RouterError | None:
        """Return why this caller may not call now; `None` when it may."""
        if caller.status != "active":
            kind = _ERROR_OF_STATUS.get(caller.status)
            return Unauthorized() if kind is None else kind(caller.token_id)
        expires = caller.expires_on
        if expires is None:
            return None
        today = int(self._wall_clock() // _S_PER_DAY) + _EPOCH_ORDINAL
        return KeyExpired(caller.token_id) if today >= expires.toordinal() else None


def token_of(authorization: bytes | None, api_key: bytes | None) -> bytes | None:
    """Take the token out of the two headers that may carry it; a bearer goes first."""
    if authorization is not None and authorization[:7].lower() == _BEARER:
        return authorization[7:].strip()
    return api_key.strip() if api_key is not None else None
