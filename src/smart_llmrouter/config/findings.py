"""What is wrong with a configuration, where, and what to do about it.

A finding never quotes a value that could be a credential; whoever makes one sees to
that with `quoted`.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Literal

from smart_llmrouter.config.credentials import looks_like_a_credential

Severity = Literal["error", "warning"]
KeyPath = tuple[str | int, ...]
"""The way to a value from the root: keys of mappings and indexes of lists."""

_LONGEST_QUOTE: Final = 60
_SIMILAR: Final = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One mistake or warning; `line` and `column` count from 1.

    `awaits` names the variable or file that is missing here but may exist where the
    router runs; such a finding says nothing about the file itself.
    """

    severity: Severity
    file: str
    line: int
    column: int
    key_path: str
    message: str
    remedy: str
    awaits: str | None = None

    def __str__(self) -> str:
        """Return the line that a person reads, in the manner of compilers."""
        place = f"{self.file}:{self.line}:{self.column}"
        about = f"{self.key_path}: " if self.key_path else ""
        return f"{place}: {self.severity}: {about}{self.message}\n    → {self.remedy}"

    @property
    def is_error(self) -> bool:
        """Say whether the configuration cannot be used because of this."""
        return self.severity == "error"


class ConfigurationError(Exception):
    """The configuration cannot be used; `findings` says why, all at once."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        """Keep the findings; the text of the error is the report for people."""
        super().__init__(report(findings))
        self.findings = tuple(findings)


def dotted(path: KeyPath) -> str:
    """Write a key path as people do: `groups.chat.targets[0].use`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step_text(step)}" if text else step_text(step)
    return text


def step_text(key: str) -> str:
    """Return a key as a finding may show it: quoted if odd, masked if a secret."""
    if looks_like_a_credential(key):
        return "********"
    if key and all(character.isalnum() or character in "_-/" for character in key):
        return key
    return json.dumps(key[:_LONGEST_QUOTE], ensure_ascii=True)


def quoted(value: object) -> str:
    """Return a value as a finding may show it; one that may be a secret is masked."""
    text = value if isinstance(value, str) else str(value)
    if looks_like_a_credential(text):
        return "a value that is not shown here"
    if len(text) > _LONGEST_QUOTE:
        return "a long value"
    return "`" + text.encode("unicode_escape").decode("ascii") + "`"


def suggestion(wrong: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like a wrong one, if any is like it."""
    close = get_close_matches(wrong, list(known), n=1, cutoff=_SIMILAR)
    return close[0] if close else None


def in_reading_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort findings as the file is read, without repetitions."""
    unique = dict.fromkeys(findings)
    return tuple(
        sorted(unique, key=lambda found: (found.line, found.column, found.key_path))
    )


def report(findings: Sequence[Finding]) -> str:
    """Return all findings and a closing count, for people."""
    errors = sum(finding.is_error for finding in findings)
    warnings = len(findings) - errors
    lines = [str(finding) for finding in findings]
    return "\n".join(
        [*lines, f"{_count(errors, 'error')}, {_count(warnings, 'warning')}"]
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
