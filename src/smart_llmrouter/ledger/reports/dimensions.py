"""By what a report can group and filter: names as users write them, and their SQL.

All but time are columns of `request_labels`, which many calls share; so calls are added
up by their labels first, and what the labels say is looked at afterwards.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, case, literal_column

from smart_llmrouter.ledger.reports.periods import Unit
from smart_llmrouter.stores.tables import REQUEST_LABELS

_LABELS: Final = REQUEST_LABELS.c
_HUNDRED: Final = 100


class UnknownDimension(ValueError):
    """A report was asked to group or filter by something that is not a dimension."""


class UnknownValue(ValueError):
    """A dimension cannot have such a value; the message says what it can have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One way to tell calls apart.

    `expression` is its SQL on `request_labels`; of a dimension in time it is `None`,
    and `unit` says which. `text_of` is how a value is shown, `value_of` the other way.
    """

    name: str
    title: str
    meaning: str
    expression: ColumnElement[object] | None = None
    unit: Unit | None = None
    text_of: Callable[[object], str] = str
    value_of: Callable[[str], object] = str


def _label(
    name: str,
    title: str,
    meaning: str,
    expression: ColumnElement[str] | ColumnElement[int],
    *,
    value_of: Callable[[str], object] = str,
    text_of: Callable[[object], str] = str,
) -> Dimension:
    typed: ColumnElement[object] = expression  # type: ignore[assignment]  # of any type
    return Dimension(
        name=name,
        title=title,
        meaning=meaning,
        expression=typed,
        text_of=text_of,
        value_of=value_of,
    )


def _flag(
    name: str,
    title: str,
    meaning: str,
    column: ColumnElement[bool],
    *,
    words: tuple[str, str],
) -> Dimension:
    """Return a dimension of two values: what is called when it is not so, and is."""
    text: ColumnElement[str] = case(
        (column, literal_column(f"'{words[1]}'")), else_=literal_column(f"'{words[0]}'")
    )
    return _label(name, title, meaning, text, value_of=_one_of(words))


def _time(unit: Unit) -> Dimension:
    return Dimension(
        name=unit,
        title=unit.capitalize(),
        meaning=f"The {unit} in which the call began, in the time zone of the report",
        unit=unit,
    )


def _one_of(words: Iterable[str]) -> Callable[[str], object]:
    allowed = tuple(words)

    def value_of(text: str) -> object:
        if text not in allowed:
            raise UnknownValue(f"it is {' or '.join(allowed)}")
        return text

    return value_of


def _number(text: str) -> object:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise UnknownValue("it is a number, such as 429")
    return int(text)


def _hundreds(text: str) -> object:
    if text[:1] not in _STATUS_CLASSES or text[1:] != "xx":
        raise UnknownValue("it is 2xx, 4xx, 5xx or the like")
    return int(text[0])


_STATUS_CLASSES: Final = ("1", "2", "3", "4", "5")

_IN_ORDER: Final = (
    _label("caller", "Caller", "The caller's id", _LABELS.caller_id),
    _label("user", "User", "The user who owns the caller", _LABELS.caller_user),
    _label("project", "Project", "The caller's project", _LABELS.caller_project),
    _label(
        "environment",
        "Environment",
        "The caller's environment",
        _LABELS.caller_environment,
    ),
    _label("token", "Token", "The public id of the token", _LABELS.token_id),
    _label("group", "Group", "The model group", _LABELS.resolved_group),
    _label(
        "requested-model",
        "Requested model",
        "The model name that the caller sent, where it is one that it may use",
        _LABELS.requested_model,
    ),
    _label(
        "provider",
        "Provider",
        "The provider that served last",
        _LABELS.target_provider,
    ),
    _label("model", "Model", "The provider's model", _LABELS.target_model),
    _label(
        "target",
        "Target",
        "Both, as `provider/model`",
        _LABELS.target_provider + "/" + _LABELS.target_model,
    ),
    _label(
        "dialect",
        "Dialect",
        "The dialect that the client spoke",
        _LABELS.inbound_dialect,
    ),
    _label(
        "target-dialect",
        "Target's dialect",
        "The dialect spoken to the target",
        _LABELS.target_dialect,
    ),
    _label(
        "lane",
        "Lane",
        "`relay` where bytes were passed on, else `translate`",
        case((_LABELS.target_dialect.is_not(None), _LABELS.lane)),
        value_of=_one_of(("relay", "translate")),
    ),
    _label("client", "Client", "The client program", _LABELS.client),
    _label(
        "status",
        "Status",
        "The status that the caller was answered",
        _LABELS.status,
        value_of=_number,
    ),
    _label(
        "status-class",
        "Status class",
        "Its first digit, as `2xx`",
        _LABELS.status // literal_column(str(_HUNDRED), BigInteger),
        value_of=_hundreds,
        text_of=lambda value: f"{value}xx",
    ),
    _label("error", "Error", "The stable code of the error", _LABELS.error_code),
    _label("error-class", "Error class", "The kind of failure", _LABELS.error_class),
    _label(
        "strategy", "Strategy", "How the group orders its targets", _LABELS.strategy
    ),
    _label("cache", "Cache", "What the response cache did", _LABELS.cache),
    _label("cache-reason", "Reason", "Why it did that", _LABELS.cache_reason),
    _flag(
        "stream",
        "Stream",
        "Whether a stream was asked for",
        _LABELS.stream,
        words=("plain", "streamed"),
    ),
    _flag(
        "fallback",
        "Fallback",
        "Whether more than one target was tried",
        _LABELS.fallback_used,
        words=("first-target", "fell-back"),
    ),
    _label(
        "disconnect",
        "Caller left",
        "What became of the answer when the caller had left",
        _LABELS.disconnect,
    ),
    _label(
        "refused-by",
        "Refused by",
        "The limit that refused the call",
        _LABELS.refused_by,
    ),
    _label(
        "budget-warning",
        "Budget warning",
        "The budget that was first above its mark",
        _LABELS.budget_warning,
    ),
    _label(
        "config",
        "Configuration",
        "The fingerprint of the configuration",
        _LABELS.config_fingerprint,
    ),
    _label("price", "Price", "The fingerprint of the price", _LABELS.price_fingerprint),
    _label("version", "Version", "The router's version", _LABELS.router_version),
    _time("hour"),
    _time("day"),
    _time("month"),
)
DIMENSIONS: Final[Mapping[str, Dimension]] = {each.name: each for each in _IN_ORDER}
_ALSO: Final = {"owner": "user", "token-id": "token"}


def dimension_of(name: str) -> Dimension:
    """Return a dimension; `UnknownDimension` names the allowed ones for others."""
    found = DIMENSIONS.get(_ALSO.get(name, name))
    if found is not None:
        return found
    close = get_close_matches(name.replace("_", "-"), DIMENSIONS, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    raise UnknownDimension(
        f"there is no dimension {name[:40]!r}{hint}; there are: {', '.join(DIMENSIONS)}"
    )


def dimensions_of(text: str) -> tuple[Dimension, ...]:
    """Return the dimensions of a comma-separated list, in its order.

    Raise `UnknownDimension` where one is none, where there is none at all, and where
    more than one is a period of time: the shorter one says it all.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    found = tuple(dict.fromkeys(dimension_of(name) for name in names))
    if not found:
        raise UnknownDimension(f"group by what? There are: {', '.join(DIMENSIONS)}")
    if sum(each.unit is not None for each in found) > 1:
        raise UnknownDimension("group by one of hour, day and month, not by several")
    return found


def key_columns(
    dimensions: Iterable[Dimension], slot: ColumnElement[int] | None
) -> list[ColumnElement[Any]]:
    """Return in SQL what makes a key; without a `slot`, what labels have of it."""
    columns = (
        slot if dimension.expression is None else dimension.expression
        for dimension in dimensions
    )
    return [column for column in columns if column is not None]
