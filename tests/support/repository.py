"""The files of the repository, as those who read it see them."""

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_NOT_OURS = {".git", "build", "demo", "dist", "node_modules", "site", "state"}


@cache
def our_files() -> tuple[Path, ...]:
    """Return every file that belongs to the repository, also where git is missing."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return tuple(path for path in ROOT.rglob("*") if _is_ours(path))
    paths = (ROOT / name for name in listed.split("\0") if name)
    return tuple(path for path in paths if path.is_file())


def _is_ours(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    hidden = any(part.startswith((".venv", ".cache", "__", "_site")) for part in parts)
    caches = any(part.endswith("_cache") for part in parts)
    return path.is_file() and not (hidden or caches or _NOT_OURS & {*parts})
