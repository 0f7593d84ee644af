"""A secret cannot print itself, whatever one does to it."""

import copy
import json
import pickle
import re
import traceback

import pytest

from smart_llmrouter.core.identity import token_digest
from smart_llmrouter.core.secrets import MASK, Secret

TEXT = "canary-5ec2e7"
SECRET = Secret(TEXT, source="${ACME_API_KEY}")


def test_it_is_revealed_on_purpose_only() -> None:
    """No way of making a text of it shows it, except `reveal`."""
    shown = [
        str(SECRET),
        repr(SECRET),
        f"{SECRET}",
        f"{SECRET:>20}",
        f"{SECRET!r}",
        f"{[SECRET]} { ({'key': SECRET}) }",
        "%s %r" % (SECRET, SECRET),  # noqa: UP031 - the old way, too
    ]

    assert SECRET.reveal() == TEXT
    assert all(TEXT not in each for each in shown)
    assert str(SECRET) == MASK
    assert repr(SECRET) == "Secret(${ACME_API_KEY})"


def test_it_cannot_be_serialised() -> None:
    """Neither pickled, nor copied, nor written as JSON."""
    with pytest.raises(TypeError):
        pickle.dumps(SECRET)
    with pytest.raises(TypeError):
        copy.deepcopy(SECRET)
    with pytest.raises(TypeError):
        json.dumps(SECRET)


def test_it_does_not_appear_in_a_traceback() -> None:
    """A traceback with local values shows the source, not the text."""

    def fail(key: Secret) -> None:
        raise ValueError(key)

    with pytest.raises(ValueError, match=re.escape(MASK)) as raised:
        fail(SECRET)
    lines = traceback.TracebackException.from_exception(
        raised.value, capture_locals=True
    )

    assert TEXT not in "".join(lines.format())


def test_equal_texts_are_equal() -> None:
    """Settings with equal secrets are equal, wherever the secrets came from."""
    same = Secret(TEXT, source="file:/run/secrets/acme")

    assert same == SECRET
    assert hash(same) == hash(SECRET)
    assert Secret("other", source="x") != SECRET
    assert SECRET != TEXT


def test_a_token_is_known_by_its_digest() -> None:
    """The digest is SHA-256, of fixed length."""
    assert token_digest(b"") == bytes.fromhex(
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
