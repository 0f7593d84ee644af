"""The kinds of values that settings are made of, and the mark of what is not built.

Numbers arrive as `int` or `Decimal`, never as a float; dates arrive as text. A
refusal by one of these kinds carries its own message and remedy.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    Strict,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

REFUSAL: Final = "refusal"
"""The error type of refusals that bring their own message and remedy."""

ID_PATTERN: Final = r"^[a-z0-9][a-z0-9-]{0,62}$"
NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$"
PUBLIC_LABEL_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,299}$"
WORD_PATTERN: Final = r"^[a-z][a-z0-9_]{0,31}$"

ONE: Final = "[one]"
SEVERAL: Final = "[several]"
"""What a refusal's place has in it that no file has: which form of a value it is of."""

PATTERN_MEANINGS: Final = {
    ID_PATTERN: (
        "lower-case letters, digits and hyphens, beginning with a letter or digit,"
        " 63 characters at most"
    ),
    NAME_PATTERN: (
        "letters, digits and `. _ : / -`, beginning with a letter or digit,"
        " 128 characters at most"
    ),
    PUBLIC_LABEL_PATTERN: (
        "letters, digits and `. _ -`, beginning with a letter or digit"
    ),
    WORD_PATTERN: "a lower-case word",
}

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:\d{2}))?"
)
_MOST_DECIMALS: Final = 18
_HIGHEST_USD: Final = Decimal(1_000_000_000)


class Section(BaseModel):
    """A mapping of settings: unknown keys are refused, and nothing changes later."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True
    )


@dataclass(frozen=True, slots=True)
class NotBuilt:
    """Marks a setting that is accepted and checked, but does nothing yet.

    `applies` narrows the mark to some values; without it every value is marked.
    """

    capability: str
    applies: Callable[[object], bool] | None = None

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Let the JSON Schema say it too, as `x-not-built`."""
        return {**handler(core_schema), "x-not-built": self.capability}

    def concerns(self, value: object) -> bool:
        """Say whether this value asks for what is not built."""
        return self.applies is None or self.applies(value)


def refusal(message: str, remedy: str) -> PydanticCustomError:
    """Return the error with which a kind refuses a value."""
    return PydanticCustomError(
        REFUSAL, "{message}", {"message": message, "remedy": remedy}
    )


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise refusal("a number is expected", "write digits, such as 30 or 0.5")
    return float(value)


def _usd(value: object) -> Decimal:
    """Accept `2`, `2.00` and `"2.00"`; keep every digit."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,12}(\.\d{1,18})?", value):
        value = Decimal(value)
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise refusal(
            "an amount in US dollars is expected",
            'write digits, such as 0.25 or "2.00"',
        )
    amount = Decimal(value)
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -_MOST_DECIMALS:
        raise refusal("the amount has too many decimals", "write 18 decimals at most")
    if not 0 <= amount <= _HIGHEST_USD:
        raise refusal(
            "the amount is out of range", f"write a number from 0 to {_HIGHEST_USD}"
        )
    return amount


def _day(value: object) -> date:
    if isinstance(value, date):
        return value
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise refusal("a date is expected", "write a day that exists, such as 2027-01-01")


def _moment(value: object) -> datetime:
    """Accept a day, which begins in UTC, and a time with its zone; return it in UTC."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    raise refusal(
        "a day, or a time with its zone, is expected",
        "write 2027-01-01, which begins in UTC, or 2027-01-01T16:00:00Z",
    )


Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
"""An id of a provider, user, project, environment, key or caller."""
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""A group name, an alias, or the key of a model."""
Word = Annotated[str, StringConstraints(pattern=WORD_PATTERN)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=500)]
"""One line of free text."""
Flag = Annotated[bool, Strict()]
Whole = Annotated[int, Strict()]
Usd = Annotated[
    Decimal,
    BeforeValidator(_usd),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0},
                {"type": "string", "pattern": r"^\d{1,12}(\.\d{1,18})?$"},
            ]
        }
    ),
]
Day = Annotated[date, BeforeValidator(_day)]
Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date"},
                {"type": "string", "format": "date-time"},
            ]
        }
    ),
]

Seconds = Annotated[float, Field(gt=0, le=86_400), BeforeValidator(_number)]
SecondsOrNone = Annotated[float, Field(ge=0, le=86_400), BeforeValidator(_number)]
Share = Annotated[float, Field(ge=0, le=1), BeforeValidator(_number)]
Count = Annotated[Whole, Field(ge=0, le=10**15)]
Rate = Annotated[float, Field(ge=0, le=10**9), BeforeValidator(_number)]
Bytes = Annotated[Whole, Field(ge=1024, le=2**32)]
