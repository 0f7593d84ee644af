"""Fingerprints: short, stable ids of what is in force.

They are made from the effective values, defaults included and secrets left out in
favour of their references: comments, formatting and the order of keys do not matter.
"""

import hashlib
import json
from datetime import date
from decimal import Decimal
from typing import Final

from smart_llmrouter.config.schema import Settings
from smart_llmrouter.config.schema.providers import Price

_HEX_DIGITS: Final = 24
_LATER_KEYS: Final = (
    "reasoning_per_million",
    "image_input_per_million",
    "above",
    "effective_from",
)


def settings_fingerprint(settings: Settings) -> str:
    """Return the fingerprint of a configuration, such as `cfg_3f0c…`."""
    return _fingerprint("cfg", settings.model_dump())


def price_fingerprint(price: Price) -> str:
    """Return the fingerprint of a price, its source and its day.

    Keys that prices did not always have are not part of it where they are not given:
    the fingerprint of an unchanged price is the same in all versions.
    """
    values = price.model_dump()
    for key in _LATER_KEYS:
        if not values[key] and values[key] != 0:
            del values[key]
    return _fingerprint("price", values)


def _fingerprint(kind: str, values: object) -> str:
    canonical = json.dumps(
        values,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
        default=_as_text,
    )
    return f"{kind}_{hashlib.sha256(canonical.encode()).hexdigest()[:_HEX_DIGITS]}"


def _as_text(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"no canonical form for {type(value).__name__}")
