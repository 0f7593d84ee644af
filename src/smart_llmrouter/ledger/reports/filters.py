"""Which calls a report is about: `caller=alice,bob`, `error!=`, `day=2026-11-01`.

A condition is a dimension, `=` or `!=`, and values with commas between them. Nothing,
or `(none)`, means calls that have no such thing: `error=` are those that succeeded.
Values with a comma or a quote in them stand in double quotes. Of several conditions all
hold. `x=a` and `x!=a` together are all calls.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import ColumnElement, and_, false, or_

from smart_llmrouter.ledger.interval import Interval, Zone
from smart_llmrouter.ledger.reports.dimensions import (
    Dimension,
    UnknownValue,
    dimension_of,
)
from smart_llmrouter.ledger.reports.periods import (
    Unit,
    joined,
    overlap,
    slot_interval,
    unit_slot,
    without,
)

NONE = "(none)"
_EXAMPLES = {"hour": "2026-11-01T08:00", "day": "2026-11-01", "month": "2026-11"}


class BadCondition(ValueError):
    """A text is no condition; the message says what would be."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What a dimension must be, or with `negated` must not be; `None` for nothing."""

    dimension: Dimension
    values: tuple[object | None, ...]
    texts: tuple[str, ...]
    negated: bool = False

    def __str__(self) -> str:
        """Return it as it could have been written."""
        sign = "!=" if self.negated else "="
        return f"{self.dimension.name}{sign}{','.join(self.texts)}"


def condition_of(text: str, *, zone: Zone) -> Condition:
    """Return the condition that a text is; raise `BadCondition` where it is none.

    Raises `UnknownDimension` where it is about something that does not exist.
    """
    name, found, rest = text.partition("=")
    if not found:
        raise BadCondition(
            f"{text[:60]!r} is no condition: write caller=alice,bob or error!= "
            "(a dimension, = or !=, and values)"
        )
    negated = name.endswith("!")
    dimension = dimension_of(name.removesuffix("!").strip())
    texts = _values(rest)
    values = tuple(_value(dimension, each, zone=zone) for each in texts)
    shown = tuple(
        NONE if value is None else _quoted(text)
        for text, value in zip(texts, values, strict=True)
    )
    return Condition(dimension, values, shown, negated=negated)


def _values(text: str) -> list[str]:
    try:
        rows = list(csv.reader([text], strict=True, skipinitialspace=True))
    except csv.Error:
        raise BadCondition(
            f"{text[:60]!r}: a value with a comma or a quote in it stands in double "
            'quotes, in which a quote is written twice: "a,b"'
        ) from None
    return [value.strip() for value in rows[0]] if rows and rows[0] else [""]


def _quoted(text: str) -> str:
    if "," in text or '"' in text:
        return '"' + text.replace('"', '""') + '"'
    return text


def _value(dimension: Dimension, text: str, *, zone: Zone) -> object | None:
    if text in {"", NONE}:
        if dimension.unit is not None:
            raise BadCondition(_explained(dimension.unit, text))
        return None
    if dimension.unit is not None:
        try:
            return unit_slot(text, dimension.unit, zone)
        except (ValueError, OverflowError):
            raise BadCondition(_explained(dimension.unit, text)) from None
    try:
        return dimension.value_of(text)
    except UnknownValue as error:
        raise BadCondition(
            f"{dimension.name} is never {text[:40]!r}: {error}"
        ) from None


def _explained(unit: Unit, text: str) -> str:
    return f"{text[:40]!r} is no {unit}: write one such as {_EXAMPLES[unit]}"


def on_labels(conditions: Sequence[Condition]) -> ColumnElement[bool] | None:
    """Return what the conditions demand of labels in SQL; `None` where nothing."""
    parts = [
        _on_label(each, each.dimension.expression)
        for each in conditions
        if each.dimension.expression is not None
    ]
    return and_(*parts) if parts else None


def _on_label(
    condition: Condition, expression: ColumnElement[object]
) -> ColumnElement[bool]:
    wanted = [value for value in condition.values if value is not None]
    found = expression.in_(wanted) if wanted else false()
    # An unknown truth is no truth: without this, `x=a` and `x!=a` would lack those
    # that have no `x`.
    there = and_(expression.is_not(None), found)
    if None in condition.values:
        there = or_(expression.is_(None), found)
        return and_(expression.is_not(None), ~found) if condition.negated else there
    if condition.negated:
        return or_(expression.is_(None), ~found)
    return there


def narrowed(
    interval: Interval, conditions: Sequence[Condition], *, zone: Zone
) -> list[Interval]:
    """Return those stretches of an interval that the conditions leave, in order."""
    left = [interval]
    for each in conditions:
        unit = each.dimension.unit
        if unit is None:
            continue
        period = partial(slot_interval, unit=unit, zone=zone)
        named = joined([period(int(str(value))) for value in each.values])
        if each.negated:
            left = [part for one in left for part in without(one, named)]
        else:
            shared = (overlap(one, other) for one in left for other in named)
            left = [part for part in shared if part is not None]
    return left
