"""What is written down of a decision, in each of its forms."""

import msgspec

from smart_llmrouter.core.decisions import Candidate, Term
from smart_llmrouter.routing.ordering import Score
from tests.support.decisions import a_candidate

TERMS = (Term("latency", 0.25, 2.0, 0.5, 812.5), Term("price", 1 / 3, 1.0, 1 / 3))


def test_terms_that_are_encoded_already_read_and_write_as_others_do() -> None:
    """Who reads a decision need not know whether its scores served other calls too."""
    score = Score(0.83, 37, TERMS)
    plain = a_candidate(0, terms=TERMS)

    encoded = a_candidate(0, terms=score.encoded_terms)

    assert encoded.read_terms == plain.read_terms == TERMS
    assert msgspec.json.encode(encoded) == msgspec.json.encode(plain)
    assert msgspec.json.decode(msgspec.json.encode(encoded), type=Candidate) == plain


def test_the_terms_of_a_score_are_encoded_once() -> None:
    """A table of scores serves many calls."""
    score = Score(0.83, 37, TERMS)

    first, second = score.encoded_terms, score.encoded_terms

    assert first is second
