"""Which build of the router this is, and on what it runs.

The facts of a build are baked into the wheel as `_build.json`. A checkout that runs
without having been built has no such file, and then says so instead of inventing a
date.
"""

import platform
from dataclasses import dataclass
from functools import cache
from importlib import metadata, resources
from pathlib import Path

import msgspec

DISTRIBUTION = "smart-llmrouter"
UNKNOWN = "unknown"
_PACKAGE = "smart_llmrouter"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildInfo:
    """One build of the router and the machine that it runs on.

    `commit` is the full id of the commit that was built, with `-dirty` behind it when
    the files differed from it, and `+checkout` when nothing was built: the process
    runs from a working tree that stands on this commit. `built_at` is ISO 8601 in
    UTC, or `None` where nothing was built.
    """

    version: str
    commit: str
    built_at: str | None
    python: str
    platform: str

    @property
    def user_agent(self) -> str:
        """What providers and policy services are told of who asks."""
        return f"{DISTRIBUTION}/{self.version}"


class Baked(msgspec.Struct, frozen=True, kw_only=True):
    """What `_build.json` holds, as `hatch_build.py` writes it."""

    version: str
    commit: str
    built_at: str


@cache
def read_build_info() -> BuildInfo:
    """Return the facts of this build; they are read once in a process."""
    package = Path(str(resources.files(_PACKAGE)))
    baked = read_baked(package / "_build.json")
    return BuildInfo(
        version=baked.version if baked else metadata.version(DISTRIBUTION),
        commit=baked.commit if baked else _commit_of_checkout(package.parent.parent),
        built_at=baked.built_at if baked else None,
        python=platform.python_version(),
        platform=platform.platform(),
    )


def read_baked(path: Path) -> Baked | None:
    """Read the facts that a build left at `path`; `None` where there are none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Baked)
    except FileNotFoundError:
        return None


def _commit_of_checkout(root: Path) -> str:
    """Return the commit on which the working tree at `root` stands."""
    try:
        head = (root / ".git" / "HEAD").read_text(encoding="ascii").strip()
        reference = head.removeprefix("ref: ")
        commit = head if reference == head else _resolved(root, reference)
    except OSError:
        return UNKNOWN
    return f"{commit}+checkout" if commit else UNKNOWN


def _resolved(root: Path, reference: str) -> str | None:
    """Find a branch's commit where git keeps it: in its own file or packed."""
    loose = root / ".git" / reference
    if loose.exists():
        return loose.read_text(encoding="ascii").strip()
    packed = (root / ".git" / "packed-refs").read_text(encoding="utf-8")
    lines = (line.split() for line in packed.splitlines())
    return next((words[0] for words in lines if words[1:] == [reference]), None)
