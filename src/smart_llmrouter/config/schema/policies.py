"""Settings of the strategies that decide by more than the order of the targets."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from smart_llmrouter.config.schema.connections import FilePath
from smart_llmrouter.config.schema.kinds import (
    Bytes,
    Flag,
    Seconds,
    Section,
    Share,
    Whole,
)

Milliseconds = Annotated[Whole, Field(ge=1, le=5000)]
OnError = Literal["fail_closed", "fallback"]


class ScoreWeights(Section):
    """How much each observation counts; what is 0 is not looked at."""

    latency: Share = Field(
        default=0.3, description="Of how long whole answers take, the 95th percentile."
    )
    first_token: Share = Field(
        default=0.2, description="Of how long the first meaningful event takes."
    )
    throughput: Share = Field(
        default=0.1, description="Of the output tokens a second once it has begun."
    )
    reliability: Share = Field(
        default=0.4, description="Of the attempts that failed or took too long."
    )
    price: Share = Field(default=0.0, description="Of what the call would cost.")
    quality: Share = Field(
        default=0.0, description="Of the `quality` that the model has in the file."
    )


class Dynamic(Section):
    """How the strategy `dynamic` scores targets."""

    window_s: Seconds = Field(
        default=600.0, description="How far back observations count."
    )
    min_observations: Whole = Field(
        default=20,
        ge=1,
        le=10_000,
        description=(
            "How many attempts a target is known by. Until each target has as many,"
            " `weight` decides."
        ),
    )
    explore: Share = Field(
        default=0.05,
        description=(
            "Share of the calls that go to a target other than the best, so that one"
            " that has recovered is found out."
        ),
    )
    max_adjustment: Share = Field(
        default=1.0,
        description=(
            "How far scores may move calls away from `weight`: 0 leaves it at the"
            " weights, 1 lets scores alone decide."
        ),
    )
    weights: ScoreWeights = Field(
        default_factory=ScoreWeights, description="How much each observation counts."
    )


class Rule(Section):
    """One rule: the first whose `when` holds decides."""

    when: Annotated[str, StringConstraints(min_length=1, max_length=4096)] = Field(
        default=...,
        description=(
            "A CEL expression over the request's features; `true` always holds."
        ),
    )
    use: tuple[Annotated[str, StringConstraints(max_length=192)], ...] = Field(
        default=...,
        min_length=1,
        description=(
            "Targets of the group, in the order in which they are tried; the group's"
            " others follow unless `only` is set."
        ),
    )
    only: Flag = Field(
        default=False, description="Whether no other targets of the group follow."
    )
    label: (
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")] | None
    ) = Field(default=None, description="What the record calls this decision.")


class Rules(Section):
    """How the strategy `rules` decides."""

    rules: tuple[Rule, ...] = Field(
        default=..., min_length=1, description="The rules, in their order."
    )
    on_error: OnError = Field(
        default="fail_closed",
        description=(
            "What a fault of the policy means: `502 routing-policy-error`, or the"
            " order of the file."
        ),
    )


class Script(Section):
    """How the strategy `script` decides."""

    file: FilePath = Field(
        default=...,
        description=(
            "The Python file that defines `route(ctx)`, beside the configuration file."
        ),
    )
    timeout_ms: Milliseconds = Field(
        default=50, description="How long one decision may take."
    )
    processes: Annotated[Whole, Field(ge=1, le=64)] = Field(
        default=1, description="How many decisions of a worker may run at once."
    )
    on_error: OnError = Field(
        default="fail_closed",
        description=(
            "What a fault of the script means: `502 routing-policy-error`, or the"
            " order of the file."
        ),
    )


class External(Section):
    """How the strategy `external` asks a policy service."""

    url: Annotated[str, StringConstraints(min_length=8, max_length=2048)] = Field(
        default=..., description="Where decisions are asked for, by POST."
    )
    allow_hosts: tuple[Annotated[str, StringConstraints(max_length=255)], ...] = Field(
        default=..., min_length=1, description="The hosts that may be asked, exactly."
    )
    allow_http: Flag = Field(
        default=False,
        description="Whether `http` is allowed to other hosts than this machine.",
    )
    timeout_ms: Milliseconds = Field(
        default=200, description="How long one decision may take."
    )
    max_response_bytes: Bytes = Field(
        default=65_536, description="Largest decision that is accepted."
    )
    headers: dict[str, Annotated[str, StringConstraints(max_length=4096)]] = Field(
        default_factory=dict,
        description="Headers of each question; values may hold `${ENV_NAME}`.",
    )
    include_request: Flag = Field(
        default=False,
        description=(
            "Whether the service is shown the request itself, prompts included."
        ),
    )
    on_error: OnError = Field(
        default="fail_closed",
        description=(
            "What a fault of the service means: `502 routing-policy-error`, or the"
            " order of the file."
        ),
    )


class Affinity(Section):
    """How conversations stay on the target whose prompt cache knows them."""

    enabled: Flag = Field(
        default=True, description="Whether conversations stay where they are."
    )
    ttl_s: Seconds = Field(
        default=600.0,
        description="How long after its last call a conversation is remembered.",
    )
