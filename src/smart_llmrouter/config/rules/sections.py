"""Sections that were begun and left empty: what was meant is not what happens."""

from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import BaseModel

from smart_llmrouter.config.document import Document
from smart_llmrouter.config.findings import Finding, KeyPath
from smart_llmrouter.config.schema import Settings
from smart_llmrouter.config.schema.tree import keys_by_name, parts_of

_SO: Final[Mapping[KeyPath, str]] = {
    ("server", "tls"): ", and so callers are served plain HTTP"
}


def sections_say_something(document: Document) -> Iterator[Finding]:
    """Yield a warning for each section of which the file has no more than the name.

    It is for documents that the schema accepts: there, such a section is left out.
    """
    for path in _empty(document.root, Settings):
        yield document.warning(
            path,
            f"nothing is set below it{_SO.get(path, '')}",
            "write its settings below it, indented, or remove it",
        )


def _empty(value: object, section: type[BaseModel]) -> Iterator[KeyPath]:
    if not isinstance(value, dict):
        return
    known = keys_by_name(section)
    for name, part in value.items():
        key = known.get(name)
        if key is None or key.inner is None:
            continue
        if part is None:
            yield (name,)
        for steps, inner in parts_of(key.holds, part):
            yield from ((name, *steps, *path) for path in _empty(inner, key.inner))
