"""What a call consumed and what that cost.

Absent is not zero: `None` means that nobody said, and stays `None` up to the report.

There is one model of tokens, whatever the dialect: the input is what was neither read
from the provider's cache nor written into it, plus what was read, plus what was written
for five minutes or for an hour. Some providers say the sum and its parts, others only
the parts; `additive_usage` is for the latter.
"""

import msgspec

from smart_llmrouter.core.money import Price


class Usage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Token counts of one call, as the provider reported them.

    `input_tokens` includes `cached_input_tokens`, which were read from the provider's
    cache, and those written into it, for five minutes (`5m`) or an hour (`1h`);
    `image_tokens` are the input's images, as far as they were not cached.
    `output_tokens` includes `reasoning_tokens`. `reported_cost_nusd` is what the
    provider itself says that the call cost. `estimated` says that the router counted,
    because the provider did not.
    """

    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_5m_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    reported_cost_nusd: int | None = None
    estimated: bool = False
    image_tokens: int | None = None


UNKNOWN_USAGE = Usage()


class InputParts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The input of a call, each token once: the parts sum to it exactly."""

    uncached: int
    read: int
    write_5m: int
    write_1h: int


def input_parts(usage: Usage) -> InputParts | None:
    """Split the input of `usage`; `None` where it is unknown.

    Parts that nobody said are uncached input. Where a provider's parts are more than
    its sum, the sum holds: a part is at most what those before it left.
    """
    if usage.input_tokens is None:
        return None
    left = usage.input_tokens
    read = min(usage.cached_input_tokens or 0, left)
    left -= read
    write_1h = min(usage.cache_write_1h_tokens or 0, left)
    left -= write_1h
    write_5m = min(usage.cache_write_5m_tokens or 0, left)
    return InputParts(
        uncached=left - write_5m, read=read, write_5m=write_5m, write_1h=write_1h
    )


class CacheWrites(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a provider said of writes into its cache: all of them, and by lifetime.

    Older providers say `total` alone, newer ones all three, and some leave the
    lifetimes out of what they say last.
    """

    total: int | None = None
    for_5m: int | None = None
    for_1h: int | None = None

    def split(self, known: Usage) -> tuple[int | None, int | None]:
        """Return the writes for five minutes and for an hour, after `known`.

        What no lifetime is known of was written for five minutes.
        """
        short = _counted(self.for_5m, known.cache_write_5m_tokens)
        long = _counted(self.for_1h, known.cache_write_1h_tokens)
        if self.total:
            long = self.for_1h or min(long or 0, self.total)
            short = max(self.total - long, self.for_5m or 0)
        elif short is None and long is None:
            return self.total, self.total
        return short or 0, long or 0


NO_WRITES = CacheWrites()


def additive_usage(
    *,
    uncached_tokens: int | None,
    read_tokens: int | None = None,
    writes: CacheWrites = NO_WRITES,
    output_tokens: int | None = None,
    reasoning_tokens: int | None = None,
    known: Usage = UNKNOWN_USAGE,
) -> Usage:
    """Return the usage of a provider that counts its input apart from its cache.

    `known` is what the same call's earlier reports came to. Counts of a call only grow:
    what this report leaves out, or says to be 0, stays as it was there, part by part,
    before the parts are added up. So a later report of the uncached input alone takes
    away neither the reads nor the writes.
    """
    before = input_parts(known)
    uncached = _counted(uncached_tokens, before.uncached if before else None)
    read = _counted(read_tokens, known.cached_input_tokens)
    write_5m, write_1h = writes.split(known)
    return Usage(
        input_tokens=(
            None
            if uncached is None
            else uncached + (read or 0) + (write_5m or 0) + (write_1h or 0)
        ),
        cached_input_tokens=read,
        cache_write_5m_tokens=write_5m,
        cache_write_1h_tokens=write_1h,
        output_tokens=_counted(output_tokens, known.output_tokens),
        reasoning_tokens=_counted(reasoning_tokens, known.reasoning_tokens),
        reported_cost_nusd=known.reported_cost_nusd,
        estimated=known.estimated,
    )


def _counted(reported: int | None, known: int | None) -> int | None:
    return reported if reported or known is None else known


def later(known: Usage, reported: Usage) -> Usage:
    """Let the later report win, but never wipe what only the earlier one said.

    An estimate fills only what no provider reported. What has an estimate of the input
    or the output in it is one.
    """
    if known is UNKNOWN_USAGE:
        return reported
    guessed = reported.estimated and not known.estimated
    first, second = (known, reported) if guessed else (reported, known)
    incomplete = first.input_tokens is None or first.output_tokens is None
    return Usage(
        input_tokens=_either(first.input_tokens, second.input_tokens),
        cached_input_tokens=_either(
            first.cached_input_tokens, second.cached_input_tokens
        ),
        cache_write_5m_tokens=_either(
            first.cache_write_5m_tokens, second.cache_write_5m_tokens
        ),
        cache_write_1h_tokens=_either(
            first.cache_write_1h_tokens, second.cache_write_1h_tokens
        ),
        output_tokens=_either(first.output_tokens, second.output_tokens),
        reasoning_tokens=_either(first.reasoning_tokens, second.reasoning_tokens),
        reported_cost_nusd=_either(first.reported_cost_nusd, second.reported_cost_nusd),
        estimated=first.estimated or (second.estimated and incomplete),
        image_tokens=_either(first.image_tokens, second.image_tokens),
    )


def _either(first: int | None, second: int | None) -> int | None:
    return second if first is None else first


class Cost(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The computed cost of one call in nano-dollars, part by part.

    `input_nusd` is that of the input that was neither read from the provider's cache
    nor written into it, and was no image. `reasoning_nusd` is a part of `output_nusd`.
    `image_nusd` is that of the tokens of images and of the images themselves, as far as
    these have a price. `total_nusd` is the sum of the parts, the reasoning once, and
    unknown when the input or the output part is. `has_rare_parts` says that there were
    images or a reasoning.
    """

    input_nusd: int | None = None
    cached_input_nusd: int | None = None
    cache_write_nusd: int | None = None
    output_nusd: int | None = None
    total_nusd: int | None = None
    reasoning_nusd: int | None = None
    image_nusd: int | None = None
    has_rare_parts: bool = False

    @property
    def known_nusd(self) -> int:
        """What the parts cost that have a price."""
        if self.total_nusd is not None:
            return self.total_nusd
        read = (self.input_nusd or 0) + (self.cached_input_nusd or 0)
        written = (self.cache_write_nusd or 0) + (self.output_nusd or 0)
        return read + written + (self.image_nusd or 0)


UNKNOWN_COST = Cost()


def cost_of(usage: Usage, price: Price | None, images: int = 0) -> Cost:
    """Price `usage`; each part is rounded half-even once, the total is their sum.

    Writes for five minutes and for an hour are a part each, and told as one. So are
    reasoning and other output, and the `images` of the input and their tokens.
    """
    if price is None:
        return UNKNOWN_COST
    if images or usage.reasoning_tokens or usage.image_tokens:
        return _with_rare_parts(usage, price, images)
    whole, given, made = price.whole_nusd, usage.input_tokens, usage.output_tokens
    read, short = usage.cached_input_tokens, usage.cache_write_5m_tokens
    # Of most calls nothing was cached: none cost nothing, and unknown stays unknown.
    if whole is None or given is None or made is None or read or short:
        return _part_by_part(usage, price)
    if usage.cache_write_1h_tokens is not None:
        return _part_by_part(usage, price)
    input_nusd, output_nusd = given * whole[0], made * whole[1]
    return Cost(
        input_nusd=input_nusd,
        cached_input_nusd=read,
        cache_write_nusd=short,
        output_nusd=output_nusd,
        total_nusd=input_nusd + output_nusd,
    )


def _part_by_part(usage: Usage, price: Price) -> Cost:
    """Price a usage of which something was cached, written or is unknown.

    Or one whose price may be another because it is long.
    """
    price = price.for_input(usage.input_tokens or 0)
    output_nusd, _ = _output(usage, price)
    parts, rate = input_parts(usage), price.input
    if rate is None or parts is None:
        return Cost(output_nusd=output_nusd)
    input_nusd, read_nusd, write_nusd = rate.cost_nusd(parts.uncached), None, None
    if usage.cached_input_tokens is not None:
        read_nusd = (price.cached_input or rate).cost_nusd(parts.read)
    if (
        usage.cache_write_5m_tokens is not None
        or usage.cache_write_1h_tokens is not None
    ):
        short = price.cache_write or rate
        long = price.cache_write_1h or short
        write_nusd = short.cost_nusd(parts.write_5m) + long.cost_nusd(parts.write_1h)
    known = (input_nusd, read_nusd or 0, write_nusd or 0)
    return Cost(
        input_nusd=input_nusd,
        cached_input_nusd=read_nusd,
        cache_write_nusd=write_nusd,
        output_nusd=output_nusd,
        total_nusd=None if output_nusd is None else sum(known) + output_nusd,
    )


def _with_rare_parts(usage: Usage, price: Price, images: int) -> Cost:
    """Price a usage with images or reasoning: what is neither, and then these.

    Where nobody said that the input was read, nobody was paid for its images.
    """
    price = price.for_input(usage.input_tokens or 0)
    parts, seen = input_parts(usage), 0
    if parts is None:
        images = 0
    else:
        seen = min(usage.image_tokens or 0, parts.uncached)
    plain = cost_of(_without_rare_parts(usage, image_tokens=seen), price)
    output_nusd, reasoning_nusd = _output(usage, price)
    image_nusd = _images(price, tokens=seen, images=images)
    total_nusd = None
    if plain.input_nusd is not None and output_nusd is not None:
        read_nusd = plain.input_nusd + (plain.cached_input_nusd or 0)
        written_nusd = (plain.cache_write_nusd or 0) + output_nusd
        total_nusd = read_nusd + written_nusd + (image_nusd or 0)
    return Cost(
        input_nusd=plain.input_nusd,
        cached_input_nusd=plain.cached_input_nusd,
        cache_write_nusd=plain.cache_write_nusd,
        output_nusd=output_nusd,
        total_nusd=total_nusd,
        reasoning_nusd=reasoning_nusd,
        image_nusd=image_nusd,
        has_rare_parts=reasoning_nusd is not None or image_nusd is not None,
    )


def _without_rare_parts(usage: Usage, *, image_tokens: int) -> Usage:
    given = usage.input_tokens
    return msgspec.structs.replace(
        usage,
        input_tokens=None if given is None else given - image_tokens,
        image_tokens=None,
        reasoning_tokens=None,
    )


def _output(usage: Usage, price: Price) -> tuple[int | None, int | None]:
    """Return the cost of the output, and what part of it the reasoning was.

    A provider's reasoning that is more than its output is as much as that.
    """
    made, rate = usage.output_tokens, price.output
    if made is None or rate is None:
        return None, None
    reasoned = min(usage.reasoning_tokens or 0, made)
    if not reasoned:
        return rate.cost_nusd(made), None
    if price.reasoning is None:
        return rate.cost_nusd(made), rate.cost_nusd(reasoned)
    reasoning_nusd = price.reasoning.cost_nusd(reasoned)
    return rate.cost_nusd(made - reasoned) + reasoning_nusd, reasoning_nusd


def _images(price: Price, *, tokens: int, images: int) -> int | None:
    """Return the cost of images and of their tokens, as far as they have a price."""
    rate = price.image_input or price.input
    of_tokens = rate.cost_nusd(tokens) if tokens and rate is not None else None
    if not images or price.image is None:
        return of_tokens
    return (of_tokens or 0) + price.image.cost_nusd(images)
