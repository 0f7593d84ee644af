"""Shows the effective configuration: defaults filled in, secrets masked.

What has no effect yet is marked. The output is YAML for people; it is not meant to be
loaded again, because the masks stand where references were.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import BaseModel

from smart_llmrouter.config.fingerprint import settings_fingerprint
from smart_llmrouter.config.references import holds_reference
from smart_llmrouter.config.schema import Settings
from smart_llmrouter.config.schema.tree import Key, keys_of
from smart_llmrouter.config.yamltext import flow_list, scalar, text
from smart_llmrouter.core.secrets import MASK

NOT_BUILT: Final = "not built yet"
_HASH: Final = "token_sha256"
_STEP: Final = 2


def show(settings: Settings, *, file: str) -> str:
    """Return the whole effective configuration as YAML text."""
    head = (
        f"# {file}, with defaults filled in and secrets masked",
        f"# fingerprint: {settings_fingerprint(settings)}",
        "",
    )
    return "\n".join([*head, *_section(settings, 0, marking=True), ""])


def _section(section: BaseModel, indent: int, *, marking: bool) -> Iterator[str]:
    for key in keys_of(type(section)):
        value = getattr(section, key.name)
        if value is None:
            continue
        marked = marking and _is_marked(key, value)
        note = NOT_BUILT if marked else None
        yield from _entry(
            key.name, value, indent, note=note, marking=marking and not marked
        )


def _is_marked(key: Key, value: object) -> bool:
    return key.not_built is not None and key.not_built.concerns(value)


def _entry(
    name: str, value: object, indent: int, *, note: str | None, marking: bool
) -> Iterator[str]:
    """Yield the lines of one key; `marking` says whether keys within it get marks."""
    opening = f"{' ' * indent}{text(name)}:"
    inner = list(_inner(value, indent + _STEP, marking=marking))
    if inner:
        yield _noted(opening, note)
        yield from inner
        return
    shown, source = _flat(name, value)
    notes = [part for part in (source and f"from {source}", note) if part]
    yield _noted(f"{opening} {shown}", "; ".join(notes) or None)


def _inner(value: object, indent: int, *, marking: bool) -> Iterator[str]:
    """Yield the lines below a key, for a value that does not fit beside it."""
    if isinstance(value, BaseModel):
        yield from _section(value, indent, marking=marking)
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from _entry(name, part, indent, note=None, marking=marking)
    elif isinstance(value, tuple):
        for item in value:
            if isinstance(item, BaseModel):
                lines = list(_section(item, indent + _STEP, marking=marking))
                yield f"{' ' * indent}- {lines[0].lstrip()}"
                yield from lines[1:]


def _flat(name: str, value: object) -> tuple[str, str | None]:
    """Return a value as it is shown beside its key, and where a secret is from."""
    if isinstance(value, (Mapping, BaseModel)):
        return "{}", None
    if isinstance(value, tuple):
        return flow_list(value), None
    if name == _HASH:
        return f'"{MASK}"', None
    if isinstance(value, str) and holds_reference(value):
        return f'"{MASK}"', value
    return scalar(value), None


def _noted(line: str, note: str | None) -> str:
    return line if note is None else f"{line}  # {note}"
