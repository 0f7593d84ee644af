"""What the same question is, and that nobody can read it out of a key."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.cache.keys import Question, identity_of, key_of
from smart_llmrouter.config.snapshot import Provider, Target
from smart_llmrouter.core.money import Price, Rate
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.core.secrets import Secret
from smart_llmrouter.wire.jsonobject import parse_members

SALT = b"0123456789"
DOLLAR = Rate.per_million(Decimal(1))
PRICE = Price(input=DOLLAR, cached_input=None, output=DOLLAR, fingerprint="p")
BODY = {"model": "chat", "temperature": 0, "messages": [{"role": "user"}]}


def question(body: object = BODY, **changes: Any) -> Question:  # noqa: ANN401 - fields
    """Return a question."""
    usual: dict[str, Any] = {
        "caller_id": "alice",
        "group": "chat",
        "dialect": "openai-chat",
        "stream": False,
        "members": parse_members(msgspec.json.encode(body)),
    }
    return Question(**(usual | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"caller_id": "bob"},
        {"group": "mail"},
        {"dialect": "anthropic-messages"},
        {"stream": True},
        {"said": ("2023-06-01", None)},
        {"said": (None, "2023-06-01")},
        {"body": {**BODY, "model": "alias"}},
        {"body": {**BODY, "top_p": 0.1}},
        {"body": {**BODY, "messages": [{"role": "system"}]}},
    ],
)
def test_other_questions_have_other_keys(changes: dict[str, Any]) -> None:
    """Who asks, whom, in which words, and what."""
    assert key_of(question(**changes), SALT) != key_of(question(), SALT)


@pytest.mark.parametrize(
    ("dialect", "more"),
    [
        ("openai-chat", {"user": "u"}),
        ("openai-chat", {"stream": False}),
        ("openai-chat", {"seed": None}),
        ("openai-chat", {"prompt_cache_key": "k", "safety_identifier": "s"}),
        ("anthropic-messages", {"metadata": {"user_id": "u"}}),
        ("anthropic-messages", {"cache_control": {"type": "ephemeral"}}),
    ],
)
def test_what_changes_no_answer(dialect: DialectName, more: dict[str, object]) -> None:
    """Is no part of the question."""
    asked = question({**more, **BODY}, dialect=dialect)

    assert key_of(asked, SALT) == key_of(question(dialect=dialect), SALT)


def test_what_answers_repeat_is_part_of_the_question() -> None:
    """A Responses answer says `metadata` and `user` again: they must be the asker's."""
    plain = question(dialect="openai-responses")
    named = question({**BODY, "user": "u"}, dialect="openai-responses")

    assert key_of(plain, SALT) != key_of(named, SALT)


@given(st.dictionaries(st.text(), st.text(), max_size=4), st.data())
def test_two_questions_never_run_into_each_other(
    body: dict[str, str], data: st.DataObject
) -> None:
    """Moving a piece of text from one field to the next makes another question."""
    other = data.draw(st.dictionaries(st.text(), st.text(), max_size=4))
    ignored = ("user", "metadata", "store", "stream", "safety_identifier")
    alike = {k: v for k, v in body.items() if k not in ignored} == {
        k: v for k, v in other.items() if k not in ignored
    }

    same = key_of(question(body), SALT) == key_of(question(other), SALT)

    assert same == alike


def test_nobody_can_tell_a_key_without_the_salt() -> None:
    """It has 24 bytes, whatever was asked, and nothing of that stands in it."""
    key = key_of(question(), SALT)

    assert len(key) == 24
    assert key != key_of(question(), b"another salt")
    assert b"chat" not in key


def target(**changes: Any) -> Target:  # noqa: ANN401 - fields
    """Return a target; what begins with `provider_` is its provider's."""
    provider = {
        "name": "acme",
        "dialect": "openai-chat",
        "base_url": "http://acme/v1",
        "api_key": Secret("k", source="k"),
        "headers": (("x-version", "1"), ("x-key", Secret("k", source="k"))),
    }
    usual = {"label": "acme/mini", "key": "mini", "model": "mini", "price": None}
    for name, value in changes.items():
        if name.startswith("provider_"):
            provider[name.removeprefix("provider_")] = value
        else:
            usual[name] = value
    return Target(provider=Provider(**provider), **usual)  # type: ignore[arg-type] # fields by name


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "mini-2"},
        {"label": "acme/maxi"},
        {"reasoning_levels": ("low",)},
        {"max_output_tokens": 9},
        {"provider_base_url": "http://other/v1"},
        {"provider_unix_socket": "/run/acme.sock"},
        {"provider_headers": (("x-version", "2"),)},
    ],
)
def test_what_makes_another_target(changes: dict[str, Any]) -> None:
    """Whatever it may answer differently because of."""
    assert identity_of(target(**changes)) != identity_of(target())


@pytest.mark.parametrize(
    "changes",
    [
        {"price": PRICE},
        {"weight": 5},
        {"provider_api_key": Secret("other", source="k")},
        {
            "provider_headers": (
                ("x-version", "1"),
                ("x-key", Secret("z", source="k")),
            )
        },
    ],
)
def test_what_leaves_a_target_as_it_is(changes: dict[str, Any]) -> None:
    """Its price, its part of the calls, and the credentials that it is called with."""
    assert identity_of(target(**changes)) == identity_of(target())
