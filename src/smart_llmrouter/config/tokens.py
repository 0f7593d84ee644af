"""New tokens: what is shown once, and what the configuration file keeps of it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

from smart_llmrouter.config.document import Document, Plain
from smart_llmrouter.config.outline import outline
from smart_llmrouter.core.clock import RandomBytes
from smart_llmrouter.core.identity import token_digest
from smart_llmrouter.core.secrets import Secret

_SECRET_BYTES: Final = 32
_NUMBERED_KEY: Final = re.compile(r"k([1-9][0-9]{0,8})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Whose token it is, and where it is used."""

    user: str
    project: str
    environment: str

    @property
    def prefix(self) -> str:
        """Return what the token ids of this holder begin with."""
        return f"rtr_{self.user}_{self.project}_{self.environment}_"


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """A token that was just made. `token_id` is its public part."""

    token: Secret
    token_id: str
    token_sha256: str


def issue(holder: Holder, key: str, *, random_bytes: RandomBytes) -> IssuedToken:
    """Make a token of 256 random bits."""
    token_id = f"{holder.prefix}{key}"
    token = f"{token_id}_{random_bytes(_SECRET_BYTES).hex()}"
    return IssuedToken(
        token=Secret(token, source=token_id),
        token_id=token_id,
        token_sha256=token_digest(token.encode()).hex(),
    )


def next_key(holder: Holder, document: Document | None) -> str:
    """Return `k1`, or the key after the holder's highest in the document."""
    used = [
        int(match[1])
        for token_id in _texts(document, "token_id")
        if token_id.startswith(holder.prefix)
        and (match := _NUMBERED_KEY.fullmatch(token_id.removeprefix(holder.prefix)))
    ]
    return f"k{max(used, default=0) + 1}"


def free_caller_id(holder: Holder, key: str, document: Document | None) -> str:
    """Return `user-project-environment`, with the key where that is taken."""
    plain = f"{holder.user}-{holder.project}-{holder.environment}"
    return f"{plain}-{key}" if plain in set(_texts(document, "id")) else plain


def caller_entry(
    caller_id: str,
    holder: Holder,
    issued: IssuedToken,
    *,
    allow: Iterable[str],
    expires_at: date | None,
) -> dict[str, Plain]:
    """Return the entry of `callers` for a token; the token itself is not in it."""
    expiry: dict[str, Plain] = (
        {} if expires_at is None else {"expires_at": expires_at.isoformat()}
    )
    return {
        "id": caller_id,
        "owner_user": holder.user,
        "project": holder.project,
        "environment": holder.environment,
        "status": "active",
        **expiry,
        "token_id": issued.token_id,
        "token_sha256": issued.token_sha256,
        "allow": list(allow),
    }


def _texts(document: Document | None, key: str) -> list[str]:
    """Return what the callers of a document have under a key."""
    if document is None:
        return []
    return [
        caller.texts[key] for caller in outline(document).callers if key in caller.texts
    ]
