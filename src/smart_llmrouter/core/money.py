"""Money in integer nano-dollars (nUSD), and prices as exact decimals.

No float ever touches money. One dollar is 1,000,000,000 nUSD; a price of one
dollar per million tokens is 1,000 nUSD a token.
"""

from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

NUSD_PER_USD = 1_000_000_000
_NUSD_PER_TOKEN_AT_ONE_USD_PER_MILLION = NUSD_PER_USD // 1_000_000
_NUSD_DIGITS = 9
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


def usd_text(nusd: int) -> str:
    """Return nano-dollars as dollars, exactly, with two decimals at least."""
    whole, rest = divmod(abs(nusd), NUSD_PER_USD)
    fraction = f"{rest:0{_NUSD_DIGITS}d}".rstrip("0").ljust(2, "0")
    return f"{'-' if nusd < 0 else ''}{whole}.{fraction}"


@dataclass(frozen=True, slots=True)
class Rate:
    """What one token costs, as an exact fraction of a nano-dollar."""

    numerator: int
    denominator: int

    @classmethod
    def per_million(cls, usd: Decimal) -> "Rate":
        """Return the rate of a price in dollars per million tokens."""
        exact = Fraction(usd) * _NUSD_PER_TOKEN_AT_ONE_USD_PER_MILLION
        return cls(exact.numerator, exact.denominator)

    @property
    def usd_per_million(self) -> float:
        """Dollars per million tokens: for comparing, and nothing is paid by it."""
        nusd_per_token = self.numerator / self.denominator
        return nusd_per_token / _NUSD_PER_TOKEN_AT_ONE_USD_PER_MILLION

    def cost_nusd(self, tokens: int) -> int:
        """Return what `tokens` cost, rounded half-even once."""
        if self.denominator == 1:
            return tokens * self.numerator
        return divide_half_even(tokens * self.numerator, self.denominator)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a target's tokens cost, where that is known.

    A part that is `None` is unknown, not free. Cached input without a price of its
    own costs what input costs. So does what is written into the provider's cache for
    five minutes (`cache_write`); for an hour (`cache_write_1h`) it costs as much as for
    five minutes.
    """

    input: Rate | None
    cached_input: Rate | None
    output: Rate | None
    fingerprint: str
    cache_write: Rate | None = None
    cache_write_1h: Rate | None = None
    dearest_input: Rate | None = field(init=False, compare=False, repr=False)
    """What a token of input costs at most, whatever the provider's cache does."""

    def __post_init__(self) -> None:
        """Find what costs most."""
        rates = (self.input, self.cached_input, self.cache_write, self.cache_write_1h)
        known = [rate for rate in rates if rate is not None]
        dearest = max(known, key=lambda rate: rate.usd_per_million, default=None)
        object.__setattr__(self, "dearest_input", dearest)
