"""Values that a JSON schema would accept: arguments for tools, structured answers.

A small generator, deterministic, for the part of JSON Schema that OpenAI's
structured outputs allow, and a little more. It does not read `pattern`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

Json = Mapping[str, object] | Sequence[object] | str | int | float | bool | None
Schema = Mapping[str, object]

_DEEPEST: Final = 6

_STRINGS_BY_FORMAT: Final[Mapping[str, str]] = {
    "date": "2026-01-15",
    "date-time": "2026-01-15T09:30:00Z",
    "duration": "PT15M",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "time": "09:30:00Z",
    "uri": "https://example.com/",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
}

_STRINGS_BY_NAME: Final[Mapping[str, tuple[str, ...]]] = {
    "city": ("Paris", "Oslo", "Lima"),
    "country": ("France", "Norway", "Peru"),
    "email": ("someone@example.com",),
    "language": ("en", "fr", "es"),
    "location": ("Paris, France", "Oslo, Norway", "Lima, Peru"),
    "name": ("Example", "Sample", "Specimen"),
    "path": ("README.md", "src/main.py", "tests/test_main.py"),
    "query": ("weather today", "news today", "traffic today"),
    "unit": ("celsius", "kelvin", "fahrenheit"),
    "url": ("https://example.com/",),
}


def sample(schema: object, *, name: str = "value", variant: int = 0) -> Json:
    """Return a value that `schema` accepts.

    `name` is the property that the value is for, and makes strings plausible;
    `variant` chooses among plausible strings, so that two calls can differ.
    """
    return _Sampler(schema, variant).value(schema, name, depth=0)


class _Sampler:
    """One walk through one schema; `root` is where `$ref` points into."""

    def __init__(self, root: object, variant: int) -> None:
        self._root = root
        self._variant = variant
        self._by_type: Mapping[str, Callable[[Schema, str, int], Json]] = {
            "array": self._array,
            "boolean": lambda _schema, _name, _depth: True,
            "integer": lambda schema, _name, _depth: math.ceil(_number(schema, 1)),
            "null": lambda _schema, _name, _depth: None,
            "number": lambda schema, _name, _depth: _number(schema, 0.5),
            "object": self._object,
            "string": self._string,
        }

    def value(self, schema: object, name: str, depth: int) -> Json:
        """Return a value for `schema`, which may be a boolean schema too."""
        if not isinstance(schema, Mapping):
            return {}
        schema = self._resolved(schema, depth)
        if "const" in schema:
            return _json(schema["const"])
        options = schema.get("enum")
        if isinstance(options, list) and options:
            return _json(options[self._variant % len(options)])
        return self._by_type[_type_of(schema)](schema, name, depth)

    def _resolved(self, schema: Schema, depth: int) -> Schema:
        """Follow `$ref`, `anyOf`, `oneOf` and `allOf` to a schema of its own."""
        for _ in range(_DEEPEST):
            if isinstance(reference := schema.get("$ref"), str):
                schema = {**_without(schema, "$ref"), **self._at(reference)}
            elif isinstance(parts := schema.get("allOf"), list):
                schema = _merged([_without(schema, "allOf"), *parts])
            elif choice := _choice(schema, shallow=depth >= _DEEPEST):
                schema = {**_without(schema, "anyOf", "oneOf"), **choice}
            else:
                break
        return schema

    def _at(self, reference: str) -> Schema:
        found: object = self._root
        for part in reference.removeprefix("#").strip("/").split("/"):
            if part and isinstance(found, Mapping):
                found = found.get(part.replace("~1", "/").replace("~0", "~"), {})
        return found if isinstance(found, Mapping) else {}

    def _object(self, schema: Schema, _name: str, depth: int) -> Json:
        properties = schema.get("properties")
        if not isinstance(properties, Mapping):
            return {}
        required = schema.get("required")
        names = required if isinstance(required, list) and required else properties
        if depth >= _DEEPEST:
            names = required if isinstance(required, list) else []
        return {
            str(key): self.value(properties.get(key, {}), str(key), depth + 1)
            for key in names
            if depth < 2 * _DEEPEST
        }

    def _array(self, schema: Schema, name: str, depth: int) -> Json:
        least = schema.get("minItems")
        wanted = least if isinstance(least, int) else 1
        if depth >= _DEEPEST and not least:
            wanted = 0
        item = schema.get("items", {"type": "string"})
        return [self.value(item, name, depth + 1) for _ in range(wanted)]

    def _string(self, schema: Schema, name: str, _depth: int) -> Json:
        form = schema.get("format")
        if isinstance(form, str) and form in _STRINGS_BY_FORMAT:
            return _STRINGS_BY_FORMAT[form]
        known = _STRINGS_BY_NAME.get(name.lower(), (f"a plausible {name}",))
        text = known[self._variant % len(known)]
        least, most = schema.get("minLength"), schema.get("maxLength")
        if isinstance(least, int):
            text = text.ljust(least, ".")
        return text[:most] if isinstance(most, int) else text


def _type_of(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "null")
    if isinstance(kind, str) and kind in {
        "array",
        "boolean",
        "integer",
        "null",
        "number",
        "object",
        "string",
    }:
        return kind
    return "object" if "properties" in schema else "string"


def _number(schema: Schema, usual: float) -> float:
    """Return a number within the bounds, `usual` where that is one."""
    low, over = _limit(schema, "minimum"), _limit(schema, "exclusiveMinimum")
    high, under = _limit(schema, "maximum"), _limit(schema, "exclusiveMaximum")
    found = usual
    if low is not None and found < low:
        found = low
    if over is not None and found <= over:
        found = over + 1 if under is None else (over + under) / 2
    if high is not None and found > high:
        found = high
    if under is not None and found >= under:
        found = under - 1
    step = schema.get("multipleOf")
    if isinstance(step, int | float) and step > 0:
        return step * math.ceil(found / step)
    return found


def _limit(schema: Schema, keyword: str) -> float | None:
    limit = schema.get(keyword)
    return limit if isinstance(limit, int | float) else None


def _choice(schema: Schema, *, shallow: bool) -> Schema | None:
    """Return the option to take of `anyOf` or `oneOf`; deep down, one that ends."""
    options = schema.get("anyOf") or schema.get("oneOf")
    if not isinstance(options, list):
        return None
    usable = [each for each in options if isinstance(each, Mapping)]
    ends = [each for each in usable if "$ref" not in each and "items" not in each]
    preferred = ends if shallow and ends else usable
    return preferred[0] if preferred else None


def _merged(parts: Sequence[object]) -> Schema:
    merged: dict[str, object] = {}
    for part in parts:
        if isinstance(part, Mapping):
            merged = {**merged, **part, **_joined(merged, part)}
    return merged


def _joined(first: Schema, second: Schema) -> Schema:
    """Join the parts of two schemas that add up instead of replacing each other."""
    joined: dict[str, object] = {}
    one, two = first.get("properties"), second.get("properties")
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        joined["properties"] = {**one, **two}
    ours, theirs = first.get("required"), second.get("required")
    if isinstance(ours, list) and isinstance(theirs, list):
        joined["required"] = [*ours, *(key for key in theirs if key not in ours)]
    return joined


def _without(schema: Schema, *keys: str) -> Schema:
    return {key: value for key, value in schema.items() if key not in keys}


def _json(value: object) -> Json:
    """Return `value`, which came from JSON, as what it is."""
    if isinstance(value, Mapping | list | str | int | float | bool):
        return value
    return None
