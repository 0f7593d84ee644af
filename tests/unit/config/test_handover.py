"""A snapshot goes from one process to another, and nothing of it is lost."""

import pickle

import pytest

from smart_llmrouter.config.handover import packed, unpacked
from tests.support.configuration import KEY, SMALL, changed, loaded

FULL = changed(
    "    targets:\n",
    "    rules: {rules: [{when: stream, use: [acme/mini]}]}\n"
    "    limits: {rpm: 10}\n    targets:\n",
    changed("strategy: failover", "strategy: rules"),
)


@pytest.mark.parametrize("text", [SMALL, FULL])
def test_what_was_packed_is_the_same(text: str) -> None:
    """Secrets come along, and what was one object is one object again."""
    snapshot = loaded(text).snapshot
    assert snapshot is not None

    content = packed(snapshot)
    found = unpacked(content)

    assert found == snapshot
    assert KEY.encode() in content
    assert found.groups_by_name["chat"] is found.groups["chat"]


def test_nobody_packs_a_secret_by_accident() -> None:
    """What does not do it on purpose is refused."""
    with pytest.raises(TypeError, match="cannot be serialised"):
        pickle.dumps(loaded(SMALL).snapshot)
