"""Settings of model groups: the names that callers send, and who serves them."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from smart_llmrouter.config.schema.allowances import Allowances, Flow
from smart_llmrouter.config.schema.kinds import (
    Count,
    Flag,
    Name,
    NotBuilt,
    Seconds,
    Section,
    Share,
    Whole,
)
from smart_llmrouter.config.schema.policies import (
    Affinity,
    Dynamic,
    External,
    Rules,
    Script,
)
from smart_llmrouter.config.schema.providers import Modality, Tool
from smart_llmrouter.core.request import DialectName


class Target(Section):
    """One model of a provider as a group uses it."""

    use: Annotated[str, StringConstraints(min_length=3, max_length=192)] = Field(
        default=..., description="`provider/model`, by the keys under `providers`."
    )
    weight: Whole = Field(
        default=1,
        ge=0,
        le=1_000_000,
        description=(
            "Share of the calls among the targets, for the strategies `weighted` and"
            " `dynamic`; a target of weight 0 is only tried after all others."
        ),
    )
    only_with_tools: Flag = Field(
        default=False, description="Whether only requests with tools may come here."
    )
    on_disconnect: Literal["cancel", "drain"] = Field(
        default="cancel",
        description=(
            "When the caller leaves: `cancel` the call, or `drain` it (read on, within"
            " bounds, for the true usage)."
        ),
    )
    shaping: Flow | None = Field(
        default=None,
        description="How evenly this group calls the target, beside other shaping.",
    )


class Thresholds(Section):
    """What a target must keep to stay in the plan."""

    max_error_rate: Share | None = Field(
        default=None, description="Share of failed calls."
    )
    max_timeout_rate: Share | None = Field(
        default=None, description="Share of calls that took too long."
    )
    max_p95_latency_ms: Count | None = Field(
        default=None,
        description="Latency that 95 of 100 calls stay below, in milliseconds.",
    )


class Required(Section):
    """What each target of a group must be able to do."""

    dialects: tuple[DialectName, ...] = Field(
        default=(), description="What it must serve, itself or by a bridge."
    )
    input: tuple[Modality, ...] = Field(default=(), description="What it must read.")
    tools: tuple[Tool, ...] = Field(
        default=(), description="Tool calls that it must make."
    )
    structured_outputs: Flag = Field(
        default=False, description="Whether it must keep to a JSON schema."
    )
    reasoning: Flag = Field(default=False, description="Whether it must reason.")
    honors_output_cap: Flag = Field(
        default=False, description="Whether it must keep to the output cap."
    )
    min_context_tokens: Count | None = Field(
        default=None, description="Context that it must have, in tokens."
    )


class Quality(Section):
    """Which outcome gate each target must have passed."""

    gate: Annotated[str, StringConstraints(min_length=1, max_length=1024)] = Field(
        default=..., description="The gate's file, beside the configuration file."
    )
    max_age_days: Whole = Field(
        default=30, ge=1, le=3650, description="How old a passed run may be."
    )


class Contract(Section):
    """What a group promises; targets that do not keep it are not eligible."""

    required: Required | None = Field(
        default=None, description="What each target must be able to do."
    )
    quality: Annotated[Quality | None, NotBuilt("outcome gates")] = Field(
        default=None, description="Which outcome gate each target must have passed."
    )


class Group(Allowances):
    """One model group."""

    strategy: Literal[
        "static", "failover", "weighted", "dynamic", "rules", "script", "external"
    ] = Field(
        default="failover",
        description=(
            "How the order of the targets is found. `static`: the one target;"
            " `failover`: as listed, each later one when those before it failed;"
            " `weighted`: by chance, after their weights; `dynamic`: by what was"
            " observed of them; `rules`, `script` and `external`: by a policy of"
            " yours, in the section of the same name."
        ),
    )
    aliases: tuple[Name, ...] = Field(
        default=(),
        description=(
            "Other names that callers may send. They are listed by `/v1/models` and"
            " allowed through their group."
        ),
    )
    targets: tuple[Target, ...] = Field(
        default=..., min_length=1, description="The models that may serve the group."
    )
    bridges: Literal["off", "lossless", "best-effort"] = Field(
        default="best-effort",
        description=(
            "`off`: targets of the client's dialect only; `lossless`: others too, if"
            " nothing is dropped; `best-effort`: hints may be dropped, with a note."
            " What changes the meaning is never dropped."
        ),
    )
    hosted_tools: Literal["forward", "drop", "refuse"] = Field(
        default="drop",
        description=(
            "What happens to tools that a provider would run itself. `forward`: they"
            " go to targets that have them; `drop`: web search and image generation"
            " are left out with a note where a target does not have them, and others"
            " are refused; `refuse`: all of them are refused."
        ),
    )
    prefer_native: Flag = Field(
        default=True,
        description="Eligible targets of the client's dialect before bridged ones.",
    )
    attempt_timeout_s: Seconds | None = Field(
        default=None,
        description=(
            "This group's `upstream.first_event_timeout_s`; it never cuts a stream"
            " that has begun."
        ),
    )
    max_attempts: Whole = Field(
        default=3,
        ge=1,
        le=20,
        description="Most attempts of one call, on all targets together.",
    )
    same_target_retries: Whole = Field(
        default=1,
        ge=0,
        le=5,
        description=(
            "How often a target that failed in passing is asked again when no other"
            " one is left."
        ),
    )
    affinity: Affinity = Field(
        default_factory=Affinity,
        description="How conversations stay on one target.",
    )
    dynamic: Dynamic | None = Field(
        default=None, description="How the strategy `dynamic` scores targets."
    )
    rules: Rules | None = Field(
        default=None, description="How the strategy `rules` decides."
    )
    script: Script | None = Field(
        default=None, description="How the strategy `script` decides."
    )
    external: External | None = Field(
        default=None, description="How the strategy `external` decides."
    )
    thresholds: Thresholds | None = Field(
        default=None, description="What a target must keep to stay in the plan."
    )
    contract: Contract | None = Field(
        default=None,
        description=(
            "What the group promises; targets that do not keep it are not eligible."
        ),
    )
    per_caller: Allowances | None = Field(
        default=None, description="What each single caller may use of this group."
    )
