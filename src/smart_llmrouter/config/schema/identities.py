"""Settings of identities: users, projects, memberships, and callers (tokens)."""

import hashlib
import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from smart_llmrouter.config.credentials import has_known_shape
from smart_llmrouter.config.schema.allowances import Allowances
from smart_llmrouter.config.schema.kinds import (
    PUBLIC_LABEL_PATTERN,
    Day,
    Flag,
    Id,
    Line,
    Name,
    Section,
    refusal,
)

Status = Literal["active", "disabled", "suspended", "removed", "archived"]
_SHA256_HEX: Final = re.compile(r"[0-9a-fA-F]{64}")
_SHA256_OF_NOTHING: Final = hashlib.sha256(b"").hexdigest()


def _token_sha256(text: str) -> str:
    """Accept 64 hex digits that can be a hash; give them back in lower case."""
    remedy = "make a token with `smart-llmrouter token new`, which prints the entry"
    if has_known_shape(text):
        raise refusal(
            "this looks like the token itself, not its hash",
            f"{remedy}; treat this token as lost and do not use it",
        )
    if not _SHA256_HEX.fullmatch(text):
        raise refusal("a SHA-256 hash of 64 hex digits is expected", remedy)
    digest = text.lower()
    if len(set(digest)) == 1 or digest == _SHA256_OF_NOTHING:
        raise refusal("this hash is a placeholder", remedy)
    return digest


def _token_id(text: str) -> str:
    if has_known_shape(text):
        raise refusal(
            "this looks like a whole token, not its public id",
            "remove the last part (`_` and 64 hex digits), and make a new token",
        )
    if not re.match(PUBLIC_LABEL_PATTERN, text):
        raise refusal(
            "a public token id is expected",
            "write the token without its secret part, such as rtr_alice_search_dev_k1",
        )
    return text


class User(Allowances):
    """Somebody, or a service, that owns tokens."""

    id: Id = Field(default=..., description="The id that other settings name.")
    name: Line | None = Field(default=None, description="A name for people.")
    status: Status = Field(
        default="active", description="Only an active user's tokens may be active."
    )


class Project(Allowances):
    """What tokens are used for."""

    id: Id = Field(default=..., description="The id that other settings name.")
    name: Line | None = Field(default=None, description="A name for people.")
    status: Status = Field(
        default="active", description="Only an active project's tokens may be active."
    )
    environments: dict[Id, Allowances] = Field(
        default_factory=dict,
        description="Limits, budgets and shaping of single environments.",
    )


class Membership(Section):
    """A user's part in a project."""

    user: Id = Field(default=..., description="The id of the user.")
    project: Id = Field(default=..., description="The id of the project.")
    role: Id = Field(
        default="developer",
        description="What the user does there, such as `developer` or `owner`.",
    )
    status: Status = Field(
        default="active",
        description="Only an active membership's tokens may be active.",
    )


class Caller(Allowances):
    """One token: whose it is, and what it may use."""

    id: Id = Field(default=..., description="The id in reports and records.")
    owner_user: Id = Field(
        default=..., description="The id of the user who owns the token."
    )
    project: Id = Field(
        default=..., description="The id of the project it is used for."
    )
    environment: Id = Field(
        default=..., description="Where it is used, such as `dev` or `prod`."
    )
    status: Literal[
        "active", "disabled", "suspended", "expired", "rotated", "removed", "archived"
    ] = Field(
        default="active",
        description=(
            "`disabled`, `suspended`, `expired` and `rotated` tokens are answered with"
            " a 403 that says so; `removed` and `archived` ones with 401."
        ),
    )
    expires_at: Day | None = Field(
        default=None,
        description="The first day (UTC) on which the token no longer works.",
    )
    token_id: Annotated[str, AfterValidator(_token_id)] | None = Field(
        default=None,
        description="The public part of the token, for reports; the id if not given.",
    )
    token_sha256: Annotated[str, AfterValidator(_token_sha256)] = Field(
        default=..., description="The SHA-256 hash of the whole token, 64 hex digits."
    )
    allow: tuple[Name, ...] = Field(
        default=(),
        description="The groups that the token may use; their aliases included.",
    )
    metrics_admin: Flag = Field(
        default=False, description="Whether it may read `/metrics`."
    )
