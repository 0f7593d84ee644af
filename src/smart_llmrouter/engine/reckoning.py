"""What a call may use at most, and what it has used in the end.

At most: the estimate of its input and the output that it may ask for, of each answer
that it asks for, at the price of the dearest target that may serve it. A target without
a price costs nothing here.

In the end: what its record says. Where that is not known, because the answer was cut
off or the provider did not say, a target that was at work is taken to have read the
whole input, and to have written a token with each event that was sent on. Where no
target was at work, nothing was used; where none was asked at all, not even a request,
unless the call was answered out of the cache.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from smart_llmrouter.admission.counters import Chain
from smart_llmrouter.admission.demand import NOTHING, Demand, Spent
from smart_llmrouter.config.snapshot import Group, Target
from smart_llmrouter.core.estimates import DEFAULT_OUTPUT_TOKENS, text_tokens
from smart_llmrouter.core.money import Price
from smart_llmrouter.core.requirements import Requirements
from smart_llmrouter.core.usage import Usage, cost_of
from smart_llmrouter.engine.client import Arrival
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.failed import tokens_of

A_REQUEST: Final = Spent(1, 0, 0)
"""What a call has used for which no target has worked."""


def demand_of(
    chain: Chain, needs: Requirements, targets: Sequence[Target], arrival: Arrival
) -> Demand:
    """Return what is reserved for a call that one of `targets` will serve."""
    request_id, began_ms = arrival.request_id, arrival.ts_ms
    money = chain.money
    if not (money or chain.tokens or chain.input):
        return Demand(request_id, began_ms)
    input_tokens = needs.estimated_input_tokens
    output_tokens = nusd = 0
    cap, choices = needs.output_cap, needs.choices
    for target in targets:
        most = (cap or target.max_output_tokens or DEFAULT_OUTPUT_TOKENS) * choices
        if most > output_tokens:
            output_tokens = most
        price = target.price
        if money and price is not None:
            if price.is_plain:
                cost_nusd = dearest_nusd(price, input_tokens, most)
            else:
                price = price.at(began_ms)
                cost_nusd = _unusual_nusd(price, needs, input_tokens, most)
            if cost_nusd > nusd:
                nusd = cost_nusd
    tokens = input_tokens + output_tokens
    return Demand(request_id, began_ms, input_tokens, tokens, nusd)


def _unusual_nusd(
    price: Price, needs: Requirements, input_tokens: int, output_tokens: int
) -> int:
    """Return what a call costs at most whose length or images matter."""
    fitting = price.for_input(input_tokens)
    nusd = dearest_nusd(fitting, input_tokens, output_tokens)
    return nusd if price.image is None else nusd + price.image.cost_nusd(needs.images)


def pays_for_images(group: Group) -> bool:
    """Say whether images cost anything by themselves, now or later."""
    prices = [target.price for target in group.targets]
    while prices:
        if any(price.image is not None for price in prices if price is not None):
            return True
        prices = [price.after for price in prices if price is not None]
    return False


def dearest_nusd(price: Price, input_tokens: int, output_tokens: int) -> int:
    """Return what so many tokens cost at most, whatever the provider's cache does."""
    whole = price.dearest_nusd
    if whole is not None:
        return input_tokens * whole[0] + output_tokens * whole[1]
    read, written = price.dearest_input, price.dearest_output
    nusd = 0 if read is None else read.cost_nusd(input_tokens)
    return nusd if written is None else nusd + written.cost_nusd(output_tokens)


def spent_by(
    entry: Entry, input_tokens: int, *, events: int, body: bytes, complete: bool
) -> Spent:
    """Return what a call has used, of which `input_tokens` were estimated to be input.

    Of its answer were seen so many `events` of a stream, or the whole `body`; nothing
    is missing of one that is `complete`. What attempts have used that failed is in it.
    What differs from the call's record is noted in the entry.
    """
    if not entry.attempts:
        return A_REQUEST if entry.is_hit else NOTHING
    usage, price = entry.usage, entry.price
    entry.cost = cost = cost_of(usage, price, entry.images)
    read, written = usage.input_tokens, usage.output_tokens
    if entry.answering and (read is None or written is None or not complete):
        seen = _Seen(events, body, complete)
        return _charged(entry, _filled(usage, seen, input_tokens), price)
    if read is None or written is None:
        return _beside_failed(A_REQUEST, entry)
    if cost.total_nusd is None and price is not None:
        # Only a part has a price: the record's total is unknown.
        return _charged(entry, usage, price)
    spent = Spent(1, read + written, cost.total_nusd or 0)
    return spent if entry.failed is None else _beside_failed(spent, entry)


def _charged(entry: Entry, usage: Usage, price: Price | None) -> Spent:
    """Charge what is not the usage on record, and note it."""
    cost = cost_of(usage, price, entry.images)
    entry.charged = Spent(1, tokens_of(usage), cost.known_nusd)
    return _beside_failed(entry.charged, entry)


def _beside_failed(spent: Spent, entry: Entry) -> Spent:
    """Charge what attempts have used that failed, where they have used anything."""
    if entry.failed is None:
        return spent
    entry.charged = both = entry.failed.beside(spent)
    return both


class _Seen(NamedTuple):
    """What was seen of an answer; see `spent_by`."""

    events: int
    body: bytes
    complete: bool


def _filled(usage: Usage, seen: _Seen, input_tokens: int) -> Usage:
    """Return usage with what is unknown of it estimated from what was seen."""
    read = input_tokens if usage.input_tokens is None else usage.input_tokens
    written = usage.output_tokens
    if written is None:
        # A plain answer has a body and no events, a stream events and no body.
        text = seen.body.decode("utf-8", "replace")
        written = max(text_tokens(text), seen.events)
    elif not seen.complete:
        written = max(written, seen.events)
    return msgspec.structs.replace(usage, input_tokens=read, output_tokens=written)
