"""Walks the tree of sections: which model stands at a key path, and its marks."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from inspect import get_annotations
from typing import Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from smart_llmrouter.config.schema.kinds import NotBuilt
from smart_llmrouter.config.schema.root import Settings

Holds = Literal["value", "section", "list", "mapping", "one-or-list"]
KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a section; `inner` is the section that its value holds, if any.

    `holds` says how: the section itself, a list of it, either, or a mapping to it.
    """

    name: str
    field: FieldInfo
    holds: Holds
    inner: type[BaseModel] | None
    not_built: NotBuilt | None


@cache
def keys_of(section: type[BaseModel]) -> tuple[Key, ...]:
    """Return the keys of a section: its own as declared, then those it shares."""
    own = get_annotations(section)
    fields = sorted(section.model_fields.items(), key=lambda item: item[0] not in own)
    return tuple(_key(name, field) for name, field in fields)


@cache
def keys_by_name(section: type[BaseModel]) -> dict[str, Key]:
    """Return the keys of a section by their names."""
    return {key.name: key for key in keys_of(section)}


def section_at(path: KeyPath) -> type[BaseModel] | None:
    """Return the section that stands at a key path of the file, if one does."""
    section: type[BaseModel] | None = Settings
    steps = iter(path)
    for step in steps:
        if isinstance(step, int):
            # In the list of what may be one or several; other indexes are taken below.
            continue
        key = None if section is None else keys_by_name(section).get(str(step))
        if key is None or key.inner is None:
            return None
        section = key.inner
        if key.holds in {"list", "mapping"} and next(steps, None) is None:
            return None
    return section


def unbuilt(
    value: object, section: type[BaseModel] = Settings
) -> Iterator[tuple[KeyPath, NotBuilt]]:
    """Yield the paths of what is set in `value` and marked as not built.

    A marked section is yielded once, not once for each of its keys.
    """
    if not isinstance(value, dict):
        return
    known = keys_by_name(section)
    for name, part in value.items():
        key = known.get(name)
        if key is None:
            continue
        if key.not_built is not None and key.not_built.concerns(part):
            yield (name,), key.not_built
        elif key.inner is not None:
            for steps, inner_value in parts_of(key.holds, part):
                for path, mark in unbuilt(inner_value, key.inner):
                    yield (name, *steps, *path), mark


def parts_of(holds: Holds, value: object) -> Iterator[tuple[KeyPath, object]]:
    """Yield each section that a key's value holds, and how to get there from it."""
    if holds == "section" or (holds == "one-or-list" and isinstance(value, dict)):
        yield (), value
    elif holds in {"list", "one-or-list"} and isinstance(value, (list, tuple)):
        yield from (((index,), item) for index, item in enumerate(value))
    elif holds == "mapping" and isinstance(value, dict):
        yield from (((name,), item) for name, item in value.items())


def _key(name: str, field: FieldInfo) -> Key:
    holds, inner = _inner(field.annotation)
    mark = next((mark for mark in field.metadata if isinstance(mark, NotBuilt)), None)
    return Key(name=name, field=field, holds=holds, inner=inner, not_built=mark)


def _inner(annotation: object) -> tuple[Holds, type[BaseModel] | None]:
    """Find the section within `S`, `S | None`, `tuple[S, ...]` or `dict[str, S]`.

    Or within `S | tuple[S, ...]`.
    """
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section", annotation
    origin = get_origin(annotation)
    holds: Holds = (
        "list" if origin is tuple else "mapping" if origin is dict else "section"
    )
    found = [each for each in map(_inner, get_args(annotation)) if each[1] is not None]
    if not found:
        return "value", None
    either = holds == "section" and any(each[0] != "section" for each in found)
    return "one-or-list" if either else holds, found[0][1]
