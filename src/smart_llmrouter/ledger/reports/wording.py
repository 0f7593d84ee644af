"""Numbers as people read them: short, with their unit, and unknown where unknown."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from smart_llmrouter.core.money import NUSD_PER_USD
from smart_llmrouter.ledger.reports.columns import Number, Shown, Unit
from smart_llmrouter.ledger.reports.measures import Coverage

UNKNOWN: Final = "unknown"
_US_PER_MS: Final = 1000
_US_PER_S: Final = 1_000_000
_CENTS: Final = 2
_FINEST: Final = 9
_LARGE_NUSD: Final = 10 * NUSD_PER_USD
_FOUR: Final = 4
_SIX: Final = 6
_SMALL_MS: Final = 100
_WHOLE: Final = 100
_FAST: Final = 100


def decimals_for(amounts_nusd: Iterable[int]) -> int:
    """Return with how many decimals amounts of one column are told apart."""
    largest = max((abs(amount) for amount in amounts_nusd), default=0)
    if largest >= _LARGE_NUSD or largest == 0:
        return _CENTS
    if largest >= NUSD_PER_USD // 100:
        return _FOUR
    return _SIX if largest >= NUSD_PER_USD // 10_000 else _FINEST


def usd(nusd: int, *, decimals: int | None = None) -> str:
    """Return nano-dollars as dollars, rounded; what is too small to see says so."""
    places = decimals_for([nusd]) if decimals is None else decimals
    sign = "-" if nusd < 0 else ""
    smallest = NUSD_PER_USD // 10**places
    if 0 < abs(nusd) < smallest / 2:
        return f"<{sign}${smallest / NUSD_PER_USD:.{places}f}"
    return f"{sign}${abs(Decimal(nusd)) / NUSD_PER_USD:,.{places}f}"


def usd_exactly(nusd: int) -> str:
    """Return nano-dollars as dollars, exactly, with two decimals at least."""
    sign = "-" if nusd < 0 else ""
    amount = f"{abs(Decimal(nusd)) / NUSD_PER_USD:.9f}"
    whole, _, fraction = amount.partition(".")
    return f"{sign}${int(whole):,}.{fraction.rstrip('0').ljust(_CENTS, '0')}"


def ms(us: float) -> str:
    """Return microseconds as milliseconds, with a decimal where they are few."""
    value = us / _US_PER_MS
    return f"{value:,.0f}" if value >= _SMALL_MS else f"{value:,.1f}"


def seconds(us: float) -> str:
    """Return microseconds with the unit that suits them."""
    if us < _US_PER_S:
        return f"{ms(us)} ms"
    return f"{us / _US_PER_S:,.1f} s"


def percent(value: float) -> str:
    """Return a percentage that is 0 % or 100 % only where it is exactly that."""
    if 0 < value < 0.1:
        return "<0.1 %"
    if 99.9 < value < _WHOLE:
        return ">99.9 %"
    return f"{value:.0f} %" if value in {0, _WHOLE} else f"{value:.1f} %"


def number(value: Number, unit: Unit, *, decimals: int | None = None) -> str:
    """Return a figure without its coverage."""
    if value is None:
        return UNKNOWN
    match unit:
        case "count":
            return f"{value:,}"
        case "nusd":
            return usd(int(value), decimals=decimals)
        case "us":
            return ms(value)
        case "percent":
            return percent(value)
        case "per_second":
            return f"{value:,.0f}" if value >= _FAST else f"{value:,.1f}"


def shown(found: Shown, unit: Unit, *, decimals: int | None = None) -> str:
    """Return a figure, and where it is known of some calls only, of how many."""
    text = number(found.number, unit, decimals=decimals)
    if found.number is None or found.coverage is None or found.coverage.is_whole:
        return text
    return f"{text} ({of_calls(found.coverage)})"


def of_calls(coverage: Coverage) -> str:
    """Return of how many calls something is known: `98 %`, never quite all of them."""
    part = 100 * coverage.known / coverage.of if coverage.of else 0
    return f"{min(99, max(1, int(part)))} %" if coverage.known else "0 %"


def count_of(things: int, one: str, many: str) -> str:
    """Return how many there are, in words that agree: `1 call`, `2 calls`."""
    return f"{things:,} {one if things == 1 else many}"
