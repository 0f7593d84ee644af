"""The one gate in front of all providers."""

import pytest

from smart_llmrouter.admission.gate import OpenGate
from smart_llmrouter.core.identity import Caller
from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage

CALLER = Caller(
    id="alice-search-dev",
    owner_user="alice",
    project="search",
    environment="dev",
    token_id="rtr_alice_search_dev_k1",
    status="active",
    expires_on=None,
    allowed_groups=frozenset({"chat"}),
    metrics_admin=False,
)


def test_a_reservation_is_held_for_a_block() -> None:
    """It says who may call what, and is settled with what the meter saw."""
    with OpenGate().reserve(CALLER, "chat") as reservation:
        before = reservation.used
        reservation.used = Usage(input_tokens=7)

    assert (reservation.caller, reservation.group) == (CALLER, "chat")
    assert before == UNKNOWN_USAGE
    assert reservation.used == Usage(input_tokens=7)


def test_a_failure_is_not_swallowed() -> None:
    """Leaving the block with an error settles and lets the error through."""
    gate = OpenGate()

    with pytest.raises(KeyError), gate.reserve(CALLER, "chat"):
        raise KeyError
