"""What a call may use at most, and what it has used in the end.

At most: the estimate of its input and the output that it may ask for, of each answer
that it asks for, at the price of the dearest target that may serve it. A target without
a price costs nothing here.

In the end: what its record says. Where that is not known, because the answer was cut
off or the provider did not say, a target that was at work is taken to have read the
whole input, and to have written a token with each event that was sent on. Where no
target was at work, nothing was used; where none was asked at all, not even a request.
"""

from collections.abc import Sequence

import msgspec

from smart_llmrouter.admission.counters import Chain
from smart_llmrouter.admission.demand import NOTHING, Demand, Spent
from smart_llmrouter.config.snapshot import Target
from smart_llmrouter.core.estimates import DEFAULT_OUTPUT_TOKENS, text_tokens
from smart_llmrouter.core.money import Price
from smart_llmrouter.core.requirements import Requirements
from smart_llmrouter.core.usage import Cost, Usage, cost_of
from smart_llmrouter.engine.client import Arrival
from smart_llmrouter.engine.entry import Entry


def demand_of(
    chain: Chain, needs: Requirements, targets: Sequence[Target], arrival: Arrival
) -> Demand:
    """Return what is reserved for a call that one of `targets` will serve."""
    request_id, began_ms = arrival.request_id, arrival.ts_ms
    if not (chain.input or chain.tokens or chain.money):
        return Demand(request_id, began_ms)
    input_tokens = needs.estimated_input_tokens
    output_tokens = nusd = 0
    cap, choices = needs.output_cap, needs.choices
    for target in targets:
        most = (cap or target.max_output_tokens or DEFAULT_OUTPUT_TOKENS) * choices
        output_tokens = max(output_tokens, most)
        price = target.price
        if price is not None and chain.money:
            cost = dearest_nusd(price, input_tokens, most)
            nusd = max(nusd, cost)
    tokens = input_tokens + output_tokens
    return Demand(request_id, began_ms, input_tokens, tokens, nusd)


def dearest_nusd(price: Price, input_tokens: int, output_tokens: int) -> int:
    """Return what so many tokens cost at most, whatever the provider's cache does."""
    read, written = price.dearest_input, price.output
    nusd = 0 if read is None else read.cost_nusd(input_tokens)
    return nusd if written is None else nusd + written.cost_nusd(output_tokens)


class Seen(msgspec.Struct):
    """What was seen of an answer: `events` of a stream, or the whole `body`.

    `complete` says that nothing of it is missing.
    """

    events: int = 0
    body: bytes = b""
    complete: bool = False


def spent_by(entry: Entry, seen: Seen, input_tokens: int) -> Spent:
    """Return what a call has used, of which `input_tokens` were estimated to be input.

    What differs from its record is noted in the entry.
    """
    if not entry.attempts:
        return NOTHING
    target, usage = entry.target, entry.usage
    price = None if target is None else target.price
    entry.cost = cost = cost_of(usage, price)
    if usage.input_tokens is None or usage.output_tokens is None:
        if not entry.answering:
            return Spent(1, 0, 0)
        return _charged(entry, _filled(usage, seen, input_tokens), price)
    if entry.answering and not seen.complete:
        return _charged(entry, _filled(usage, seen, input_tokens), price)
    tokens = usage.input_tokens + usage.output_tokens
    if cost.total_nusd is not None or price is None:
        return Spent(1, tokens, cost.total_nusd or 0)
    # Only a part has a price: the record's total is unknown.
    return _charged(entry, usage, price)


def _charged(entry: Entry, usage: Usage, price: Price | None) -> Spent:
    """Charge what is not the usage on record, and note it."""
    tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0)
    entry.charged = Spent(1, tokens, _priced(cost_of(usage, price)))
    return entry.charged


def _priced(cost: Cost) -> int:
    """Return what the parts cost that have a price."""
    if cost.total_nusd is not None:
        return cost.total_nusd
    parts = (cost.input_nusd, cost.cached_input_nusd, cost.cache_write_nusd)
    return sum(part or 0 for part in (*parts, cost.output_nusd))


def _filled(usage: Usage, seen: Seen, input_tokens: int) -> Usage:
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
