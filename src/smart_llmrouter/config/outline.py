"""The names that a document declares and uses, read leniently.

Cross-references are checked on this outline and not on the checked settings, so that
they are reported also while other parts of the file are still wrong. What does not
have the expected type is left out here: the schema has a finding about it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from smart_llmrouter.config.document import Document, Plain
from smart_llmrouter.config.findings import KeyPath

ACTIVE: Final = "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One text of the document and where it stands."""

    text: str
    path: KeyPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One mapping of the document: its texts by key, and what else its keys hold."""

    path: KeyPath
    texts: dict[str, str]
    lists: dict[str, tuple[Named, ...]]
    keys: frozenset[str]

    def named(self, key: str) -> Named | None:
        """Return the text under a key with its place."""
        text = self.texts.get(key)
        return None if text is None else Named(text=text, path=(*self.path, key))

    @property
    def is_active(self) -> bool:
        """Say whether the status is `active`, given or by default."""
        if "status" not in self.keys:
            return True
        return self.texts.get("status") == ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """The declared names and their uses."""

    server: Entry
    models: dict[str, frozenset[str] | None]
    groups: dict[str, Entry]
    targets: dict[str, tuple[Entry, ...]]
    users: tuple[Entry, ...]
    projects: tuple[Entry, ...]
    memberships: tuple[Entry, ...]
    callers: tuple[Entry, ...]


def outline(document: Document) -> Outline:
    """Extract the outline of a document."""
    root = document.root
    groups = {
        name: _entry(value, ("groups", name))
        for name, value in _mapping(root.get("groups")).items()
    }
    return Outline(
        server=_entry(root.get("server"), ("server",)),
        models={
            name: _models(value)
            for name, value in _mapping(root.get("providers")).items()
        },
        groups=groups,
        targets={
            name: tuple(
                _entries(_mapping(value).get("targets"), "groups", name, "targets")
            )
            for name, value in _mapping(root.get("groups")).items()
        },
        users=tuple(_entries(root.get("users"), "users")),
        projects=tuple(_entries(root.get("projects"), "projects")),
        memberships=tuple(
            _entries(root.get("project_memberships"), "project_memberships")
        ),
        callers=tuple(_entries(root.get("callers"), "callers")),
    )


def _models(provider: Plain) -> frozenset[str] | None:
    """Return a provider's model keys, or `None` when they cannot be read."""
    models = _mapping(provider).get("models")
    return frozenset(models) if isinstance(models, dict) else None


def _mapping(value: Plain) -> dict[str, Plain]:
    return value if isinstance(value, dict) else {}


def _entry(value: Plain, path: KeyPath) -> Entry:
    fields = _mapping(value)
    return Entry(
        path=path,
        texts={key: text for key, text in fields.items() if isinstance(text, str)},
        lists={
            key: tuple(
                Named(text=text, path=(*path, key, index))
                for index, text in enumerate(items)
                if isinstance(text, str)
            )
            for key, items in fields.items()
            if isinstance(items, list)
        },
        keys=frozenset(fields),
    )


def _entries(value: Plain, *path: str | int) -> Iterator[Entry]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, dict):
                yield _entry(item, (*path, index))
