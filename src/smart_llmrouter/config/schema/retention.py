"""How long what is on record is kept, class by class."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from smart_llmrouter.config.schema.kinds import Section, Whole, refusal

_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_MOST_DAYS: Final = 36_500
_A_MONTH: Final = 32


def minute_of(text: str) -> int:
    """Return how many minutes of its day a time such as `03:15` is after midnight."""
    hour, minute = text.split(":")
    return int(hour) * 60 + int(minute)


def _time(text: str) -> str:
    if _TIME.fullmatch(text) is None:
        raise refusal("a time of the day is expected", "write it such as '03:15'")
    return text


Days = Annotated[Whole, Field(ge=2, le=_MOST_DAYS)]
MonthAndMore = Annotated[Whole, Field(ge=_A_MONTH, le=_MOST_DAYS)]


class Retention(Section):
    """How many whole days of UTC are kept; without a key, what it is about stays.

    Nothing is removed before the roll-up that needs it is final, and nothing that a
    legal hold covers. Roll-ups of months are kept for ever: lifetime budgets need them.
    """

    usage_detail_days: Days | None = Field(
        default=None,
        description=(
            "How long the rows of single calls are kept, with all that hangs on them."
            " Roll-ups keep their sums."
        ),
    )
    usage_diagnostics_days: Days | None = Field(
        default=None,
        description=(
            "How long it is kept how calls were decided; never longer than their rows."
        ),
    )
    security_access_days: Days | None = Field(
        default=None,
        description="How long it is kept who was refused, and from where.",
    )
    rollup_hourly_days: MonthAndMore | None = Field(
        default=None,
        description="How long roll-ups of hours are kept; those of days keep the sums.",
    )
    rollup_daily_days: MonthAndMore | None = Field(
        default=None,
        description="How long roll-ups of days are kept; those of months keep them.",
    )
    batch_rows: Annotated[Whole, Field(ge=100, le=100_000)] = Field(
        default=5000,
        description="How many rows are removed at once, between which records come in.",
    )
    at: Annotated[str, AfterValidator(_time)] = Field(
        default="03:15",
        description="When the router removes what is too old, each day, in UTC.",
    )
