"""Install the real clients that the tests drive through the router.

`python tools/clients.py` installs what is not there yet and prints where it is. All of
it lives outside the checkout, in one folder for each state of the lock files, so that a
second checkout has it at once: `$XDG_CACHE_HOME/smart-llmrouter-clients`. Nothing is
built and no installation script of a package runs.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PYTHON_LOCKS: Final = {
    "python": ROOT / "requirements/clients.txt",
    "aider": ROOT / "requirements/clients-aider.txt",
}
NODE_FILES: Final = (
    ROOT / "tests/clients/package.json",
    ROOT / "tests/clients/package-lock.json",
)
_MARK: Final = ".complete"


def cache() -> Path:
    """Return where all installations are."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "smart-llmrouter-clients"


def python_home(name: str) -> Path:
    """Return the virtual environment of one lock file."""
    major, minor = sys.version_info[:2]
    return cache() / f"{name}-{major}.{minor}-{_digest(PYTHON_LOCKS[name])}"


def node_home() -> Path:
    """Return the folder that holds `node_modules`."""
    return cache() / f"node-{_digest(*NODE_FILES)}"


def is_complete(home: Path) -> bool:
    """Say whether an installation came to its end."""
    return (home / _MARK).exists()


def install() -> None:
    """Install what is missing. Raises `CalledProcessError` when it cannot be had."""
    for name, lock in PYTHON_LOCKS.items():
        _once(python_home(name), partial(_install_python, lock=lock))
    _once(node_home(), _install_node)


def _once(home: Path, fill: Callable[[Path], None]) -> None:
    """Fill a folder, unless that was done; two at the same time wait for each other."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_complete(home):
            return
        print(f"installing clients for the tests into {home} ...", flush=True)
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        fill(home)
        (home / _MARK).touch()


def _install_python(home: Path, *, lock: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    _run(
        str(home / "bin/python"),
        *("-m", "pip", "--disable-pip-version-check", "-qq", "install"),
        *("--require-hashes", "--only-binary=:all:", "-r", str(lock)),
    )


def _install_node(home: Path) -> None:
    for file in NODE_FILES:
        shutil.copy(file, home)
    node = python_home("python") / "bin"
    _run(
        *(str(node / "npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"),
        *("--loglevel=error", f"--prefix={home}"),
        path=str(node),
    )


def _run(*command: str, path: str | None = None) -> None:
    environment = dict(os.environ)
    if path is not None:
        environment["PATH"] = f"{path}{os.pathsep}{environment['PATH']}"
    subprocess.run(command, check=True, env=environment)


def _digest(*files: Path) -> str:
    content = b"\0".join(file.read_bytes() for file in files)
    return hashlib.sha256(content).hexdigest()[:12]


if __name__ == "__main__":
    install()
