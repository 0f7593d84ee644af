"""What a call consumed and what that cost.

Absent is not zero: `None` means that nobody said, and stays `None` up to the report.
"""

import msgspec

from smart_llmrouter.core.money import Price


class Usage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Token counts of one call, as the provider reported them.

    `input_tokens` includes `cached_input_tokens`; `output_tokens` includes
    `reasoning_tokens`. `reported_cost_nusd` is what the provider itself says that the
    call cost.
    """

    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    reported_cost_nusd: int | None = None


UNKNOWN_USAGE = Usage()


class Cost(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The computed cost of one call in nano-dollars, part by part.

    `total_nusd` is the sum of the parts, and unknown when the input or the output
    part is.
    """

    input_nusd: int | None = None
    cached_input_nusd: int | None = None
    output_nusd: int | None = None
    total_nusd: int | None = None


UNKNOWN_COST = Cost()


def cost_of(usage: Usage, price: Price | None) -> Cost:
    """Price `usage`; each part is rounded half-even once, the total is their sum."""
    if price is None:
        return UNKNOWN_COST
    output_nusd = (
        price.output.cost_nusd(usage.output_tokens)
        if price.output is not None and usage.output_tokens is not None
        else None
    )
    if price.input is None or usage.input_tokens is None:
        return Cost(output_nusd=output_nusd)
    cached_tokens = min(usage.cached_input_tokens or 0, usage.input_tokens)
    input_nusd = price.input.cost_nusd(usage.input_tokens - cached_tokens)
    cached_nusd = (
        (price.cached_input or price.input).cost_nusd(cached_tokens)
        if usage.cached_input_tokens is not None
        else None
    )
    total_nusd = (
        input_nusd + (cached_nusd or 0) + output_nusd
        if output_nusd is not None
        else None
    )
    return Cost(
        input_nusd=input_nusd,
        cached_input_nusd=cached_nusd,
        output_nusd=output_nusd,
        total_nusd=total_nusd,
    )
