"""Users, projects, memberships and callers: unique, and active where they must be."""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from functools import partial
from typing import Final

from smart_llmrouter.config.document import Document
from smart_llmrouter.config.findings import Finding, quoted, suggestion
from smart_llmrouter.config.outline import Entry, Outline

Names = tuple[str, ...]

_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_ACTIVATE: Final = "set its status to active, or the caller's to disabled"


def identities_are_unique(document: Document, outline: Outline) -> Iterator[Finding]:
    """Yield a finding for each second entry of the same user, project, token, …."""
    for noun, key, entries in (
        ("user", "id", outline.users),
        ("project", "id", outline.projects),
        ("caller", "id", outline.callers),
    ):
        yield from _unique_ids(document, noun, key, entries)
    yield from _unique_memberships(document, outline.memberships)
    yield from _unique_tokens(document, outline.callers)


def memberships_are_known(document: Document, outline: Outline) -> Iterator[Finding]:
    """Yield a finding for each membership of a user or project that is not listed."""
    for noun, listed in (("user", outline.users), ("project", outline.projects)):
        known = _ids(listed)
        for membership in outline.memberships:
            named = membership.named(noun)
            if named is not None and _normal(named.text) not in known:
                yield document.error(
                    named.path,
                    f"no {noun} has the id {quoted(named.text)}",
                    _meant(noun, named.text, known),
                )


def active_callers_are_backed(
    document: Document, outline: Outline
) -> Iterator[Finding]:
    """Yield a finding where an active caller's owner, project or membership is not."""
    users = _by_id(outline.users)
    projects = _by_id(outline.projects)
    memberships = {_pair(entry): entry for entry in outline.memberships}
    for caller in outline.callers:
        if not caller.is_active:
            continue
        backed = [
            _reference(document, caller, ("owner_user", "user"), users),
            _reference(document, caller, ("project", "project"), projects),
        ]
        found = [finding for finding in backed if finding is not None]
        yield from found
        if not found:
            yield from _membership(document, caller, memberships)


def active_callers_are_current(
    document: Document, outline: Outline, today: date
) -> Iterator[Finding]:
    """Yield a warning for each active caller whose token no longer works `today`."""
    for caller in outline.callers:
        expires = caller.named("expires_at")
        # What is no day has an error of its own; days sort as their texts do.
        if expires is None or not caller.is_active or not _DAY.fullmatch(expires.text):
            continue
        if expires.text <= today.isoformat():
            yield document.warning(
                expires.path,
                f"the caller is active, but its token expired on {expires.text}",
                "give it a later day, or set its status to expired",
            )


def _reference(
    document: Document,
    caller: Entry,
    names: tuple[str, str],
    known: dict[str, Entry],
) -> Finding | None:
    key, noun = names
    named = caller.named(key)
    if named is None:
        return None
    entry = known.get(_normal(named.text))
    if entry is None:
        return document.error(
            named.path,
            f"no {noun} has the id {quoted(named.text)}",
            _meant(noun, named.text, known),
        )
    if not entry.is_active:
        return document.error(
            named.path,
            f"the caller is active, but its {noun} {quoted(named.text)} is not",
            _ACTIVATE,
        )
    return None


def _membership(
    document: Document, caller: Entry, memberships: dict[Names | None, Entry]
) -> Iterator[Finding]:
    user = caller.texts.get("owner_user")
    project = caller.texts.get("project")
    if user is None or project is None:
        return
    entry = memberships.get((_normal(user), _normal(project)))
    who = f"user {quoted(user)} in project {quoted(project)}"
    if entry is None:
        yield document.error(
            (*caller.path, "project"),
            f"the caller is active, but there is no membership of {who}",
            "add it to project_memberships:"
            f" {{user: {user}, project: {project}, role: developer}}",
        )
    elif not entry.is_active:
        yield document.error(
            (*caller.path, "project"),
            f"the caller is active, but the membership of {who} is not",
            _ACTIVATE,
        )


def _unique_ids(
    document: Document, noun: str, key: str, entries: Iterable[Entry]
) -> Iterator[Finding]:
    for entry, first in _repeated(entries, partial(_text, key=key)):
        line = document.key_position(first.path).line
        yield document.error(
            (*entry.path, key),
            f"the {noun} {quoted(entry.texts[key])} is listed twice"
            f" (first on line {line})",
            "keep one of the two",
        )


def _unique_memberships(
    document: Document, entries: Iterable[Entry]
) -> Iterator[Finding]:
    for entry, first in _repeated(entries, _pair):
        line = document.key_position(first.path).line
        yield document.error(
            (*entry.path, "user"),
            f"this membership is listed twice (first on line {line})",
            "keep one of the two",
        )


def _unique_tokens(document: Document, callers: Iterable[Entry]) -> Iterator[Finding]:
    """The hash itself is never part of a message."""
    for key, what in (("token_sha256", "token hash"), ("token_id", "token id")):
        for entry, first in _repeated(callers, partial(_text, key=key)):
            yield document.error(
                (*entry.path, key),
                f"the callers {_name(first)} and {_name(entry)} have the same {what}",
                "give each caller a token of its own: smart-llmrouter token new",
            )


def _repeated(
    entries: Iterable[Entry], key_of: Callable[[Entry], Names | None]
) -> Iterator[tuple[Entry, Entry]]:
    """Yield each entry whose key was there before, with the first that had it."""
    first: dict[Names, Entry] = {}
    for entry in entries:
        key = key_of(entry)
        if key is None:
            continue
        if key in first:
            yield entry, first[key]
        else:
            first[key] = entry


def _text(entry: Entry, *, key: str) -> Names | None:
    text = entry.texts.get(key)
    return None if not text else (_normal(text),)


def _pair(membership: Entry) -> Names | None:
    user = membership.texts.get("user")
    project = membership.texts.get("project")
    if user is None or project is None:
        return None
    return _normal(user), _normal(project)


def _by_id(entries: Iterable[Entry]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for entry in entries:
        if "id" in entry.texts:
            found.setdefault(_normal(entry.texts["id"]), entry)
    return found


def _ids(entries: Iterable[Entry]) -> list[str]:
    return list(_by_id(entries))


def _normal(text: str) -> str:
    return text.strip().casefold()


def _name(caller: Entry) -> str:
    named = caller.texts.get("id")
    return quoted(named) if named else f"number {int(caller.path[-1]) + 1}"


def _meant(noun: str, wrong: str, known: Iterable[str]) -> str:
    meant = suggestion(wrong, known)
    return (
        f"did you mean `{meant}`?"
        if meant is not None
        else f"add it to the list `{noun}s`"
    )
