"""A reasoning state that a caller of another dialect keeps for its maker."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.core.content import ReasoningState
from smart_llmrouter.dialects.registry import DIALECTS
from smart_llmrouter.dialects.sealed import SEAL, seal, unseal

STATE = ReasoningState(kind="encrypted", value="opaque", item_id="rs_1")


@given(value=st.text(), text=st.text(), label=st.text())
def test_a_seal_gives_back_what_was_sealed(value: str, text: str, label: str) -> None:
    """With the label of its maker, whatever is in it."""
    state = ReasoningState(kind="signature", value=value)

    opened = unseal(seal(state, label=label, text=text))

    made = ReasoningState(kind="signature", value=value, minted_by=label)
    assert opened == (made, text)


@pytest.mark.parametrize("text", ["", "EqQB", SEAL, SEAL + "!", SEAL + "AAAA"])
def test_what_was_not_sealed_here_is_left_alone(text: str) -> None:
    """A provider's own state, or one that was cut, opens to nothing."""
    assert unseal(text) is None


@pytest.mark.parametrize("keep", [False, True])
def test_a_seal_reaches_routers_only(*, keep: bool) -> None:
    """A real provider would refuse it; another router may have made it."""
    sealed = seal(STATE, label="a/b", text="hm")
    messages = (
        '{"model":"m","max_tokens":9,"messages":[{"role":"assistant","content":['
        f'{{"type":"thinking","thinking":"hm","signature":"{sealed}"}},'
        '{"type":"thinking","thinking":"none","signature":""},'
        '{"type":"text","text":"hi"}]},{"role":"user","content":"go on"}]}'
    )
    responses = (
        '{"model":"m","input":[{"type":"reasoning","summary":[],'
        f'"encrypted_content":"{sealed}"}},{{"role":"user","content":"go on"}}]}}'
    )

    sent = [
        dialect.address(dialect.peek(body.encode()), model=b'"x"', keep_seals=keep)
        for dialect, body in (
            (DIALECTS["anthropic-messages"], messages),
            (DIALECTS["openai-responses"], responses),
        )
    ]

    assert [sealed.encode() in body for body in sent] == [keep, keep]
    assert b'"none"' not in sent[0]
    assert all(b"go on" in body for body in sent)
