"""Who calls: one `Caller` is one token, with what it belongs to and may use."""

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

DIGEST_BYTES: Final = 32
"""How long the digest of a token is."""

CallerStatus = Literal[
    "active", "disabled", "suspended", "expired", "rotated", "removed", "archived"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One entry of `callers`: a token, its owner, and what it may use.

    `expires_on` is the first day (UTC) on which the token no longer works.
    """

    id: str
    owner_user: str
    project: str
    environment: str
    token_id: str
    status: CallerStatus
    expires_on: date | None
    allowed_groups: frozenset[str]
    metrics_admin: bool


def token_digest(token: bytes) -> bytes:
    """Return the SHA-256 digest (32 bytes) under which a token is looked up."""
    return hashlib.sha256(token).digest()
