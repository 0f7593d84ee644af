"""Pin every dependency, with hashes and without addresses, from `pyproject.toml`.

`python tools/lock.py [--upgrade]` rewrites `requirements/*.txt`. One file holds on
every supported Python and platform; which registry serves it is the machine's affair.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = {
    "run": ["pyproject.toml"],
    "build": ["--group", "build", "-c", "requirements/run.txt"],
    "demo": ["--group", "demo", "-c", "requirements/run.txt"],
    "dev": ["pyproject.toml", "--group", "dev", "-c", "requirements/run.txt"],
    "clients": ["--group", "clients"],
    "clients-aider": ["--group", "clients-aider", "--python-version", "3.11"],
    "local-llm": [
        "pyproject.toml",
        "--extra",
        "local-llm",
        "-c",
        "requirements/run.txt",
    ],
}
OPTIONS = [
    "--quiet",
    "--universal",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-annotate",
    "--no-header",
]


def lock(name: str, options: list[str]) -> None:
    """Write `requirements/<name>.txt`."""
    print(f"requirements/{name}.txt")
    command = [sys.executable, "-m", "uv", "pip", "compile", *OPTIONS, *options]
    output = ["--output-file", f"requirements/{name}.txt"]
    subprocess.run([*command, *SOURCES[name], *output], check=True, cwd=ROOT)


if __name__ == "__main__":
    for target in SOURCES:
        lock(target, sys.argv[1:])
