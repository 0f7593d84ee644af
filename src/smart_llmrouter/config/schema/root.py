"""The whole configuration file."""

from typing import Annotated, Literal

from pydantic import Field

from smart_llmrouter.config.schema.groups import Group
from smart_llmrouter.config.schema.identities import Caller, Membership, Project, User
from smart_llmrouter.config.schema.kinds import (
    Flag,
    Id,
    Name,
    Seconds,
    Section,
    Whole,
)
from smart_llmrouter.config.schema.providers import Provider
from smart_llmrouter.config.schema.reports import Reports
from smart_llmrouter.config.schema.retention import Retention
from smart_llmrouter.config.schema.server import (
    Diagnostics,
    Server,
    State,
    Upstream,
)


class Cache(Section):
    """Which answers may be served again."""

    enabled: Flag = Field(
        default=False,
        description=(
            "Whether answers are kept, and served again to the caller that had them,"
            " for requests with `temperature: 0` or a `seed`."
        ),
    )
    store: Literal["memory", "shared"] = Field(
        default="memory",
        description=(
            "Where: in the memory of each process, or in the store of `state.counters`"
            " for all that share it. There they can be read by all who may read it."
        ),
    )
    max_bytes: Annotated[Whole, Field(ge=1024, le=2**40)] = Field(
        default=134_217_728,
        description="Most memory for answers, in bytes: of each process, or the store.",
    )
    max_entry_bytes: Annotated[Whole, Field(ge=1024, le=2**28)] = Field(
        default=1_048_576, description="The largest answer that is kept, in bytes."
    )
    ttl_s: Seconds = Field(
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
    retention: Retention = Field(
        default_factory=Retention,
        description="How long what is on record is kept; without keys, for ever.",
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
    reports: Reports = Field(
        default_factory=Reports, description="How reports tell of usage."
    )
    cache: Cache = Field(
        default_factory=Cache, description="Which answers may be served again."
    )
