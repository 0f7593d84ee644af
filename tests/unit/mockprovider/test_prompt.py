"""What a Chat request asks, in words of no dialect; how samples bend to bounds."""

import json

from smart_llmrouter.mockprovider.openai_chat import parse
from smart_llmrouter.mockprovider.openai_chat_prompt import asked_of
from smart_llmrouter.mockprovider.prompt import prompt_of
from smart_llmrouter.mockprovider.samples import sample
from smart_llmrouter.mockprovider.speech import Prompt


def asked(messages: list[object], **fields: object) -> Prompt:
    """Return the prompt of a request with these messages."""
    document = {"model": "m", "messages": messages, **fields}
    return prompt_of(asked_of(parse(json.dumps(document).encode())), "0" * 64)


def test_the_last_user_message_is_what_was_said() -> None:
    """Its text parts are joined; images and other parts are not text."""
    prompt = asked(
        [
            {"role": "user", "content": "before"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "one"},
                    {"type": "image_url", "image_url": {"url": "data:,"}},
                    {"type": "text", "text": "two"},
                ],
            },
            {"role": "assistant", "content": None},
        ]
    )

    assert (prompt.said, prompt.images, prompt.messages) == ("one\ntwo", 1, 3)


def test_a_request_may_have_no_user() -> None:
    """Then nothing was said."""
    request = parse(b'{"model":"m","messages":[{"role":"system","content":"x"}]}')

    assert asked_of(request).last_said == ""


def test_results_of_tools_are_taken_from_the_end() -> None:
    """Those of the last turn count, in their order; tools are not called again."""
    tool = {"type": "function", "function": {"name": "f"}}
    prompt = asked(
        [
            {"role": "tool", "tool_call_id": "0", "content": "old"},
            {"role": "user", "content": "again"},
            {"role": "assistant", "content": "one moment"},
            {"role": "tool", "tool_call_id": "1", "content": "a"},
            {"role": "tool", "tool_call_id": "2", "content": "b"},
        ],
        tools=[tool],
    )

    assert prompt.tool_results == ("a", "b")
    assert prompt.tool_calls == ()


def test_results_without_any_other_message_are_answered() -> None:
    """A request of tool messages alone is read to its beginning."""
    prompt = asked([{"role": "tool", "tool_call_id": "1", "content": "a"}])

    assert prompt.tool_results == ("a",)


def test_a_function_without_parameters_gets_an_empty_object() -> None:
    """So does a tool of an unknown kind: none, because it has no name."""
    tools = [{"type": "hosted"}, {"type": "function", "function": {"name": "f"}}]

    prompt = asked([{"role": "user", "content": "x"}], tools=tools)

    assert [(call.name, call.arguments) for call in prompt.tool_calls] == [("f", "{}")]


def test_a_text_format_asks_for_nothing() -> None:
    """`response_format: text` is as if it were not there; one `stop` is a list."""
    prompt = asked(
        [{"role": "user", "content": "x"}],
        response_format={"type": "text"},
        stop="END",
    )

    assert (prompt.structured, prompt.stop) == (False, ("END",))


def test_bounds_bend_a_number() -> None:
    """Each bound has its effect, alone and with its opposite."""
    values = [
        sample({"type": "number", **bounds})
        for bounds in (
            {"maximum": 0.25},
            {"exclusiveMaximum": 0.5},
            {"exclusiveMinimum": 0.5},
            {"exclusiveMinimum": 0.5, "exclusiveMaximum": 0.75},
        )
    ]

    assert values == [0.25, -0.5, 1.5, 0.625]


def test_a_reference_to_nowhere_is_anything() -> None:
    """What cannot be found has no demands."""
    assert sample({"$ref": "#/$defs/gone"}) == "a plausible value"
