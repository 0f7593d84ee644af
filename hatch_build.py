"""Bakes the facts of a build and the built documentation into the wheel.

The build backend loads this file. As a script, `python hatch_build.py DIRECTORY`
builds the documentation alone; the router serves `src/smart_llmrouter/_site`.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent
FACTS_PATH = Path("src", "smart_llmrouter", "_build.json")
Facts = dict[str, str]


class BakeHook(BuildHookInterface[BuilderConfig]):
    """Adds `_build.json` to every build, and `_site` to every wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make what is to be baked in, unless the install only points at the source."""
        if version == "editable":
            return
        scratch = Path(tempfile.mkdtemp(prefix="smart-llmrouter-build-"))
        self._scratch = scratch
        facts = facts_of_build()
        (scratch / "_build.json").write_text(json.dumps(facts), encoding="utf-8")
        baked = build_data["force_include"]
        if self.target_name == "sdist":
            baked[str(scratch / "_build.json")] = str(FACTS_PATH)
            return
        build_site(scratch / "_site", facts)
        baked[str(scratch / "_build.json")] = "smart_llmrouter/_build.json"
        baked[str(scratch / "_site")] = "smart_llmrouter/_site"

    def finalize(
        self, version: str, build_data: dict[str, Any], artifact_path: str
    ) -> None:
        """Remove what was only needed to fill the archive."""
        del version, build_data, artifact_path
        scratch = getattr(self, "_scratch", None)
        if scratch is not None:
            shutil.rmtree(scratch)


def facts_of_build() -> Facts:
    """Return version, commit and time (UTC) of a build that is made now."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    built = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    return {
        "version": project["project"]["version"],
        "commit": _commit(),
        "built_at": built.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _commit() -> str:
    """Ask git; a source archive has no history and brings the answer along."""
    if (ROOT / ".git").exists():
        asked = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return asked.stdout.strip() or "unknown"
    if (ROOT / FACTS_PATH).exists():
        brought = json.loads((ROOT / FACTS_PATH).read_text(encoding="utf-8"))
        return str(brought["commit"])
    return "unknown"


def build_site(directory: Path, facts: Facts) -> None:
    """Build the documentation into `directory`, replacing what is there.

    Raises:
        RuntimeError: the documentation cannot be built, or not without warnings.
    """
    shutil.rmtree(directory, ignore_errors=True)
    footer = "smart-llmrouter {version} · commit {commit} · built {built_at}"
    options = ["--strict", "--config-file", str(ROOT / "mkdocs.yml")]
    settings = {
        "SMART_LLMROUTER_FOOTER": footer.format_map(facts),
        "NO_MKDOCS_2_WARNING": "1",
    }
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", *options, "--site-dir", directory],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode != 0:
        message = f"the documentation cannot be built:\n{built.stderr}{built.stdout}"
        raise RuntimeError(message)
    # Both know only a site's public address, which a router's operator chooses.
    for unused in ("404.html", "sitemap.xml", "sitemap.xml.gz"):
        (directory / unused).unlink(missing_ok=True)
    (directory / "build.json").write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    try:
        build_site(Path(sys.argv[1]).resolve(), facts_of_build())
    except RuntimeError as failure:
        sys.exit(str(failure))
    print(f"the documentation is in {sys.argv[1]}")
