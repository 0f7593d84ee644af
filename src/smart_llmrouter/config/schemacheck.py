"""Checks a document against the schema and explains each refusal to a person."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from smart_llmrouter.config.document import Document
from smart_llmrouter.config.findings import (
    Finding,
    KeyPath,
    quoted,
    step_text,
    suggestion,
)
from smart_llmrouter.config.schema import Settings
from smart_llmrouter.config.schema.kinds import (
    ONE,
    PATTERN_MEANINGS,
    REFUSAL,
    SEVERAL,
)
from smart_llmrouter.config.schema.tree import section_at

_KEY_MARK: Final = "[key]"
_FORMS: Final = frozenset({ONE, SEVERAL})
_MISSING: Final = "missing"
_UNKNOWN: Final = "extra_forbidden"


class Checked(NamedTuple):
    """The settings, where the schema accepts them, and what it has against them."""

    settings: Settings | None
    findings: tuple[Finding, ...]


class _Words(NamedTuple):
    message: str
    remedy: str


# What pydantic puts beside an error is a wire format: its values have any type.
_Context = Mapping[str, Any]

_EXPLANATIONS: Final[Mapping[str, Callable[[_Context, object], _Words]]] = {
    REFUSAL: lambda context, _: _Words(context["message"], context["remedy"]),
    "literal_error": lambda context, value: _not_one_of(context["expected"], value),
    "string_pattern_mismatch": lambda context, value: _Words(
        f"{quoted(value)} is not a valid name here",
        f"use {PATTERN_MEANINGS.get(context['pattern'], 'other characters')}",
    ),
    "greater_than": lambda context, _: _Words(
        f"the number must be greater than {_readable(context['gt'])}",
        "write a greater number",
    ),
    "greater_than_equal": lambda context, _: _Words(
        f"the number must be at least {_readable(context['ge'])}",
        "write a greater number",
    ),
    "less_than_equal": lambda context, _: _Words(
        f"the number must be at most {_readable(context['le'])}",
        "write a smaller number",
    ),
    "string_too_short": lambda _, __: _Words("the text is empty", "write a text"),
    "string_too_long": lambda context, _: _Words(
        f"the text is longer than {context['max_length']} characters", "shorten it"
    ),
    "too_short": lambda _, __: _Words("nothing is listed", "add at least one entry"),
    "dict_type": lambda _, value: _expected("a mapping", value, "`key: value` lines"),
    "model_type": lambda _, value: _expected("a mapping", value, "`key: value` lines"),
    "tuple_type": lambda _, value: _expected(
        "a list", value, "[a, b], or one item a line after `- `"
    ),
    "string_type": lambda _, value: _expected("a text", value, 'it in quotes: "…"'),
    "int_type": lambda _, value: _expected("a whole number", value, "digits only"),
    "bool_type": lambda _, value: _expected("a yes or no", value, "true or false"),
}


def check_schema(document: Document) -> Checked:
    """Validate the whole document at once."""
    try:
        return Checked(Settings.model_validate(document.root), ())
    except ValidationError as failure:
        details = failure.errors(include_url=False)
    for detail in details:
        detail["loc"] = tuple(step for step in detail["loc"] if step not in _FORMS)
    unknown = {tuple(detail["loc"]) for detail in details if detail["type"] == _UNKNOWN}
    findings = [
        _finding(document, detail)
        for detail in details
        if not _is_misspelt(detail, unknown) and not _only_seems_empty(detail)
    ]
    return Checked(None, tuple(findings))


def _is_misspelt(detail: ErrorDetails, unknown: set[KeyPath]) -> bool:
    """Say whether a missing key is only misspelt: the other finding is enough."""
    if detail["type"] != _MISSING:
        return False
    *parent, missing = detail["loc"]
    beside = [str(path[-1]) for path in unknown if path[:-1] == tuple(parent)]
    return suggestion(str(missing), beside) is not None


def _only_seems_empty(detail: ErrorDetails) -> bool:
    """Say whether a list is only too short because its items are wrong."""
    return detail["type"] == "too_short" and bool(detail["input"])


def _finding(document: Document, detail: ErrorDetails) -> Finding:
    path: KeyPath = tuple(detail["loc"])
    if path and path[-1] == _KEY_MARK:
        path = path[:-1]
        words = _explain(detail)
        return document.key_error(path, words.message, words.remedy)
    if detail["type"] == _UNKNOWN:
        return _unknown_key(document, path)
    if detail["type"] == _MISSING:
        return document.key_error(
            path,
            f"the key {step_text(str(path[-1]))} is missing",
            f"add `{path[-1]}:` — {_description(path)}",
        )
    words = _explain(detail)
    return document.error(path, words.message, words.remedy)


def _explain(detail: ErrorDetails) -> _Words:
    explain = _EXPLANATIONS.get(detail["type"])
    if explain is None:
        return _Words(
            "the value is not valid here", "see the Configuration page of the docs"
        )
    return explain(detail.get("ctx", {}), detail["input"])


def _unknown_key(document: Document, path: KeyPath) -> Finding:
    section = section_at(path[:-1])
    known = [] if section is None else list(section.model_fields)
    meant = suggestion(str(path[-1]), known)
    remedy = (
        f"did you mean `{meant}`?"
        if meant is not None
        else f"remove it; known here: {', '.join(known)}"
    )
    return document.key_error(
        path, f"the key {step_text(str(path[-1]))} is not known", remedy
    )


def _description(path: KeyPath) -> str:
    section: type[BaseModel] | None = section_at(path[:-1])
    field = None if section is None else section.model_fields.get(str(path[-1]))
    return (field.description if field is not None else None) or "it is required here"


def _not_one_of(expected: str, value: object) -> _Words:
    names = [name.strip("'") for name in expected.replace(" or ", ", ").split(", ")]
    meant = suggestion(value, names) if isinstance(value, str) else None
    remedy = f"write one of: {', '.join(names)}"
    if meant is not None:
        remedy = f"did you mean `{meant}`? Known: {', '.join(names)}"
    return _Words(f"{quoted(value)} is not a known value", remedy)


def _expected(kind: str, value: object, how: str) -> _Words:
    if value is None:
        return _Words(
            f"{kind} is expected, but there is no value",
            f"write {how}, or remove the key to keep its default",
        )
    return _Words(f"{kind} is expected, not {_kind_of(value)}", f"write {how}")


def _kind_of(value: object) -> str:
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "true or false"),
        (str, "a text"),
        (dict, "a mapping"),
        (list, "a list"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "a number")


def _readable(number: float) -> str:
    return f"{number:.0f}" if number == int(number) else str(number)
