"""Adds a new caller, with a new token, to a configuration file."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from smart_llmrouter.config.amend import CannotAmend, with_caller
from smart_llmrouter.config.check import check
from smart_llmrouter.config.document import Document, Plain
from smart_llmrouter.config.findings import (
    ConfigurationError,
    Finding,
    in_reading_order,
)
from smart_llmrouter.config.reader import read_bytes
from smart_llmrouter.config.replacement import only_writer, replace_with_backup
from smart_llmrouter.config.schema.server import State
from smart_llmrouter.config.tokens import (
    Holder,
    IssuedToken,
    caller_entry,
    free_caller_id,
    issue,
    next_key,
)
from smart_llmrouter.core.clock import RandomBytes, WallClock

_BACKUPS: Final = "backups"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The caller that is asked for; ids that are `None` are chosen."""

    holder: Holder
    key: str | None
    caller_id: str | None
    allow: tuple[str, ...]
    expires_at: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A token with its entry, and the file as it would be with it.

    `findings` are the errors that the file would then have. There is no `amended`
    text where the file cannot be read, or the entry not be put into it.
    """

    issued: IssuedToken
    entry: dict[str, Plain]
    before: bytes | None
    amended: str | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What was done: the token, its entry, and where the old file went."""

    issued: IssuedToken
    entry: dict[str, Plain]
    backup: Path


def prepare(path: Path, wish: Wish, *, random_bytes: RandomBytes) -> Prepared:
    """Make a token for `wish` and try its entry in the file, which stays untouched.

    The file need not be there. What only the environment could tell (whether the
    secrets of providers are there) is not asked.
    """
    before = path.read_bytes() if path.is_file() else None
    reading = None if before is None else read_bytes(before, file=str(path))
    document = None if reading is None else reading.document
    issued, entry = _granted(wish, document, random_bytes)
    findings = () if reading is None else reading.findings
    amended = None
    if before is not None and document is not None:
        with suppress(CannotAmend):
            amended = with_caller(document, before.decode("utf-8-sig"), entry)
    if amended is not None:
        findings = _errors(amended, path)
    return Prepared(
        issued=issued, entry=entry, before=before, amended=amended, findings=findings
    )


def add_caller(
    path: Path, wish: Wish, *, random_bytes: RandomBytes, wall_clock: WallClock
) -> Added:
    """Write a new caller into the file, with a backup of the file as it was.

    Raises `ConfigurationError` when the result would have errors, `CannotAmend` when
    the file is not there or the entry cannot be put into it, `OSError` when it cannot
    be written; the file is then as it was.
    """
    prepared = _acceptable(path, wish, random_bytes)
    backups = _backups(path)
    with only_writer(backups):
        if path.read_bytes() != prepared.before:
            prepared = _acceptable(path, wish, random_bytes)
        backup = replace_with_backup(
            path,
            (prepared.amended or "").encode(),
            backups=backups,
            wall_clock=wall_clock,
        )
    return Added(issued=prepared.issued, entry=prepared.entry, backup=backup)


def _acceptable(path: Path, wish: Wish, random_bytes: RandomBytes) -> Prepared:
    prepared = prepare(path, wish, random_bytes=random_bytes)
    if prepared.before is None:
        raise CannotAmend("there is no such file")
    if prepared.findings:
        raise ConfigurationError(prepared.findings)
    if prepared.amended is None:
        raise CannotAmend(
            "the entry cannot be added without changing other parts of the file;"
            " write `callers` as a list with one `- ` for each, or add it by hand"
        )
    return prepared


def _granted(
    wish: Wish, document: Document | None, random_bytes: RandomBytes
) -> tuple[IssuedToken, dict[str, Plain]]:
    key = wish.key or next_key(wish.holder, document)
    issued = issue(wish.holder, key, random_bytes=random_bytes)
    entry = caller_entry(
        wish.caller_id or free_caller_id(wish.holder, key, document),
        wish.holder,
        issued,
        allow=wish.allow,
        expires_at=wish.expires_at,
    )
    return issued, entry


def _errors(text: str, path: Path) -> tuple[Finding, ...]:
    reading = read_bytes(text.encode(), file=str(path))
    found = list(reading.findings)
    if reading.document is not None:
        found += check(reading.document, environment={}, beside=path.parent).findings
    return in_reading_order(
        finding for finding in found if finding.is_error and finding.awaits is None
    )


def _backups(path: Path) -> Path:
    """Return where backups go: beside the state that the file itself names."""
    document = read_bytes(path.read_bytes(), file=str(path)).document
    state = None if document is None else document.root.get("state")
    directory = state.get("directory") if isinstance(state, dict) else None
    if not isinstance(directory, str):
        directory = State().directory
    return path.parent / directory / _BACKUPS
