"""A new caller goes into the file, and nothing else in it changes."""

import stat
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.config.addition import Added, Wish, add_caller, prepare
from smart_llmrouter.config.amend import CannotAmend, with_caller
from smart_llmrouter.config.document import Plain
from smart_llmrouter.config.findings import ConfigurationError
from smart_llmrouter.config.load import load_snapshot
from smart_llmrouter.config.reader import read_bytes
from smart_llmrouter.config.tokens import Holder
from smart_llmrouter.core.identity import token_digest
from tests.support.configuration import ENVIRONMENT, HASH, SMALL, changed

ALICE = Holder(user="alice", project="search", environment="dev")
NOON = 1_790_000_000.0
ENTRY: dict[str, Plain] = {"id": "x", "allow": ["chat"]}


def secret_bytes(count: int) -> bytes:
    """Stand in for chance: always the same bytes."""
    return b"\xc5" * count


def wish(holder: Holder = ALICE, *, key: str | None = None) -> Wish:
    """Ask for a token that may use the group `chat`."""
    return Wish(
        holder=holder,
        key=key,
        caller_id=None,
        allow=("chat",),
        expires_at=date(2028, 2, 1),
    )


def add(path: Path, wanted: Wish | None = None) -> Added:
    """Add a caller to the file."""
    return add_caller(
        path,
        wanted or wish(),
        random_bytes=secret_bytes,
        wall_clock=lambda: NOON,
    )


def router_yaml(directory: Path, text: str = SMALL) -> Path:
    """Write a configuration file."""
    path = directory / "router.yaml"
    path.write_text(text)
    return path


def test_the_new_token_is_let_in(tmp_path: Path) -> None:
    """The hash in the file is that of the token; the token is 256 bits and its id."""
    path = router_yaml(tmp_path)

    added = add(path)

    token = added.issued.token.reveal()
    snapshot = load_snapshot(path, environment=ENVIRONMENT)
    caller = snapshot.callers_by_digest[token_digest(token.encode())]
    assert token == f"rtr_alice_search_dev_k2_{'c5' * 32}"
    assert caller.token_id == "rtr_alice_search_dev_k2"
    assert caller.id == "alice-search-dev-k2"
    assert caller.expires_on == date(2028, 2, 1)


def test_everything_else_stays_byte_for_byte(tmp_path: Path) -> None:
    """Comments, blank lines and layout before and after the list are as they were."""
    callers = changed("    allow: [chat]\n", "    allow: [ chat ]   # two spaces\n")
    after = "\n# About the cache.\ncache: {enabled:   false}  # off\n"
    path = router_yaml(tmp_path, f"# Mine.\n\n{callers}{after}")

    add(path)

    text = path.read_text()
    assert text.startswith(f"# Mine.\n\n{callers}  - id: alice-search-dev-k2\n")
    assert text.endswith(f"    allow: [chat]\n{after}")


def test_the_old_file_is_kept_for_its_owner_only(tmp_path: Path) -> None:
    """The backup holds the bytes of before; the file keeps its own mode."""
    path = router_yaml(tmp_path)
    path.chmod(0o640)

    first, second = add(path), add(path, wish(key="k9"))

    assert first.backup == tmp_path / "state/backups/router-20260921T141320Z.yaml"
    assert first.backup.read_text() == SMALL
    assert second.backup.name == "router-20260921T141320Z-2.yaml"
    assert stat.S_IMODE(first.backup.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(each.name for each in tmp_path.iterdir()) == ["router.yaml", "state"]


def test_the_token_is_nowhere_on_disk(tmp_path: Path) -> None:
    """Neither the file nor the backup nor anything beside them holds the secret."""
    path = router_yaml(tmp_path, f"state: {{directory: var}}\n{SMALL}")

    added = add(path)

    secret = added.issued.token.reveal().rpartition("_")[2]
    files = [each for each in tmp_path.rglob("*") if each.is_file()]
    assert tmp_path / "var" / "backups" in {each.parent for each in files}
    assert [each for each in files if secret in each.read_text()] == []
    assert secret not in repr(added)


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    """The file that it leads to is replaced."""
    real = tmp_path / "real"
    real.mkdir()
    path = router_yaml(real)
    link = tmp_path / "router.yaml"
    link.symlink_to(path)

    add(link)

    assert link.is_symlink()
    assert "alice-search-dev-k2" in path.read_text()


@pytest.mark.parametrize(
    "callers",
    ["callers: []", "callers: []   # none yet", "callers:", "callers:  # none", ""],
)
def test_the_first_caller_of_a_file(tmp_path: Path, callers: str) -> None:
    """An empty list, a key without a value or no key at all: the list begins."""
    before = SMALL[: SMALL.index("callers:")].replace("users:", f"{callers}\nusers:")
    path = router_yaml(tmp_path, before)

    add(path)

    snapshot = load_snapshot(path, environment=ENVIRONMENT)
    assert [each.id for each in snapshot.callers_by_digest.values()] == [
        "alice-search-dev"
    ]
    lines = {line.strip() for line in path.read_text().splitlines()}
    assert {"- id: alice", "- use: acme/mini"} <= lines
    assert ("# none" in callers) == ("# none" in path.read_text())


def test_a_list_in_brackets_is_written_anew(tmp_path: Path) -> None:
    """Comments stay, also when the layout cannot."""
    entry = (
        "{id: old, owner_user: alice, project: search, environment: dev,"
        f" token_sha256: {HASH}}}"
    )
    text = SMALL[: SMALL.index("callers:")] + f"callers: [{entry}]\n# The end.\n"
    path = router_yaml(tmp_path, f"# Mine.\n{text}")

    add(path)

    after = path.read_text()
    assert after.startswith("# Mine.\n")
    assert "# The end." in after
    assert len(load_snapshot(path, environment=ENVIRONMENT).callers_by_digest) == 2


@pytest.mark.parametrize(
    ("holder", "message"),
    [
        (Holder(user="bob", project="search", environment="dev"), "no user has the id"),
        (Holder(user="alice", project="ads", environment="dev"), "no project has"),
    ],
)
def test_a_caller_that_would_be_wrong_is_refused(
    tmp_path: Path, holder: Holder, message: str
) -> None:
    """The findings are told, and neither file nor directory is touched."""
    path = router_yaml(tmp_path)

    with pytest.raises(ConfigurationError, match=message):
        add(path, wish(holder))

    assert path.read_text() == SMALL
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_wrong_already_is_not_touched(tmp_path: Path) -> None:
    """The result would have errors, whoever made them."""
    text = changed("strategy: failover", "strategy: failovr")
    path = router_yaml(tmp_path, text)

    with pytest.raises(ConfigurationError, match="failovr"):
        add(path)

    assert path.read_text() == text


def test_secrets_of_providers_need_not_be_there(tmp_path: Path) -> None:
    """Tokens may be made where the provider's key is not known."""
    path = router_yaml(tmp_path, changed("${ACME_API_KEY}", "file:/none/of/these"))

    added = add(path)

    assert added.issued.token_id == "rtr_alice_search_dev_k2"


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    """There is nothing to add to."""
    with pytest.raises(CannotAmend, match="there is no such file"):
        add(tmp_path / "router.yaml")


def test_without_a_file_the_first_key_is_given(tmp_path: Path) -> None:
    """An entry can be made for a file that lives elsewhere."""
    prepared = prepare(tmp_path / "none.yaml", wish(), random_bytes=secret_bytes)

    assert prepared.entry["id"] == "alice-search-dev"
    assert prepared.entry["token_id"] == "rtr_alice_search_dev_k1"
    assert prepared.amended is None


@pytest.mark.parametrize(
    ("known", "expected"),
    [("k1", "k2"), ("k7", "k8"), ("blue", "k1"), ("k1x", "k1"), ("k007", "k1")],
)
def test_key_ids_go_on_after_the_highest(
    tmp_path: Path, known: str, expected: str
) -> None:
    """A key id is not given twice, also when the one before it is gone."""
    path = router_yaml(tmp_path, changed("dev_k1\n", f"dev_{known}\n"))

    prepared = prepare(path, wish(), random_bytes=secret_bytes)

    assert prepared.issued.token_id == f"rtr_alice_search_dev_{expected}"


def test_failing_to_write_leaves_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the new file cannot be put in place, the old one is there and whole."""
    path = router_yaml(tmp_path)

    def full(_: Path, __: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)

    with pytest.raises(OSError, match="No space left"):
        add(path)

    assert path.read_text() == SMALL
    assert [each.name for each in tmp_path.glob(".*")] == []


LAYOUTS: list[Callable[[str], str]] = [
    lambda text: text,
    lambda text: text.replace("\n", "\r\n"),
    lambda text: text.rstrip("\n"),
    lambda text: text + "\n\n# the end\n",
    lambda text: text + "# the end",
    lambda text: text.replace("\n  - ", "\n- ").replace("\n    ", "\n  "),
    lambda text: "---\n" + text + "...\n",
    lambda text: text + "cache:\n  enabled: false\n",
    lambda text: text.replace("id: a", "id: a\t").replace("callers:", "callers: \t"),
]
LIST = "callers:\n  - id: a\n    allow: [chat]\n  - id: b\n    note: {}\n"


@given(
    st.sampled_from(LAYOUTS),
    st.sampled_from(
        ["x", "|\n      many\n      lines\n", "'it''s'", "[1,\n      2]", "\n      - y"]
    ),
    st.sampled_from(["", "# before\n", "users: []\n"]),
)
def test_whatever_the_layout_only_the_entry_is_new(
    layout: Callable[[str], str], last: str, before: str
) -> None:
    """Read again, the file says what it said, plus the new caller at the end."""
    text = layout(before + LIST.format(last))
    document = read_bytes(text.encode(), file="router.yaml").document
    assert document is not None

    after = read_bytes(with_caller(document, text, dict(ENTRY)).encode(), file="")

    callers = document.root["callers"]
    assert isinstance(callers, list)
    assert after.document is not None
    assert after.document.root == {**document.root, "callers": [*callers, ENTRY]}
