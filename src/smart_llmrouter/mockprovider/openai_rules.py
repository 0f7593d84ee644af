"""What both of OpenAI's dialects refuse: names, schemas, models, foreign fields."""

import re
from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from smart_llmrouter.mockprovider.dialect import Refused

NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_REASONING_MODEL: Final = re.compile(r"(o\d|gpt-[5-9])")

_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def reasons(model: str) -> bool:
    """Tell whether `model` has the name of a reasoning model."""
    return _REASONING_MODEL.match(model) is not None


def check_foreign(body: bytes, foreign: Mapping[str, str]) -> None:
    """Refuse a body with a field of another dialect; `foreign` says what to do."""
    for name in _fields(body).keys() & foreign.keys():
        raise Refused(
            f"Unsupported parameter: '{name}'. {foreign[name]}".rstrip(),
            code="unsupported_parameter",
            param=name,
        )


def check_name(name: str, param: str) -> None:
    """Refuse a name of a tool that OpenAI does not take."""
    if not NAME.fullmatch(name):
        raise Refused(
            f"Invalid '{param}': string does not match pattern. Expected a string "
            "that matches the pattern '^[a-zA-Z0-9_-]+$' of at most 64 characters.",
            code="invalid_value",
            param=param,
        )


def check_parameters(name: str, parameters: Mapping[str, object], param: str) -> None:
    """Refuse parameters of a function that are no object."""
    if parameters and parameters.get("type") != "object":
        raise Refused(
            f"Invalid schema for function '{name}': schema must be a JSON Schema of "
            f"'type: \"object\"', got 'type: {parameters.get('type')!r}'.",
            code="invalid_function_parameters",
            param=param,
        )


def check_value(value: str, known: Collection[str], param: str) -> None:
    """Refuse a value that is none of `known`."""
    if value not in known:
        supported = ", ".join(f"'{each}'" for each in sorted(known))
        raise Refused(
            f"Invalid value: '{value}'. Supported values are: {supported}.",
            code="invalid_value",
            param=param,
        )


def check_length(text: str, longest: int, param: str) -> None:
    """Refuse a text of more than `longest` characters."""
    if len(text) > longest:
        raise Refused(
            f"Invalid '{param}': string too long. Expected a string with maximum "
            f"length {longest}, but got a string with length {len(text)} instead.",
            code="string_above_max_length",
            param=param,
        )
