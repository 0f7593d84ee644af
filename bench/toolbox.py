"""The tools that make the load: two small C programs and wrk, found or made ready."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
BUILT: Final = ROOT / ".cache" / "bench"
_SOURCES: Final = Path(__file__).resolve().parent / "load"


class ToolMissing(Exception):
    """A tool is missing; the message says how to get it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolbox:
    """Where each tool is."""

    mock_upstream: Path
    sse_load: Path
    wrk: Path
    post_script: Path


def open_toolbox() -> Toolbox:
    """Build and find every tool. Raises `ToolMissing`."""
    if shutil.which("taskset") is None:
        raise ToolMissing("`taskset` is missing; Debian has it in `util-linux`")
    return Toolbox(
        mock_upstream=compiled("mock_upstream"),
        sse_load=compiled("sse_load"),
        wrk=_wrk(),
        post_script=_SOURCES / "post.lua",
    )


def compiled(name: str) -> Path:
    """Compile one of the C programs, unless that is done already."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    source, program = _SOURCES / f"{name}.c", BUILT / name
    if program.exists() and program.stat().st_mtime >= source.stat().st_mtime:
        return program
    if compiler is None:
        raise ToolMissing("a C compiler is missing; on Debian: apt-get install gcc")
    BUILT.mkdir(parents=True, exist_ok=True)
    # Whoever compiles at the same time sees the old program or the new one.
    unfinished = BUILT / f"{name}.{os.getpid()}"
    subprocess.run([compiler, "-O2", "-o", unfinished, source], check=True)
    unfinished.replace(program)
    return program


def _wrk() -> Path:
    found = shutil.which("wrk")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        print("installing wrk ...")
        for step in (["update", "-qq"], ["install", "-qq", "-y", "wrk"]):
            subprocess.run(["apt-get", *step], check=False, stdout=subprocess.DEVNULL)
        found = shutil.which("wrk")
    if found is None:
        raise ToolMissing(
            "`wrk` is missing; as root this installs it: apt-get install wrk"
        )
    return Path(found)
