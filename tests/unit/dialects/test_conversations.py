"""By what a conversation is known, in what real clients send and beyond."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import msgspec
import pytest

from smart_llmrouter.core.errors import InvalidJson
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.dialects.openings import UNANSWERED, opening_key
from smart_llmrouter.dialects.registry import DIALECTS
from tests.support.captures import Captured, captured

DIALECT_OF_PATH: Final[Mapping[str, DialectName]] = {
    "/v1/chat/completions": "openai-chat",
    "/v1/responses": "openai-responses",
    "/v1/messages": "anthropic-messages",
}
REQUESTS: Final = [each for each in captured("/v1/") if each.path in DIALECT_OF_PATH]
NAMES: Final = ("prompt_cache_key", "client_metadata", "metadata")
AGENTS: Final = sorted(
    {
        each.name.rpartition("-")[0]
        for each in REQUESTS
        if each.name.startswith(("claude", "codex"))
    }
)
Body = Mapping[str, object]


def key_of(dialect: DialectName, body: Body, *, ascii_only: bool = False) -> bytes:
    """Return the key of a request, which must have one."""
    speaker = DIALECTS[dialect]
    key = speaker.conversation_of(
        speaker.peek(json.dumps(body, ensure_ascii=ascii_only).encode())
    )
    assert key is not None
    return key


def known_as(dialect: DialectName, body: Body) -> bytes:
    """Return the key without the mark of a conversation that has just begun."""
    return key_of(dialect, body).removesuffix(UNANSWERED)


def of_file(name: str) -> list[Captured]:
    """Return the requests of one capture."""
    return [each for each in REQUESTS if each.name.rpartition("-")[0] == name]


def nameless(request: Captured) -> Body:
    """Return a request of a client that names nothing."""
    return {key: value for key, value in request.body.items() if key not in NAMES}


@pytest.mark.parametrize("file", AGENTS)
def test_agents_name_their_sessions(file: str) -> None:
    """All requests of one session, sub-agents among them, have the same key."""
    keys = {key_of(DIALECT_OF_PATH[each.path], each.body) for each in of_file(file)}

    assert len(keys) == 1


@pytest.mark.parametrize("file", AGENTS)
def test_sessions_are_told_apart(file: str) -> None:
    """Another session id makes it another conversation, whatever is said in it."""
    request = of_file(file)[0]
    dialect = DIALECT_OF_PATH[request.path]
    text = json.dumps(request.body)
    other = text.replace("-000000000001", "-00000000000f")

    assert other != text
    assert key_of(dialect, json.loads(other)) != key_of(dialect, request.body)


@pytest.mark.parametrize("file", [each for each in AGENTS if "subagent" not in each])
def test_conversations_without_a_name_are_known_by_their_opening(file: str) -> None:
    """Turn after turn has the same key, and says so once it has an answer."""
    keys = [
        key_of(DIALECT_OF_PATH[each.path], nameless(each)) for each in of_file(file)
    ]

    assert len({key.removesuffix(UNANSWERED) for key in keys}) == 1
    answered = [not key.endswith(UNANSWERED) for key in keys]
    assert answered == [False] + [True] * (len(keys) - 1)


def test_a_sub_agent_without_a_name_has_a_conversation_of_its_own() -> None:
    """It begins with other words."""
    keys = {
        known_as("anthropic-messages", nameless(each))
        for each in of_file("claude-subagent")
    }

    assert len(keys) == 2


def test_openings_are_told_apart() -> None:
    """Runs of the same agent that were given other tasks share nothing."""
    files = [each for each in AGENTS if each.startswith("claude")]

    keys = {
        known_as("anthropic-messages", nameless(of_file(file)[0])) for file in files
    }

    assert len(files) > 4
    assert len(keys) == len(files)


HELLO: Final = {"role": "user", "content": "Hello"}
GREETED: Final = {"role": "assistant", "content": "Hello to you"}
MORE: Final = {"role": "user", "content": "What is the time?"}


@pytest.mark.parametrize(
    ("dialect", "field"),
    [
        ("openai-chat", "messages"),
        ("openai-responses", "input"),
        ("anthropic-messages", "messages"),
    ],
)
def test_how_later_turns_are_written_does_not_matter(
    dialect: DialectName, field: str
) -> None:
    """Texts in parts, marks for caching and escapes leave the key as it is."""
    greeting = {"role": "user", "content": "Grüße"}
    in_parts = {
        "content": [{"text": "Grüße", "type": "text", "cache_control": {}}],
        "role": "user",
    }

    first = key_of(dialect, {field: [greeting]})
    second = key_of(dialect, {field: [in_parts, GREETED, MORE]}, ascii_only=True)

    assert first == second + UNANSWERED


@pytest.mark.parametrize(
    ("dialect", "one", "other"),
    [
        (
            "openai-chat",
            {"messages": [{"role": "system", "content": "Be brief."}, HELLO]},
            {"messages": [{"role": "system", "content": "Be polite."}, HELLO]},
        ),
        ("openai-chat", {"messages": [HELLO]}, {"messages": [MORE]}),
        ("openai-responses", {"input": "Hello"}, {"input": "What is the time?"}),
        (
            "openai-responses",
            {"input": "Hello", "instructions": "Be brief."},
            {"input": "Hello", "instructions": "Be polite."},
        ),
        (
            "anthropic-messages",
            {"messages": [HELLO], "system": "Be brief."},
            {"messages": [HELLO], "system": [{"type": "text", "text": "Be polite."}]},
        ),
        ("openai-chat", {"prompt_cache_key": "a"}, {"prompt_cache_key": "b"}),
        ("openai-responses", {"conversation": "a"}, {"conversation": {"id": "b"}}),
    ],
)
def test_what_begins_otherwise_is_another_conversation(
    dialect: DialectName, one: Body, other: Body
) -> None:
    """Instructions, the first turn and names all count."""
    always = {"input": "x"} if "conversation" in one else {"messages": [HELLO]}
    always = {} if {"messages", "input"} & one.keys() else always

    assert known_as(dialect, {**always, **one}) != known_as(
        dialect, {**always, **other}
    )


@pytest.mark.parametrize(
    ("dialect", "one", "same"),
    [
        (
            "openai-responses",
            {"input": "Hello"},
            {"input": [{"role": "user", "content": "Hello"}]},
        ),
        (
            "openai-responses",
            {"input": "Hello", "conversation": "c"},
            {"input": "More", "conversation": {"id": "c"}},
        ),
        (
            "openai-responses",
            {"input": "Hello", "client_metadata": {"session_id": "s"}},
            {
                "input": "More",
                "client_metadata": {"x": 1, "session_id": "s"},
                "prompt_cache_key": "k",
            },
        ),
        (
            "anthropic-messages",
            {
                "messages": [HELLO],
                "metadata": {"user_id": '{"session_id":"' + "0" * 36 + '"}'},
            },
            {
                "messages": [MORE],
                "metadata": {"user_id": "user_1_account__session_" + "0" * 36},
            },
        ),
    ],
)
def test_names_are_one_wherever_they_stand(
    dialect: DialectName, one: Body, same: Body
) -> None:
    """A client that writes the same conversation in another way is understood."""
    assert known_as(dialect, one) == known_as(dialect, same)


@pytest.mark.parametrize(
    "odd",
    [
        {"prompt_cache_key": 7},
        {"prompt_cache_key": ""},
        {"prompt_cache_key": None},
        {"client_metadata": {"session_id": 7}},
        {"client_metadata": "text"},
        {"conversation": 7},
        {"metadata": {"user_id": 7}},
        {"metadata": {"user_id": "{not json"}},
        {"metadata": {"user_id": "somebody"}},
        {"metadata": {"user_id": None}},
        {"metadata": None},
    ],
)
@pytest.mark.parametrize("dialect", list(DIALECTS))
def test_names_that_are_none_are_passed_over(dialect: DialectName, odd: Body) -> None:
    """Then the opening counts, as if they were not there."""
    plain = {"messages": [HELLO], "input": "Hello"}

    assert key_of(dialect, {**plain, **odd}) == key_of(dialect, plain)


def test_half_a_surrogate_pair_is_a_name_like_others() -> None:
    """What the strict decoder refuses is no reason to fail."""
    body = b'{"messages":[{"role":"user","content":"\\ud83d"}],"prompt_cache_key":"%s"}'
    speaker = DIALECTS["openai-chat"]

    keys = {
        speaker.conversation_of(speaker.peek(body.replace(b"%s", name)))
        for name in (b"\\ud83d", b"x", b"")
    }

    assert len(keys) == 3


def test_what_is_nested_too_deeply_counts_as_it_was_written() -> None:
    """How deep that is depends on where it is read, so it may have come this far."""
    deep = msgspec.Raw(b"[" * 50_000 + b"]" * 50_000)
    deeper = msgspec.Raw(b"[" * 50_001 + b"]" * 50_001)

    assert opening_key(None, deep) == opening_key(None, deep)
    assert opening_key(None, deep) != opening_key(None, deeper)


def test_no_depth_is_a_reason_to_fail() -> None:
    """Just below what is refused, everything still has a key."""
    speaker = DIALECTS["openai-chat"]
    deepest = 0
    for depth in range(800, 1100, 5):
        content = b'{"text":' * depth + b"1" + b"}" * depth
        body = b'{"messages":[{"role":"user","content":' + content + b"}]}"
        with suppress(InvalidJson):
            peek = speaker.peek(body)
            assert speaker.conversation_of(peek) is not None
            deepest = depth

    assert deepest > 800


@pytest.mark.parametrize("dialect", list(DIALECTS))
def test_an_opening_that_is_long_is_known_by_its_beginning(
    dialect: DialectName,
) -> None:
    """It is the same while the conversation grows, and says whether it has grown."""
    long = {"role": "user", "content": "All of Schiller: " + "Freude, " * 10_000}
    other = {"role": "user", "content": "All of Goethe: " + "Wer reitet " * 10_000}
    extra: Body = {"system": "s" * 20_000, "instructions": "i" * 20_000}

    first = key_of(dialect, {"messages": [long], "input": [long], **extra})
    turns = [long, GREETED, MORE]
    second = key_of(dialect, {"messages": turns, "input": turns, **extra})
    third = key_of(dialect, {"messages": [other], "input": [other], **extra})

    assert first == second + UNANSWERED
    assert third != first


@pytest.mark.parametrize("as_parts", [True, False], ids=["parts", "text"])
def test_of_a_long_text_its_ends_and_its_length_count(*, as_parts: bool) -> None:
    """What differs in the middle only is taken for the same."""

    def key(begin: str, middle: str, end: str) -> bytes:
        text = begin + middle * 10_000 + end
        content = [{"type": "text", "text": text}] if as_parts else text
        return key_of("openai-chat", {"messages": [{**HELLO, "content": content}]})

    usual = key("a", "m", "z")

    assert key("a", "n", "z") != usual  # the ends reach into it
    assert key("b", "m", "z") != usual
    assert key("a", "m", "y") != usual
    assert key("a", "mm", "z") != usual
    assert key("a" * 2048, "m", "z" * 2048) == key("a" * 2048, "n", "z" * 2048)


def test_a_long_conversation_with_a_short_opening_is_answered() -> None:
    """What lies beyond the part that is looked at counts as well."""
    long = {"role": "user", "content": "Freude, " * 10_000}

    first = key_of("openai-chat", {"messages": [HELLO, long]})
    second = key_of("openai-chat", {"messages": [HELLO, long, GREETED, MORE]})

    assert first == second + UNANSWERED


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("openai-responses", {"previous_response_id": "resp_1", "input": "More"}),
        ("openai-responses", {"previous_response_id": "resp_1"}),
        ("openai-responses", {"prompt": {"id": "p"}}),
        ("openai-chat", {"model": "chat"}),
        ("anthropic-messages", {"model": "chat"}),
    ],
)
def test_some_requests_do_not_tell(dialect: DialectName, body: Body) -> None:
    """A request without the beginning of its conversation has no key."""
    speaker = DIALECTS[dialect]

    key = speaker.conversation_of(speaker.peek(json.dumps(body).encode()))

    assert key is None


@pytest.mark.parametrize(
    "turns",
    [
        b"[]",
        b"{}",
        b"7",
        b"null",
        b'""',
        b"[7]",
        b"[[]]",
        b'[{"role":7}]',
        b'[{"role":[]}]',
        b'[{"role":"user","content":"\\ud83d"}]',
        b"[7" + b" " * 9000 + b"]",
        b"[{}]",
        b'[{"role":"user","content":null}]',
        b'[{"role":"user","content":[{"type":"image"},7,{"text":7}]}]',
        b"[" + b'{"role":"user","content":' * 900 + b"1" + b"}" * 900 + b"]",
    ],
)
@pytest.mark.parametrize("dialect", ["openai-chat", "anthropic-messages"])
def test_odd_turns_are_not_ours_to_judge(dialect: DialectName, turns: bytes) -> None:
    """Whatever stands there has some key, always the same."""
    speaker = DIALECTS[dialect]
    peek = speaker.peek(b'{"messages":' + turns + b"}")

    keys = {speaker.conversation_of(peek) for _ in range(2)}

    assert len(keys) == 1
    assert keys != {None}
