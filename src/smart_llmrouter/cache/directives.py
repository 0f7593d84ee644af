"""What a caller wants of caches: its `Cache-Control` (RFC 9111, 5.2.1)."""

from typing import Final

import msgspec

_MOST_DIGITS: Final = 10


class Directives(msgspec.Struct, frozen=True):
    """What was said, as far as it is heeded.

    `no_cache`: serve nothing that was kept; `no_store`: neither that, nor keep the
    answer. `max_age_s` is how old an answer may be.
    """

    no_cache: bool = False
    no_store: bool = False
    max_age_s: int | None = None


SILENT: Final = Directives()
"""What callers say that say nothing."""


def directives_in(value: bytes | None) -> Directives:
    """Read the value of a `Cache-Control`; what is not understood says nothing."""
    if not value:
        return SILENT
    said = {
        name.strip().lower(): argument.strip(b' \t"')
        for name, _, argument in (each.partition(b"=") for each in value.split(b","))
    }
    age = said.get(b"max-age", b"")
    known = age.isdigit() and len(age) <= _MOST_DIGITS
    max_age_s = int(age) if known else None
    return Directives(
        no_cache=b"no-cache" in said or max_age_s == 0,
        no_store=b"no-store" in said,
        max_age_s=max_age_s,
    )
