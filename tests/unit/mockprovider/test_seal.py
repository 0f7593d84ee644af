"""Blobs that only their maker can have made."""

import pytest

from smart_llmrouter.mockprovider.seal import ForeignBlob, Seal


def test_a_blob_opens_for_its_maker() -> None:
    """With the content that was put in; the same content is the same blob."""
    seal = Seal("a")

    blob = seal.closed("reasoning", "thöught")

    assert seal.opened("reasoning", blob) == "thöught"
    assert seal.closed("reasoning", "thöught") == blob


@pytest.mark.parametrize("blob", ["", "x", "Z28=", "####"])
def test_nonsense_does_not_open(blob: str) -> None:
    """Neither does what is no blob at all."""
    with pytest.raises(ForeignBlob):
        Seal("a").opened("reasoning", blob)


def test_a_blob_opens_for_nobody_else_and_nothing_else() -> None:
    """Another mock refuses it, and so does another use."""
    blob = Seal("a").closed("reasoning", "x")

    with pytest.raises(ForeignBlob):
        Seal("b").opened("reasoning", blob)
    with pytest.raises(ForeignBlob):
        Seal("a").opened("compaction", blob)


def test_a_signature_is_that_of_one_thought() -> None:
    """Of one mock."""
    signature = Seal("a").signature("x")

    assert Seal("a").signed("x", signature)
    assert not Seal("a").signed("y", signature)
    assert not Seal("b").signed("x", signature)
