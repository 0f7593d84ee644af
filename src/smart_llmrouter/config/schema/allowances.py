"""How much somebody may use: limits, budgets and shaping, the same shape everywhere."""

from typing import Annotated, Literal
from zoneinfo import ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

from smart_llmrouter.config.schema.kinds import (
    Count,
    Rate,
    Section,
    Usd,
    Whole,
    refusal,
)
from smart_llmrouter.config.timezones import timezone


def _timezone(name: str) -> str:
    try:
        timezone(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise refusal(
            "this time zone is not known here",
            "write a name of the tz database, such as UTC or Europe/Berlin",
        ) from None
    return name


Timezone = Annotated[str, AfterValidator(_timezone)]


class Limits(Section):
    """What may be in use within a minute, or at the same time; 0 means no limit."""

    rpm: Count | None = Field(default=None, description="Requests in a rolling minute.")
    tpm: Count | None = Field(
        default=None,
        description="Tokens in a rolling minute: estimated input, reserved output.",
    )
    concurrent: Count | None = Field(default=None, description="Calls in flight.")


class Budget(Section):
    """What may be used within one period."""

    requests: Count | None = Field(default=None, description="Calls in the period.")
    tokens: Count | None = Field(default=None, description="Tokens in the period.")
    usd: Usd | None = Field(default=None, description="US dollars in the period.")


class Budgets(Section):
    """What may be used in a day, a month, and for ever; 0 means no limit."""

    day: Budget | None = Field(
        default=None, description="What a calendar day may cost."
    )
    month: Budget | None = Field(
        default=None, description="What a calendar month may cost."
    )
    lifetime: Budget | None = Field(
        default=None, description="What may be used in all."
    )
    timezone: Timezone = Field(
        default="UTC", description="Where a day and a month begin."
    )
    warn_at_percent: Whole = Field(
        default=80,
        ge=1,
        le=100,
        description="Share of a budget at which a warning is given.",
    )
    on_overrun: Literal["finish", "cut"] = Field(
        default="finish",
        description=(
            "What becomes of a stream that outgrows what was reserved for it when one"
            " of these budgets is used up: it may finish, or ends with an error."
        ),
    )


class Flow(Section):
    """How evenly calls must come: buckets that fill at a steady rate."""

    requests_per_second: Rate | None = Field(
        default=None, description="Calls that may start each second; 0 means no limit."
    )
    burst: Count | None = Field(
        default=None, description="Calls that may start at once after a quiet time."
    )
    input_tokens_per_second: Rate | None = Field(
        default=None,
        description="Estimated input tokens each second; 0 means no limit.",
    )


class Queue(Section):
    """How calls wait when they come too fast."""

    max_wait_ms: Whole = Field(
        default=0, ge=0, le=600_000, description="Longest wait of a call; 0 means none."
    )
    max_depth: Whole = Field(
        default=0, ge=0, le=100_000, description="Calls that may wait at the same time."
    )
    weight: Whole = Field(
        default=1, ge=1, le=1000, description="Share of the turns among those who wait."
    )


class Shaping(Flow):
    """How evenly calls must come, and how they wait."""

    queue: Queue | None = Field(
        default=None, description="How calls wait for their turn."
    )


class Allowances(Section):
    """Limits, budgets and shaping of one holder."""

    limits: Limits | None = Field(
        default=None, description="Most in a minute, and at the same time."
    )
    budgets: Budgets | None = Field(
        default=None, description="Most in a day, a month, and for ever."
    )
    shaping: Shaping | None = Field(
        default=None, description="How evenly calls must come."
    )
