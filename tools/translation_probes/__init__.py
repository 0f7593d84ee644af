"""What callers can say in each dialect, field by field, to see what becomes of it.

A probe is a request that says one thing more than another. `translation_page` sends
both through the translation to each dialect, and tells what the difference came to.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Members = Mapping[str, Any]

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQ"
    "AAAABJRU5ErkJggg=="
)
PNG_URL = f"data:image/png;base64,{PNG}"
PDF = "JVBERi0xLjQK"
PDF_URL = f"data:application/pdf;base64,{PDF}"
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}


@dataclass(frozen=True, slots=True)
class Probe:
    """A field, and the members of a request that say it.

    `without` are the members of the request that does not; both amend a short one.
    """

    name: str
    members: Members
    without: Members = field(default_factory=dict)
