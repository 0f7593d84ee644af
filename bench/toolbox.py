"""The tools that make the load: two small C programs and wrk, found or made ready."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
BUILT: Final = ROOT / ".cache" / "bench"
_SOURCES: Final = Path(__file__).resolve().parent / "load"
_TLS_FLAGS: Final = ("-DWITH_TLS", "-lssl", "-lcrypto")


class ToolMissing(Exception):
    """A tool is missing; the message says how to get it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolbox:
    """Where each tool is; `tls` says whether the mock provider can speak TLS."""

    mock_upstream: Path
    sse_load: Path
    wrk: Path
    post_script: Path
    tls: bool = False


def open_toolbox() -> Toolbox:
    """Build and find every tool. Raises `ToolMissing`."""
    if shutil.which("taskset") is None:
        raise ToolMissing("`taskset` is missing; Debian has it in `util-linux`")
    secure = _secure_mock()
    return Toolbox(
        mock_upstream=secure or compiled("mock_upstream"),
        sse_load=compiled("sse_load"),
        wrk=_wrk(),
        post_script=_SOURCES / "post.lua",
        tls=secure is not None,
    )


def compiled(name: str, *, variant: str = "", flags: Sequence[str] = ()) -> Path:
    """Compile one of the C programs, unless that is done already.

    Raises `ToolMissing` without a compiler, and `subprocess.CalledProcessError` when
    it refuses, because a library is missing.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    source, program = _SOURCES / f"{name}.c", BUILT / f"{name}{variant}"
    if program.exists() and program.stat().st_mtime >= source.stat().st_mtime:
        return program
    if compiler is None:
        raise ToolMissing("a C compiler is missing; on Debian: apt-get install gcc")
    BUILT.mkdir(parents=True, exist_ok=True)
    # Whoever compiles at the same time sees the old program or the new one.
    unfinished = BUILT / f"{program.name}.{os.getpid()}"
    command = [compiler, "-O2", "-o", str(unfinished), str(source), *flags]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL if flags else None)
    unfinished.replace(program)
    return program


def from_debian(*packages: str) -> bool:
    """Install packages of Debian; say whether that was possible (it needs root)."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    print(f"installing {' '.join(packages)} ...", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    steps = (
        ["update", "-qq"],
        ["install", "-qq", "-y", "--no-install-recommends", *packages],
    )
    done = [
        subprocess.run(
            ["apt-get", *step],
            check=False,
            env=quiet,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for step in steps
    ]
    return done[-1].returncode == 0


def _secure_mock() -> Path | None:
    """Return the mock provider with TLS, or nothing where OpenSSL cannot be had."""
    for again in (False, True):
        try:
            return compiled("mock_upstream", variant="-tls", flags=_TLS_FLAGS)
        except subprocess.CalledProcessError:
            if again or not from_debian("libssl-dev"):
                break
    return None


def _wrk() -> Path:
    found = shutil.which("wrk")
    if found is None and from_debian("wrk"):
        found = shutil.which("wrk")
    if found is None:
        raise ToolMissing(
            "`wrk` is missing; as root this installs it: apt-get install wrk"
        )
    return Path(found)
