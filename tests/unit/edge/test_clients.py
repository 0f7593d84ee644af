"""Which program calls, as one of few labels."""

import pytest

from smart_llmrouter.edge.clients import CLIENT_LABELS, NONE, OTHER, client_label


@pytest.mark.parametrize(
    ("user_agent", "label"),
    [
        (None, NONE),
        (b"", NONE),
        (b"OpenAI/Python 3.54.0", "openai-python"),
        (b"AsyncOpenAI/Python 3.54.0", "openai-python"),
        (b"OpenAI/JS 6.1.0", "openai-node"),
        (b"Anthropic/Python 1.0", "anthropic-python"),
        (b"codex_cli_rs/0.50.0 (Linux)", "codex"),
        (b"claude-cli/2.0.1 (external, cli)", "claude-code"),
        (b"curl/8.5.0", "curl"),
        (b"Mozilla/5.0 (X11; Linux x86_64)", "browser"),
        (b"python-requests/2.32", "requests"),
        (b"acme-internal-tool/7 user=bob", OTHER),
        (b"\xff\xfe", OTHER),
        (b"x" * 10_000, OTHER),
    ],
)
def test_a_user_agent_has_a_label(user_agent: bytes | None, label: str) -> None:
    """Known programs are named; of all others nothing is kept."""
    assert client_label(user_agent) == label
    assert label in CLIENT_LABELS


def test_labels_are_few() -> None:
    """The set of labels is closed, so that a metric or a report can group by it."""
    labels = {client_label(f"agent-{number}".encode()) for number in range(1000)}

    assert labels == {OTHER}
