"""What a request needs of a target, where its raw values are not what is usual."""

import json
from typing import Final

import pytest

from smart_llmrouter.core.request import DialectName
from smart_llmrouter.core.requirements import Requirements
from smart_llmrouter.dialects.registry import DIALECTS

CHAT: Final[DialectName] = "openai-chat"
RESPONSES: Final[DialectName] = "openai-responses"
MESSAGES: Final[DialectName] = "anthropic-messages"
FUNCTION: Final = {"type": "function", "function": {"name": "f"}}


def needs_of(dialect: DialectName, body: bytes) -> Requirements:
    """Return what a request is seen to need."""
    spoken = DIALECTS[dialect]
    return spoken.requirements_of(spoken.peek(body), body=body)


def needs(dialect: DialectName, **members: object) -> Requirements:
    """Return what a simple request needs with these members in it."""
    simple: dict[DialectName, dict[str, object]] = {
        CHAT: {"messages": [{"role": "user", "content": "hi"}]},
        RESPONSES: {"input": "hi"},
        MESSAGES: {"messages": [{"role": "user", "content": "hi"}]},
    }
    return needs_of(dialect, json.dumps({**simple[dialect], **members}).encode())


def said(content: object) -> list[dict[str, object]]:
    """Return one message of a user."""
    return [{"role": "user", "content": content}]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_plain_request_needs_nothing(dialect: DialectName) -> None:
    """Text alone can go to anybody."""
    seen = needs(dialect, stream=True)

    assert seen == Requirements(
        body=seen.body, dialect=dialect, stream=True, fields=seen.fields
    )
    assert seen.images == 0


@pytest.mark.parametrize(
    ("members", "parallel"),
    [
        ({"tools": [FUNCTION], "parallel_tool_calls": True}, True),
        ({"tools": [FUNCTION], "parallel_tool_calls": False}, False),
        ({"tools": [FUNCTION]}, False),
        ({"parallel_tool_calls": True}, False),
    ],
)
def test_several_calls_at_once_are_needed_where_asked_for(
    members: dict[str, object], *, parallel: bool
) -> None:
    """They are asked for in words, and beside tools only."""
    assert needs(CHAT, **members).parallel_tools is parallel


@pytest.mark.parametrize(("disabled", "parallel"), [(False, True), (True, False)])
def test_messages_says_it_the_other_way_round(
    *, disabled: bool, parallel: bool
) -> None:
    """`disable_parallel_tool_use: false` asks for several calls at once."""
    choice = {"type": "auto", "disable_parallel_tool_use": disabled}

    seen = needs(MESSAGES, tools=[{"name": "f"}], tool_choice=choice)

    assert seen.parallel_tools is parallel


@pytest.mark.parametrize(
    ("tool", "called"),
    [
        ({"name": "f", "input_schema": {}}, True),
        ({"type": "custom", "name": "f"}, True),
        ({"type": "bash_20250124", "name": "bash"}, True),
        ({"type": "text_editor_20250728", "name": "edit"}, True),
        ({"type": "memory_20250818", "name": "memory"}, True),
        ({"type": "computer_20250124", "name": "computer"}, True),
        ({"type": "web_search_20250305", "name": "web_search"}, False),
        ({"type": "web_fetch_20250910", "name": "web_fetch"}, False),
        ({"type": "code_execution_20250825", "name": "code"}, False),
        ({"type": "mcp_toolset", "mcp_server_name": "x"}, False),
        ({"type": "something_new_2030", "name": "x"}, False),
    ],
)
def test_tools_that_the_caller_runs_must_be_called(
    tool: dict[str, object], *, called: bool
) -> None:
    """What the provider runs itself is no call that the model makes."""
    seen = needs(MESSAGES, tools=[tool])

    assert seen.tools == ({"function"} if called else set())
    assert seen.tool_count == called


def test_tools_count_wherever_they_are_declared() -> None:
    """More tools in the input, and those that a search has found, are tools."""
    space = {"type": "namespace", "name": "n", "tools": [{"type": "function"}] * 3}
    found = {"type": "tool_search_output", "call_id": "1", "tools": [space]}
    more = {"type": "additional_tools", "tools": [{"type": "custom", "name": "c"}]}
    search = {"type": "tool_search", "execution": "client"}

    seen = needs(RESPONSES, input=[found, more], tools=[search])

    assert seen.tools == {"namespace", "custom", "tool_search"}
    assert seen.tool_count == 5
    assert seen.tool_schema_bytes == sum(
        len(json.dumps(each)) for each in ([space], more["tools"], [search])
    )


def test_a_search_that_the_provider_runs_is_no_call() -> None:
    """So is any tool that it runs."""
    tools = [{"type": "tool_search"}, {"type": "web_search"}, {"type": "mcp"}]

    assert needs(RESPONSES, tools=tools).tools == set()


def test_a_tool_that_a_provider_would_run_can_be_forced() -> None:
    """Not every target takes such a choice."""
    assert needs(RESPONSES, tool_choice={"type": "web_search"}).forced_choice


def test_tools_that_must_not_be_called_are_tools() -> None:
    """A target that knows no tools would not take the fields."""
    seen = needs(CHAT, tools=[FUNCTION], tool_choice="none")

    assert seen.tools == {"function"}
    assert not seen.forced_choice


@pytest.mark.parametrize(
    ("cap", "seen"),
    [(100, 100), ("100", None), (1.5, None), (True, None), (0, None), (-5, None)],
)
def test_a_cap_that_is_no_number_is_none(cap: object, seen: int | None) -> None:
    """The provider will say what is wrong with it."""
    assert needs(CHAT, max_completion_tokens=cap).output_cap == seen
    assert needs(RESPONSES, max_output_tokens=cap).output_cap == seen
    assert needs(MESSAGES, max_tokens=cap).output_cap == seen


def test_of_two_caps_the_older_field_counts() -> None:
    """Where a request has both, `max_tokens` is what is meant."""
    seen = needs(CHAT, max_completion_tokens=500, max_tokens=20)

    assert seen.output_cap == 20


def test_a_cap_beyond_all_bounds_is_bounded() -> None:
    """What counts tokens can count with it."""
    assert needs(CHAT, max_tokens=10**30).output_cap in (None, 1_000_000_000)


@pytest.mark.parametrize(
    ("asked", "choices"),
    [(3, 3), (1, 1), (0, 1), (-2, 1), ("3", 1), (2.5, 1), (None, 1), ([2], 1)],
)
def test_how_many_answers_are_asked_for_is_read_of_chat(
    asked: object, choices: int
) -> None:
    """What is no number above zero is one answer; the other dialects give no more."""
    assert needs(CHAT, n=asked).choices == choices
    assert needs(RESPONSES, n=asked).choices == 1
    assert needs(MESSAGES, n=asked).choices == 1


@pytest.mark.parametrize(
    "link",
    [
        r'"d\u0061ta:image/png;base64,AA=="',
        '"DATA:image/png;base64,AA=="',
        r'"data:image\/png;base64,AA=="',
        '" data:image/png;base64,AA=="',
        '{"url": "data:image/png;base64,AA=="}',
    ],
)
def test_data_is_known_however_it_is_spelled(link: str) -> None:
    """Escapes, capitals and blanks make no URL of it."""
    part = '{"type" : "im\\u0061ge_url", "image\\u005furl" : ' + link + "}"
    body = '{"messages":[{"role":"user","content":[' + part + "]}]}"

    seen = needs_of(CHAT, body.encode())

    assert (seen.image_data, seen.image_urls) == (1, 0)


def test_an_image_beside_odd_parts_is_seen() -> None:
    """What is no part at all hides none."""
    image = {"type": "image_url", "image_url": {"url": "http://images.example/"}}
    messages = [7, *said([None, {"type": 3}, "x", image]), {"content": 5}]

    assert needs(CHAT, messages=messages).image_urls == 1


def test_odd_items_hide_no_image_and_no_tool() -> None:
    """Also where contents are objects or numbers, in Responses."""
    image = {"type": "input_image", "image_url": "https://images.example/"}
    items = [
        7,
        {"role": 3, "content": [4, image]},
        {"output": image},
        {"content": 5, "output": "x"},
        {"type": "additional_tools", "tools": [6, {"type": "function", "name": "f"}]},
    ]

    seen = needs(RESPONSES, input=items)

    assert seen.image_urls == 2
    assert seen.tools == {"function"}


def test_odd_blocks_hide_no_image() -> None:
    """Also where a result of the provider's own tool is an object, in Messages."""
    image = {"type": "image", "source": {"type": "url", "url": "https://a.example/"}}
    odd = {"type": "code_execution_tool_result", "content": {"stdout": "x"}}
    inner = {"type": "tool_result", "tool_use_id": "t", "content": [image, 5]}
    document = {"type": "document", "source": {"type": "content", "content": [image]}}
    wrong = {"type": "image", "source": 7}

    seen = needs(MESSAGES, messages=said([odd, image, inner, document, wrong]))

    assert seen.image_urls == 3


def test_an_image_beside_half_a_surrogate_pair_is_seen() -> None:
    """Text that was cut in an emoji hides none."""
    body = (
        rb'{"messages":[{"content":[{"type":"text","text":"\ud83d"},'
        rb'{"type":"image_url","image_url":"https://images.example/"}]}]}'
    )

    assert needs_of(CHAT, body).image_urls == 1


@pytest.mark.parametrize("kind", ["computer_call_output", "function_call_output"])
def test_a_screenshot_is_an_image(kind: str) -> None:
    """It is what a call of the computer gives back, as an object or in a list."""
    shot = {"type": "computer_screenshot", "image_url": "data:image/png;base64,AA=="}
    output = shot if kind.startswith("computer") else [shot]

    seen = needs(RESPONSES, input=[{"type": kind, "call_id": "1", "output": output}])

    assert seen.image_data == 1


def test_images_inside_of_documents_are_images() -> None:
    """A document may be made of blocks."""
    image = {"type": "image", "source": {"type": "url", "url": "https://a.example/"}}
    source = {"type": "content", "content": [image, {"type": "text", "text": "x"}]}

    seen = needs(MESSAGES, messages=said([{"type": "document", "source": source}]))

    assert (seen.image_urls, seen.documents) == (1, 0)


def test_a_document_of_text_needs_no_reader_of_documents() -> None:
    """Any model reads text."""
    source = {"type": "text", "media_type": "text/plain", "data": "hi"}

    seen = needs(MESSAGES, messages=said([{"type": "document", "source": source}]))

    assert seen.documents == 0


@pytest.mark.parametrize(
    "members", [{"modalities": ["text", "audio"]}, {"audio": {"voice": "x"}}]
)
def test_an_answer_in_sound_needs_audio(members: dict[str, object]) -> None:
    """Not every model speaks."""
    assert needs(CHAT, **members).audio
    assert not needs(CHAT, modalities=["text"]).audio


@pytest.mark.parametrize(
    ("thinking", "kind", "level", "budget"),
    [
        ({"type": "enabled", "budget_tokens": 2048}, "budget", "high", 2048),
        ({"type": "enabled"}, "budget", "high", None),
        ({"type": "adaptive"}, "adaptive", "high", None),
        ({"type": "disabled"}, None, None, None),
        (None, "effort", "high", None),
    ],
)
def test_thinking_is_told_with_its_effort(
    thinking: object, kind: str | None, level: str | None, budget: int | None
) -> None:
    """An effort beside thinking is its level; without any it is all that is asked."""
    seen = needs(MESSAGES, thinking=thinking, output_config={"effort": "high"})

    assert (seen.reasoning, seen.reasoning_level, seen.reasoning_budget) == (
        kind,
        level,
        budget,
    )
