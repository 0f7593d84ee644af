"""The page of translations: nothing that it tells of is lost in silence."""

import pytest

from smart_llmrouter.core.request import DialectName
from tools.translation_page import PAIRS, PROBES, outcome

MEANING = {
    "openai-chat": {"n", "logprobs", "logit_bias", "modalities: audio"},
    "openai-responses": {
        "previous_response_id",
        "conversation",
        "prompt",
        "background",
        "top_logprobs",
        "item_reference",
        "compaction",
        "computer_call",
    },
    "anthropic-messages": {"container", "mcp_servers", "search_result", "image: file"},
}
"""What no other dialect can say, and without which the answer would be another one."""


@pytest.mark.parametrize(("client", "provider"), PAIRS)
def test_no_field_is_lost_in_silence(
    client: DialectName, provider: DialectName
) -> None:
    """A field is carried, named in a note, or a reason to refuse."""
    _, probes = PROBES[client]

    fates = {probe.name: outcome(probe, client, provider).fate for probe in probes}

    assert [name for name, fate in fates.items() if fate == "lost"] == []
    assert {name for name in MEANING[client] if fates[name] != "refused"} == set()


def test_each_field_is_probed_once() -> None:
    """A name stands in one row of a table."""
    for _, probes in PROBES.values():
        names = [probe.name for probe in probes]

        assert len(names) == len(set(names))
