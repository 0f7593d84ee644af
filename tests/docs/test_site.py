"""The built documentation: complete, and loading nothing from elsewhere."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import hatch_build
import pytest
from mkdocs.config import load_config

ROOT = Path(__file__).resolve().parents[2]
FACTS = {"version": "9.8.7", "commit": "abc", "built_at": "2026-01-02T03:04:05Z"}

LOADED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio)\b[^>]*\ssrc=["']?(?:https?:)?//
      | <link\b(?=[^>]*rel=["']?(?:stylesheet|preload|preconnect|icon|dns-prefetch))
        [^>]*href=["']?(?:https?:)?//
      | @import\s | url\(["']?(?:https?:)?//""",
    re.VERBOSE,
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the documentation, built without warnings."""
    directory = tmp_path_factory.mktemp("docs") / "a site"
    hatch_build.build_site(directory, FACTS)
    return directory


def entries(nav: object) -> Iterator[str]:
    """Yield every page that a navigation names."""
    match nav:
        case str():
            yield nav
        case list():
            for each in nav:
                yield from entries(each)
        case dict():
            for each in nav.values():
                yield from entries(each)
        case _:
            raise TypeError(f"unexpected navigation entry: {nav!r}")


def test_every_page_is_in_the_navigation() -> None:
    """A page that nobody can find does not exist, and the other way round."""
    pages = {
        str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")
    }

    listed = set(entries(load_config(str(ROOT / "mkdocs.yml")).nav))

    assert listed == pages


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    """Fonts, scripts, styles and pictures all come with the package."""
    texts = {path: path.read_text("utf-8") for path in site.rglob("*.html")}
    texts |= {path: path.read_text("utf-8") for path in site.rglob("*.css")}

    foreign = {
        str(path.relative_to(site)): found.group()
        for path, text in texts.items()
        if (found := LOADED.search(text))
    }

    assert texts
    assert foreign == {}


def test_every_page_shows_version_and_time_of_the_build(site: Path) -> None:
    """The footer names the build that a reader looks at."""
    pages = list(site.rglob("*.html"))

    silent = [
        page
        for page in pages
        if "smart-llmrouter 9.8.7 · commit abc · built 2026-01-02T03:04:05Z"
        not in page.read_text("utf-8")
    ]

    assert pages
    assert silent == []


def test_documentation_with_a_dead_link_is_not_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build that cannot make the pages says why, instead of leaving them out."""
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("docs", "examples"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "docs" / "concepts.md").write_text("[gone](nowhere.md)\n")
    monkeypatch.setattr(hatch_build, "ROOT", tmp_path)

    with pytest.raises(RuntimeError, match=r"cannot be built:[\s\S]*nowhere\.md"):
        hatch_build.build_site(tmp_path / "site", FACTS)
