"""A request that is longer than the model's context, however its provider says so.

Coding agents make room and go on when they learn that; each knows it by one wording or
code only, which few providers use.
"""

import re
from dataclasses import dataclass
from typing import Final

_CODE: Final = rb"context_length_exceeded|exceed_context_size|context_window_exceeded"
_WORDS: Final = (
    rb"prompt is too long|input is too long"
    rb"|maximum (?:context|prompt) length"
    rb"|exceeds? (?:the (?:model's )?)?(?:available |maximum )?context"
    rb"|(?:larger|longer) than the (?:model's )?(?:available |maximum )?context"
    rb"|token count[^\"]{0,40}exceeds the maximum number of tokens"
)
_says_so: Final = re.compile(_CODE + b"|" + _WORDS, re.IGNORECASE).search
_find_limit: Final = re.compile(
    rb"(?:maximum (?:context|prompt) length (?:is|of) "
    rb"|maximum number of tokens allowed \(|\"n_ctx\": ?)([\d,]+)",
    re.IGNORECASE,
).search
_find_length: Final = re.compile(
    rb"(?:(?:resulted in|requested(?: about)?|has|contains) ([\d,]+) (?:input )?tokens"
    rb"|token count \(([\d,]+)|\"n_prompt_tokens\": ?(\d+))",
    re.IGNORECASE,
).search


@dataclass(frozen=True, slots=True)
class Overflow:
    """How many tokens were found and how many there may be, where both were said."""

    tokens: tuple[int, int] | None = None


def overflow_in(error_body: bytes) -> Overflow | None:
    """Read a provider's rejection; return nothing if it is about something else."""
    if not _says_so(error_body):
        return None
    limit, length = _find_limit(error_body), _find_length(error_body)
    if limit is None or length is None:
        return Overflow()
    found = next(group for group in length.groups() if group)
    return Overflow((_number(found), _number(limit[1])))


def _number(digits: bytes) -> int:
    return int(digits.replace(b",", b"") or b"0")
