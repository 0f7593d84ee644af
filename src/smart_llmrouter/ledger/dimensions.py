"""By what a report can group: names as users write them, and what they mean in SQL."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from sqlalchemy import ColumnElement

from smart_llmrouter.ledger.interval import utc_text
from smart_llmrouter.stores.tables import REQUEST_USAGE

_USAGE = REQUEST_USAGE.c
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 86_400_000


class UnknownDimension(ValueError):
    """A report was asked to group by something that is not a dimension."""


def _plain(value: object) -> str:
    return str(value)


def _hour(value: object) -> str:
    return utc_text(int(str(value)))[:16] + "Z"


def _day(value: object) -> str:
    return utc_text(int(str(value)))[:10]


def _stream(value: object) -> str:
    return "streamed" if value else "plain"


def _fallback(value: object) -> str:
    return "fell back" if value else "first target"


@dataclass(frozen=True, slots=True)
class Dimension:
    """One way to group calls. `in_time` ones are shown in their own order."""

    name: str
    title: str
    expression: ColumnElement[object]
    text_of: Callable[[object], str] = _plain
    in_time: bool = False


def _dimension(
    name: str,
    title: str,
    expression: ColumnElement[str] | ColumnElement[int] | ColumnElement[bool],
    *,
    text_of: Callable[[object], str] = _plain,
    in_time: bool = False,
) -> Dimension:
    typed: ColumnElement[object] = expression  # type: ignore[assignment]  # of any type
    return Dimension(name, title, typed, text_of, in_time)


DIMENSIONS: Final = {
    dimension.name: dimension
    for dimension in (
        _dimension("caller", "Caller", _USAGE.caller_id),
        _dimension("user", "User", _USAGE.caller_user),
        _dimension("project", "Project", _USAGE.caller_project),
        _dimension("environment", "Environment", _USAGE.caller_environment),
        _dimension("token", "Token", _USAGE.token_id),
        _dimension("group", "Group", _USAGE.resolved_group),
        _dimension("requested-model", "Requested model", _USAGE.requested_model),
        _dimension("provider", "Provider", _USAGE.target_provider),
        _dimension("model", "Provider's model", _USAGE.target_model),
        _dimension(
            "target", "Target", _USAGE.target_provider + "/" + _USAGE.target_model
        ),
        _dimension("client", "Client", _USAGE.client),
        _dimension("dialect", "Dialect", _USAGE.inbound_dialect),
        _dimension("target-dialect", "Target's dialect", _USAGE.target_dialect),
        _dimension("lane", "Lane", _USAGE.lane),
        _dimension("status", "Status", _USAGE.status),
        _dimension("error", "Error", _USAGE.error_code),
        _dimension("strategy", "Strategy", _USAGE.strategy),
        _dimension("stream", "Stream", _USAGE.stream, text_of=_stream),
        _dimension("fallback", "Fallback", _USAGE.fallback_used, text_of=_fallback),
        _dimension("disconnect", "Caller left", _USAGE.disconnect),
        _dimension("refused-by", "Refused by", _USAGE.refused_by),
        _dimension("budget-warning", "Budget warning", _USAGE.budget_warning),
        _dimension(
            "hour",
            "Hour (UTC)",
            _USAGE.ts_ms - _USAGE.ts_ms % _HOUR_MS,
            text_of=_hour,
            in_time=True,
        ),
        _dimension(
            "day",
            "Day (UTC)",
            _USAGE.ts_ms - _USAGE.ts_ms % _DAY_MS,
            text_of=_day,
            in_time=True,
        ),
    )
}


def dimensions_of(text: str) -> tuple[Dimension, ...]:
    """Return the dimensions of a comma-separated list, in its order.

    Raise `UnknownDimension`, which names the allowed ones, for anything else.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in DIMENSIONS:
            close = get_close_matches(name, DIMENSIONS, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            raise UnknownDimension(
                f"cannot group by {name[:40]!r}{hint}; allowed: {', '.join(DIMENSIONS)}"
            )
    if not names:
        raise UnknownDimension(f"group by what? Allowed: {', '.join(DIMENSIONS)}")
    return tuple(DIMENSIONS[name] for name in dict.fromkeys(names))
