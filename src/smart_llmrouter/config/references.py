"""References to secrets: `${ENV_NAME}` and `file:/path`, and how they are resolved.

A configuration file names where a credential is; the credential itself exists only
in a `Secret`. No message made here contains a resolved text.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from smart_llmrouter.core.secrets import Secret

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FILE: Final = "file:"
_UNEXPANDED: Final = re.compile(r"\$\{?[A-Za-z_]")
_MOST_BYTES: Final = 65_536

WRITE_IN_FULL: Final = "write the path in full, such as /srv/router/..."


class Unresolved(Exception):
    """A reference leads to nothing usable; the text says why, the remedy what to do."""

    def __init__(self, message: str, remedy: str, *, awaits: str) -> None:
        """`awaits` names the variable or file."""
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.awaits = awaits


def unexpanded(path: str) -> str | None:
    """Say what in a path a shell would expand and this file does not, if anything."""
    if path.startswith("~"):
        return "`~` is not expanded in paths"
    if _UNEXPANDED.search(path):
        return "variables are not expanded in paths"
    return None


def is_reference(text: str) -> bool:
    """Say whether the whole text is one reference."""
    if text.startswith(_FILE):
        return len(text) > len(_FILE) and text.isprintable()
    return _VARIABLE.fullmatch(text) is not None


def holds_reference(text: str) -> bool:
    """Say whether a text is a reference or has `${ENV_NAME}` within it."""
    return is_reference(text) or _VARIABLE.search(text) is not None


def literal_part(text: str) -> str:
    """Return what stands in the file itself around the references."""
    return "" if is_reference(text) else _VARIABLE.sub("", text)


def resolve(text: str, *, environment: Mapping[str, str], beside: Path) -> Secret:
    """Return the secret that a reference, or a text with references, stands for.

    Relative `file:` paths start at the directory `beside`. Raises `Unresolved`.
    """
    if text.startswith(_FILE):
        return Secret(_from_file(text, beside), source=text)
    return Secret(
        _VARIABLE.sub(lambda match: _from_environment(match[1], environment), text),
        source=text,
    )


def _from_environment(name: str, environment: Mapping[str, str]) -> str:
    value = environment.get(name)
    if not value:
        state = "not set" if value is None else "empty"
        raise Unresolved(
            f"the environment variable {name} is {state}",
            f"set {name} for the process that reads this file",
            awaits=name,
        )
    return _usable(value, f"the environment variable {name}", awaits=name)


def _from_file(text: str, beside: Path) -> str:
    path = text.removeprefix(_FILE)
    problem = unexpanded(path)
    if problem is not None:
        raise Unresolved(problem, WRITE_IN_FULL, awaits=text)
    try:
        with (beside / path).open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or "it cannot be opened"
        raise Unresolved(
            f"the secret file cannot be read: {reason.lower()}",
            "name an existing file that the router may read",
            awaits=text,
        ) from None
    try:
        value = raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        value = "\0"
    if not value:
        raise Unresolved(
            "the secret file is empty", "write the secret into it", awaits=text
        )
    return _usable(value, "the secret file", awaits=text)


def _usable(value: str, where: str, *, awaits: str) -> str:
    """Refuse what no header can carry: controls, spaces at the ends, endless text."""
    if len(value) <= _MOST_BYTES and value.isascii() and value.isprintable():
        if value == value.strip():
            return value
        problem = "begins or ends with a space"
    else:
        problem = "holds characters that no header can carry"
    raise Unresolved(
        f"{where} {problem}", "keep exactly the secret in it", awaits=awaits
    )
