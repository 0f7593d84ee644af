"""The whole configuration file."""

from typing import Annotated

from pydantic import Field

from smart_llmrouter.config.schema.groups import Group
from smart_llmrouter.config.schema.identities import Caller, Membership, Project, User
from smart_llmrouter.config.schema.kinds import (
    Flag,
    Id,
    Name,
    NotBuilt,
    SecondsOrNone,
    Section,
    Whole,
)
from smart_llmrouter.config.schema.providers import Provider
from smart_llmrouter.config.schema.server import (
    Diagnostics,
    Server,
    State,
    Upstream,
)


class Cache(Section):
    """Which answers may be served again."""

    enabled: Flag = Field(default=False, description="Whether answers are kept.")
    max_bytes: Whole = Field(
        default=134_217_728,
        ge=0,
        le=2**40,
        description="Most memory for answers, in bytes.",
    )
    ttl_s: SecondsOrNone = Field(
        default=900.0, description="How long an answer may be served."
    )


class Settings(Section):
    """The settings of one router.

    Everything is optional except one provider, one group and one caller (with the
    user, the project and the membership that an active caller needs).
    """

    server: Server = Field(default_factory=Server, description="The public surface.")
    state: State = Field(
        default_factory=State, description="Where durable state lives."
    )
    upstream: Upstream = Field(
        default_factory=Upstream,
        description="Defaults for calls to all providers.",
    )
    diagnostics: Diagnostics = Field(
        default_factory=Diagnostics,
        description="What is written down of how calls were decided.",
    )
    providers: dict[Id, Provider] = Field(
        default=..., min_length=1, description="The endpoints that serve, by id."
    )
    groups: dict[Name, Group] = Field(
        default=...,
        min_length=1,
        description="What callers name as `model`, by the group's name.",
    )
    users: tuple[User, ...] = Field(default=(), description="Who owns tokens.")
    projects: tuple[Project, ...] = Field(
        default=(), description="What tokens are for."
    )
    project_memberships: tuple[Membership, ...] = Field(
        default=(), description="Who takes part in which project."
    )
    callers: tuple[Caller, ...] = Field(
        default=..., min_length=1, description="One entry a token."
    )
    cache: Annotated[Cache | None, NotBuilt("the response cache")] = Field(
        default=None, description="Which answers may be served again."
    )
