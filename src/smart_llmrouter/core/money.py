"""Money in integer nano-dollars (nUSD), and prices as exact decimals.

No float ever touches money. One dollar is 1,000,000,000 nUSD; a price of one
dollar per million tokens is 1,000 nUSD a token.
"""

from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import Final

NUSD_PER_USD = 1_000_000_000
_NUSD_PER_TOKEN_AT_ONE_USD_PER_MILLION = NUSD_PER_USD // 1_000_000
_NUSD_DIGITS = 9
_MOST_USD_OF_A_CALL: Final = 1_000_000
_TICKS_PER_NUSD: Final = 10
_ONE_NUSD = Decimal(1).scaleb(-_NUSD_DIGITS)
_EXACT = Context(prec=60)


def divide_half_even(numerator: int, denominator: int) -> int:
    """Divide two non-negative integers, rounding a half to the even neighbour."""
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and quotient % 2 == 1):
        return quotient + 1
    return quotient


def nusd_from_usd(usd: Decimal) -> int:
    """Convert dollars to nano-dollars, rounding a half to the even neighbour.

    Raises `ArithmeticError` for what is no amount of money: infinite, or above 10**50.
    """
    # Not by way of a fraction: 1e-99999999 has a denominator of that many digits.
    rounded = usd.quantize(_ONE_NUSD, ROUND_HALF_EVEN, _EXACT)
    return int(rounded.scaleb(_NUSD_DIGITS, _EXACT))


def reported_nusd(usd: Decimal | None, ticks: int | None) -> int | None:
    """Return what a provider says that a call cost, in dollars or in ticks.

    Ten ticks are a nano-dollar. What no call can have cost is as if it were not said:
    sums stay within a column.
    """
    if usd is not None:
        fits = usd.is_finite() and 0 <= usd <= _MOST_USD_OF_A_CALL
        return nusd_from_usd(usd) if fits else None
    return None if ticks is None else divide_half_even(ticks, _TICKS_PER_NUSD)


def usd_text(nusd: int) -> str:
    """Return nano-dollars as dollars, exactly, with two decimals at least."""
    whole, rest = divmod(abs(nusd), NUSD_PER_USD)
    fraction = f"{rest:0{_NUSD_DIGITS}d}".rstrip("0").ljust(2, "0")
    return f"{'-' if nusd < 0 else ''}{whole}.{fraction}"


@dataclass(frozen=True, slots=True)
class Rate:
    """What one token or image costs, as an exact fraction of a nano-dollar."""

    numerator: int
    denominator: int

    @classmethod
    def per_million(cls, usd: Decimal) -> "Rate":
        """Return the rate of a price in dollars per million tokens."""
        exact = Fraction(usd) * _NUSD_PER_TOKEN_AT_ONE_USD_PER_MILLION
        return cls(exact.numerator, exact.denominator)

    @classmethod
    def each(cls, usd: Decimal) -> "Rate":
        """Return the rate of a price in dollars for each one."""
        exact = Fraction(usd) * NUSD_PER_USD
        return cls(exact.numerator, exact.denominator)

    @property
    def usd_per_million(self) -> float:
        """Dollars per million tokens: for comparing, and nothing is paid by it."""
        nusd_per_token = self.numerator / self.denominator
        return nusd_per_token / _NUSD_PER_TOKEN_AT_ONE_USD_PER_MILLION

    def cost_nusd(self, tokens: int) -> int:
        """Return what `tokens`, or images, cost, rounded half-even once."""
        if self.denominator == 1:
            return tokens * self.numerator
        return divide_half_even(tokens * self.numerator, self.denominator)


FOREVER_MS: Final = 2**63 - 1
"""Later than any call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a target's tokens cost, where that is known.

    A part that is `None` is unknown, not free. Cached input without a price of its
    own costs what input costs. So does what is written into the provider's cache for
    five minutes (`cache_write`); for an hour (`cache_write_1h`) it costs as much as for
    five minutes. Reasoning costs what other output does, and the tokens of images what
    other input does, where they have no price; `image` is what each image of the input
    costs beside its tokens, and nothing where it is not known.

    `source` and the day `as_of` say where and when it was read. It is in force from
    `effective_from_ms`, or always has been, until `until_ms`; from then on what is
    `after` it is. A price without a `fingerprint` is that of a time for which none is
    known. A call of more input tokens than `above_tokens` has the price `above`, all of
    it.
    """

    input: Rate | None
    cached_input: Rate | None
    output: Rate | None
    fingerprint: str | None
    cache_write: Rate | None = None
    cache_write_1h: Rate | None = None
    reasoning: Rate | None = None
    image_input: Rate | None = None
    image: Rate | None = None
    effective_from_ms: int | None = None
    source: str | None = None
    as_of: str | None = None
    until_ms: int = FOREVER_MS
    after: "Price | None" = None
    above_tokens: int = FOREVER_MS
    above: "Price | None" = None
    dearest_input: Rate | None = field(init=False, compare=False, repr=False)
    """What a token of input costs at most, whatever it is and the cache does."""
    dearest_output: Rate | None = field(init=False, compare=False, repr=False)
    """What a token of output costs at most, of reasoning or not."""
    whole_nusd: tuple[int, int] | None = field(init=False, compare=False, repr=False)
    """What tokens of input and of output cost of all calls, where these are whole
    nano-dollars."""
    dearest_nusd: tuple[int, int] | None = field(init=False, compare=False, repr=False)
    """What a token of input and one of output cost at most, where these are whole
    nano-dollars."""
    is_plain: bool = field(init=False, compare=False, repr=False)
    """Whether it is the same for all calls, whenever and whatever they are."""

    def __post_init__(self) -> None:
        """Find what costs most, and what is easy to count."""
        whole = _whole(self.input, self.output) if self.above is None else None
        object.__setattr__(self, "whole_nusd", whole)
        object.__setattr__(
            self, "is_plain", not (self.after or self.above or self.image)
        )
        read = (self.input, self.cached_input, self.image_input)
        written = (self.cache_write, self.cache_write_1h)
        dearest_input = _dearest(*read, *written)
        dearest_output = _dearest(self.output, self.reasoning)
        object.__setattr__(self, "dearest_input", dearest_input)
        object.__setattr__(self, "dearest_output", dearest_output)
        object.__setattr__(self, "dearest_nusd", _whole(dearest_input, dearest_output))

    def at(self, ts_ms: int) -> "Price":
        """Return what is in force at a time, of this price and those after it."""
        price = self
        while price.after is not None and ts_ms >= price.until_ms:
            price = price.after
        return price

    def for_input(self, tokens: int) -> "Price":
        """Return what a call of so many input tokens has."""
        price = self
        while price.above is not None and tokens > price.above_tokens:
            price = price.above
        return price


def _dearest(*rates: Rate | None) -> Rate | None:
    known = [rate for rate in rates if rate is not None]
    return max(known, key=lambda rate: rate.usd_per_million, default=None)


def _whole(read: Rate | None, written: Rate | None) -> tuple[int, int] | None:
    if read is None or written is None or read.denominator * written.denominator != 1:
        return None
    return read.numerator, written.numerator
