"""The files of a demo."""

import hashlib
import re
from pathlib import Path

import pytest

from smart_llmrouter.cli.demo_files import (
    ADMIN_CALLER,
    ORDINARY_CALLER,
    DemoFiles,
    UnusableDemo,
    only_demo_in,
    prepare,
)
from smart_llmrouter.cli.options import Llm
from smart_llmrouter.config.load import load

TOKEN = re.compile(r"rtr_(app|operator)_demo_dev_k1_[0-9a-f]{64}")


def prepared(directory: Path, *, llm: Llm = "mock", port: int = 8080) -> DemoFiles:
    """Prepare a demo in `directory`."""
    return prepare(
        directory,
        llm=llm,
        listen=f"127.0.0.1:{port}",
        base_url="http://127.0.0.1:9200/v1",
    )


@pytest.mark.parametrize("llm", ["mock", "local"])
def test_the_configuration_is_right(tmp_path: Path, llm: Llm) -> None:
    """What a demo writes has no findings, and knows its tokens by their hashes."""
    files = prepared(tmp_path, llm=llm)

    loaded = load(files.configuration, environment={})

    assert loaded.findings == ()
    snapshot = loaded.snapshot
    assert snapshot is not None
    assert set(snapshot.groups) == {"chat", "fast"}
    assert {
        snapshot.callers_by_digest[hashlib.sha256(token.encode()).digest()].id
        for token in files.tokens.values()
    } == {ORDINARY_CALLER, ADMIN_CALLER}
    assert snapshot.state.directory == files.state


def test_a_demo_shows_the_router_as_it_is_without_settings(tmp_path: Path) -> None:
    """It calls providers in the way that everybody gets."""
    files = prepared(tmp_path)

    snapshot = load(files.configuration, environment={}).snapshot

    assert snapshot is not None
    assert snapshot.upstream.transport == "lean"


def test_a_second_start_keeps_changes_and_renews_tokens(tmp_path: Path) -> None:
    """Comments and settings of the user stay; hashes and addresses are new."""
    first = prepared(tmp_path)
    path = first.configuration
    path.write_text(
        path.read_text().replace("strategy: static", "strategy: static  # mine")
    )

    second = prepared(tmp_path, port=8099)

    text = path.read_text()
    assert (first.created, second.created) == (True, False)
    assert "strategy: static  # mine" in text
    assert "listen: 127.0.0.1:8099" in text
    for caller in (ORDINARY_CALLER, ADMIN_CALLER):
        old, new = first.tokens[caller], second.tokens[caller]
        assert TOKEN.fullmatch(new)
        assert old != new
        assert hashlib.sha256(old.encode()).hexdigest() not in text
        assert hashlib.sha256(new.encode()).hexdigest() in text


def test_only_what_is_ours_changes(tmp_path: Path) -> None:
    """The second writing differs from the first in hashes alone."""
    path = prepared(tmp_path).configuration
    before = path.read_text()

    prepared(tmp_path)

    hashes = re.compile(r'"[0-9a-f]{64}"')
    assert hashes.sub("", path.read_text()) == hashes.sub("", before)


def test_tokens_are_written_nowhere(tmp_path: Path) -> None:
    """No file of the demo has a token in it."""
    files = prepared(tmp_path)

    texts = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]

    assert texts
    assert not any(
        token.rpartition("_")[2] in text
        for token in files.tokens.values()
        for text in texts
    )


def test_callers_that_were_removed_get_no_tokens(tmp_path: Path) -> None:
    """A configuration with callers of its own is left with them."""
    path = prepared(tmp_path).configuration
    path.write_text(path.read_text().replace("id: demo-admin", "id: mine"))

    files = prepared(tmp_path)

    assert set(files.tokens) == {ORDINARY_CALLER}


@pytest.mark.parametrize("text", ["a: [", "", "server: 1\n", "[]\n"])
def test_a_broken_file_is_told(tmp_path: Path, text: str) -> None:
    """A file that no demo can use is named, and left as it is."""
    (tmp_path / "router.yaml").write_text(text)

    with pytest.raises(UnusableDemo, match=r"router\.yaml"):
        prepared(tmp_path)
    assert (tmp_path / "router.yaml").read_text() == text


def test_a_directory_has_one_demo(tmp_path: Path) -> None:
    """A second demo in the same directory is refused until the first has ended."""
    with (
        only_demo_in(tmp_path),
        pytest.raises(UnusableDemo, match="--directory"),
        only_demo_in(tmp_path),
    ):
        pass
    with only_demo_in(tmp_path):
        entered = True

    assert entered
