"""Flat names for tools, and the way back."""

import re

from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.core.request import CustomTool, FunctionTool, SearchTool, Tool
from smart_llmrouter.dialects.tool_names import ToolName, ToolNames

names = st.text("ab_-./ é", min_size=1, max_size=70)
tools = st.lists(
    st.one_of(
        st.builds(FunctionTool, name=names, namespace=st.none() | names),
        st.builds(CustomTool, name=names, namespace=st.none() | names),
    ),
    max_size=8,
)


def kind_of(tool: Tool) -> ToolName:
    """Return a tool as its caller names it."""
    assert isinstance(tool, FunctionTool | CustomTool)
    custom = isinstance(tool, CustomTool)
    return ToolName(tool.name, tool.namespace, "custom" if custom else "function")


@given(declared=tools)
def test_each_tool_has_a_fitting_name_of_its_own(declared: list[Tool]) -> None:
    """At most 64 letters, digits, `_` and `-`; no two tools share one."""
    flat = ToolNames(declared)
    by_place = {(tool.namespace, tool.name): tool for tool in map(kind_of, declared)}

    said = {place: flat.flat(place[1], place[0]) for place in by_place}

    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in said.values())
    assert len(set(said.values())) == len(said)


@given(declared=tools)
def test_the_way_back(declared: list[Tool]) -> None:
    """A flat name leads to the name and the namespace that the caller knows."""
    flat = ToolNames(declared)

    back = [
        flat.known(flat.flat(tool.name, tool.namespace))
        for tool in map(kind_of, declared)
    ]

    assert [(tool.name, tool.namespace) for tool in back] == [
        (tool.name, tool.namespace) for tool in map(kind_of, declared)
    ]


@given(declared=tools)
def test_the_same_tools_have_the_same_names(declared: list[Tool]) -> None:
    """Whatever their order: a provider's prompt cache depends on it."""
    forth, back = ToolNames(declared), ToolNames(declared[::-1])

    for tool in map(kind_of, declared):
        assert forth.flat(tool.name, tool.namespace) == back.flat(
            tool.name, tool.namespace
        )


def test_plain_names_stay() -> None:
    """What fits is not changed, and nothing has to be undone."""
    flat = ToolNames([FunctionTool(name="Bash"), FunctionTool(name="mcp__a__b")])

    assert (flat.flat("Bash", None), flat.flat("mcp__a__b", None)) == (
        "Bash",
        "mcp__a__b",
    )
    assert flat.changed == {}
    assert flat.known("never heard of") == ToolName("never heard of")


def test_a_search_is_known_as_one() -> None:
    """Its calls come back as calls of a search."""
    flat = ToolNames([SearchTool()])

    assert flat.known("tool_search") == ToolName("tool_search", None, "tool_search")
