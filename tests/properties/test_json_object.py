"""An object that is taken apart and put together again keeps every value's bytes."""

from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.dialects.openai_chat.requests import parse_request, render_request
from smart_llmrouter.wire.jsonobject import parse_members, render_members
from tests.support.json_text import members, written

READ = frozenset({"model", "stream", "stream_options", "messages"})


@given(st.data())
def test_values_keep_their_bytes_and_keys_their_order(data: st.DataObject) -> None:
    """Numbers, escapes, whitespace and duplicate keys inside values all stay."""
    pieces = data.draw(members(without=frozenset()))
    body = data.draw(written(pieces))

    taken = parse_members(body)

    assert [(name, bytes(raw).decode()) for name, raw in taken.items()] == [
        *pieces.items()
    ]
    assert parse_members(render_members(taken)) == taken


@given(st.data())
def test_a_request_is_changed_in_its_model_only(data: st.DataObject) -> None:
    """Every other top-level value reaches the target byte for byte, in its order."""
    around = data.draw(members(without=READ))
    pieces = {"messages": "[]", **around, "model": '"chat"'}
    shuffled = dict(data.draw(st.permutations(list(pieces.items()))))
    body = data.draw(written(shuffled))

    sent = parse_members(render_request(parse_request(body), model=b'"target"'))

    expected = {**shuffled, "model": '"target"'}
    assert {name: bytes(raw).decode() for name, raw in sent.items()} == expected
    assert list(sent) == list(expected)
