"""Hypothesis strategies for JSON as people and programs really spell it."""

import json

from hypothesis import strategies as st

# Spellings that a parser and a printer in between would change.
NUMBERS = st.sampled_from(
    [
        "0", "-0", "-0.0", "1.00", "1.0", "1e5", "1E+2", "1e-7", "0.1000", "123456789",
        "12345678901234567890123", "1e400", "3.141592653589793238462643",
    ]
) | st.integers().map(str)  # fmt: skip

_SPACE = st.text(alphabet=" \t\n\r", max_size=3)


@st.composite
def strings(draw: st.DrawFn) -> str:
    """Return a JSON string: some characters raw, some escaped one way or another."""
    text = draw(st.text(max_size=8))
    if draw(st.booleans()):
        return json.dumps(text)
    if draw(st.booleans()):
        return json.dumps(text, ensure_ascii=False)
    escaped = text.encode("utf-16-be")
    return (
        '"'
        + "".join(
            f"\\u{escaped[place]:02X}{escaped[place + 1]:02x}"
            for place in range(0, len(escaped), 2)
        )
        + draw(st.sampled_from(["", "\\/", "\\b", "\\u0000"]))
        + '"'
    )


@st.composite
def _arrays(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    items = draw(st.lists(inner, max_size=4))
    space = draw(_SPACE)
    return "[" + space + ("," + space).join(items) + space + "]"


@st.composite
def _objects(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    """Return an object; a key may stand in it twice."""
    keys = draw(st.lists(strings(), max_size=4))
    space = draw(_SPACE)
    members = [f"{key}{space}:{space}{draw(inner)}" for key in keys]
    return "{" + space + f"{space},{space}".join(members) + space + "}"


def values() -> st.SearchStrategy[str]:
    """Return any JSON value, as text."""
    return st.recursive(
        NUMBERS | strings() | st.sampled_from(["true", "false", "null"]),
        lambda inner: _arrays(inner) | _objects(inner),
        max_leaves=8,
    )


@st.composite
def members(draw: st.DrawFn, *, without: frozenset[str]) -> dict[str, str]:
    """Return members of an object in some order: keys, and their values as text."""
    names = st.text(min_size=1, max_size=8) | st.sampled_from(
        ["temperature", "seed", "x_vendor", "metadata", "reasoning_effort", "n"]
    )
    return draw(
        st.dictionaries(
            names.filter(lambda name: name not in without), values(), max_size=5
        )
    )


@st.composite
def written(draw: st.DrawFn, pieces: dict[str, str]) -> bytes:
    """Write an object with these members, and with whitespace here and there."""
    space = draw(_SPACE)
    body = f"{space},{space}".join(
        f"{json.dumps(name)}{space}:{space}{value}" for name, value in pieces.items()
    )
    return f"{space}{{{body}{space}}}{space}".encode()
