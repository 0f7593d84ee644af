"""What `pip install .` puts on a machine."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.repository import ROOT, our_files

SITE = "smart_llmrouter/_site/"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the repository without history, in a path with a space."""
    copy = tmp_path_factory.mktemp("builds") / "a checkout"
    for path in our_files():
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return copy


def build(kind: str, source: Path, target: Path) -> Path:
    """Build a wheel or a source archive of `source` at a fixed time."""
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", target],
        cwd=source,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1767323045"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return next(target.iterdir())


def test_a_wheel_brings_its_facts_and_its_documentation(
    checkout: Path, tmp_path: Path
) -> None:
    """Version, commit and time are baked in, and every page of the docs."""
    wheel = build("wheel", checkout, tmp_path / "out")

    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        facts = json.loads(archive.read("smart_llmrouter/_build.json"))
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}
    assert facts["built_at"] == "2026-01-02T03:04:05Z"
    assert facts["commit"] == "unknown"
    assert len(names) == len(set(names))
    assert {f"{SITE}{page}/index.html" for page in pages} <= {*names}
    assert {f"{SITE}index.html", f"{SITE}build.json"} <= {*names}


def test_a_wheel_starts_nothing_by_itself(checkout: Path, tmp_path: Path) -> None:
    """Nothing but the package and its metadata is installed: no start-up hook."""
    wheel = build("wheel", checkout, tmp_path / "out")

    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0].split("-")[0] for name in names}
    assert tops == {"smart_llmrouter"}
    assert [name for name in names if name.endswith((".pth", ".so"))] == []


def test_a_source_archive_remembers_its_commit(checkout: Path, tmp_path: Path) -> None:
    """A wheel built from a source archive names the commit that the archive was."""
    unpacked = tmp_path / "unpacked"
    with tarfile.open(build("sdist", checkout, tmp_path / "archive")) as archive:
        archive.extractall(unpacked, filter="data")
    source = next(unpacked.iterdir())
    facts_path = source / "src" / "smart_llmrouter" / "_build.json"
    facts = json.loads(facts_path.read_text("utf-8"))
    facts_path.write_text(json.dumps({**facts, "commit": "abc123"}), "utf-8")

    wheel = build("wheel", source, tmp_path / "out")

    with zipfile.ZipFile(wheel) as archive:
        told = json.loads(archive.read("smart_llmrouter/_build.json"))
    assert told == {**facts, "commit": "abc123"}


def test_a_wheel_without_documentation_is_not_made(
    checkout: Path, tmp_path: Path
) -> None:
    """Where the docs cannot be built, the build stops and says why."""
    broken = tmp_path / "broken"
    shutil.copytree(checkout, broken)
    (broken / "docs" / "concepts.md").write_text("[gone](nowhere.md)\n")

    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel"],
        cwd=broken,
        capture_output=True,
        text=True,
        check=False,
    )

    assert built.returncode != 0
    assert "the documentation cannot be built" in built.stderr
    assert "nowhere.md" in built.stderr
    assert not (broken / "dist").exists() or not list((broken / "dist").iterdir())
