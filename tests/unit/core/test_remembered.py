"""What is remembered of lists changes nothing of what they weigh."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.core.remembered import Lists, Parts

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=30))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=6,
)
GAPS = st.sampled_from(["", " ", "\n  ", "\t\r\n"])
_decode = msgspec.json.Decoder(list[msgspec.Raw]).decode


@st.composite
def spelled(draw: st.DrawFn) -> str:
    """Return a value of JSON, spelled in one of several ways."""
    return json.dumps(draw(VALUES), ensure_ascii=draw(st.booleans()))


def listed(items: list[str], gap: str) -> bytes:
    """Write a list of such values, with a gap wherever one may be."""
    return f"[{gap}{f'{gap},{gap}'.join(items)}{gap}]".encode()


def weighed(text: bytes) -> tuple[int, int]:
    """Weigh a list of which nothing is remembered: its items' bytes."""
    items = [*map(bytes, _decode(text))]
    return sum(map(len, items)), len(items)


@given(st.lists(st.lists(spelled(), max_size=8), max_size=5), GAPS, st.integers(1, 40))
def test_lists_that_begin_alike_weigh_what_they_weigh_alone(
    turns: list[list[str]], gap: str, block_bytes: int
) -> None:
    """However a list goes on that is known so far, and wherever its blocks end."""
    lists = Lists(Parts(len), block_bytes=block_bytes)
    sent: list[str] = []
    for turn in turns:
        for text in (listed(sent + turn, gap), listed([*sent, *turn[:1]], gap)):
            assert lists.weighed(text)[:2] == weighed(text)
        sent += turn

    again = listed(sent, gap)
    assert lists.weighed(again)[:2] == weighed(again)


@pytest.mark.parametrize("block_bytes", range(1, 12))
def test_half_a_number_is_no_item(block_bytes: int) -> None:
    """A number that ends with a block may be longer in the next list."""
    lists = Lists(Parts(int), block_bytes=block_bytes)
    texts = [b"[7,12]", b"[7,123]", b"[7,1,2]", b"[7,1234,5]", b"[7,12,34]"]

    weights = [lists.weighed(text)[0] for text in texts]

    assert weights == [19, 130, 10, 1246, 53]


def test_only_what_is_new_is_taken_apart() -> None:
    """What a list has begun with is not looked at again, not even its items."""
    seen: list[bytes] = []

    def weigh(part: bytes) -> int:
        seen.append(part)
        return len(part)

    lists = Lists(Parts(weigh), block_bytes=32)
    first = [json.dumps("a" * 40), json.dumps("b" * 40)]
    lists.weighed(listed(first, ""))
    # It has seen no item yet.
    lists._items = Parts(weigh)
    seen.clear()

    assert lists.weighed(listed([*first, '"c"'], ""))[:2] == (42 + 42 + 3, 3)
    assert seen == [b'"' + b"b" * 40 + b'"', b'"c"']


def test_what_cannot_be_weighed_is_not_remembered() -> None:
    """It raises each time, and the lists around it are weighed all the same."""
    lists = Lists(Parts(int), block_bytes=4)
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid literal"):
            lists.weighed(b'[1,22,"x",333]')

    assert lists.weighed(b"[1,22,333]")[:2] == (356, 3)
    assert lists.weighed(b"[]")[:2] == (0, 0)
