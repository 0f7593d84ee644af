"""Law: what counters are told of a call is what its record adds up to."""

from dataclasses import replace
from decimal import Decimal

import pytest

from smart_llmrouter.core.money import Price, Rate
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.failed import Failed
from smart_llmrouter.engine.reckoning import spent_by
from tests.support.spending import used_by
from tests.unit.engine.test_entry import ARRIVAL, GROUP, TARGET, closed

RATE = Rate.per_million(Decimal(1))
PRICES = {
    "a whole price": TARGET.price,
    "a price of input": Price(
        input=RATE, cached_input=None, output=None, fingerprint="p2"
    ),
    "no price": None,
    "a price of images": Price(
        input=RATE, cached_input=None, output=RATE, fingerprint="p3", image=RATE
    ),
}
USAGES = {
    "no usage": Usage(),
    "input": Usage(input_tokens=7),
    "output": Usage(output_tokens=9),
    "whole usage": Usage(input_tokens=7, output_tokens=9),
    "reasoning": Usage(input_tokens=7, output_tokens=9, reasoning_tokens=2),
    "writes": Usage(input_tokens=7, output_tokens=9, cache_write_5m_tokens=3),
}


@pytest.mark.parametrize("attempts", [0, 2])
@pytest.mark.parametrize("answering", [True, False])
@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("usage", USAGES.values(), ids=USAGES)
@pytest.mark.parametrize("price", PRICES.values(), ids=PRICES)
@pytest.mark.parametrize("failed", [None, Failed(5, 100), Failed(5, None)])
def test_rows_add_up_to_what_was_counted(
    price: Price | None,
    usage: Usage,
    attempts: int,
    failed: Failed | None,
    *,
    complete: bool,
    answering: bool,
) -> None:
    """However a call ended, and whatever is known of its usage and its price."""
    entry = Entry(
        arrival=ARRIVAL,
        dialect="openai-chat",
        group=GROUP,
        target=replace(TARGET, price=price),
        attempts=attempts,
        answering=answering,
        usage=usage if attempts else Usage(),
        images=2,
        failed=failed if attempts else None,
    )

    spent = spent_by(entry, 20, events=5, body=b"hi", complete=complete)

    record = closed(entry)
    assert used_by(record) == (spent.requests, spent.tokens, spent.nusd)
