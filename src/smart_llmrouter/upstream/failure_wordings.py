"""How providers word failures that their status alone does not tell.

An empty account comes with 400, 401, 402, 403, 412 or 429, a wrong key with 400, and a
daily quota in the words of a rate limit. The first wording of the table that fits a
status and a body tells the class. They are looked for in the whole body of an error,
whatever shape that has; which providers say so is written down with the tests.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from smart_llmrouter.core.overflow import overflow_in


def _said(pattern: bytes) -> Callable[[bytes], object]:
    return re.compile(pattern, re.IGNORECASE).search


class Wording(NamedTuple):
    """`error_class` is the class of a body that `fits`, with one of `statuses`."""

    error_class: str
    statuses: frozenset[int]
    fits: Callable[[bytes], object]


_a_day_is_over: Final = _said(rb"per ?(?:day|month)")
_a_minute_is_over: Final = _said(rb"per ?(?:second|minute|hour)")
_google_counts: Final = _said(rb"RESOURCE_EXHAUSTED")
_account_is_empty: Final = _said(
    rb"insufficient[_ ](?:account[_ ])?(?:quota|balance|credits?|funds)"
    rb"|balance is (?:too low|insufficient|not enough)|not enough (?:balance|credits?)"
    rb"|billing[_ ](?:hard[_ ]limit|error|not[_ ]active)|check your billing details"
    rb"|exceeded[_ ](?:(?:your|its) )?current[_ ]quota|credit[_ ]limit|more credits"
    rb"|all (?:of (?:your|its) )?available credits|have any credits|included credits"
    rb"|spend(?:ing)?[_ ]limit|specified (?:workspace )?api usage limits"
    rb"|key limit exceeded|out of call volume quota|arrearage|account ?overdue"
    rb"|failure to pay|payment required|blocked_api_access|purchase (?:more )?credits"
)


def _quota_is_used_up(body: bytes) -> bool:
    """Tell a quota of days from one of minutes; Google has one wording for both."""
    if _google_counts(body):
        if _a_minute_is_over(body) and not _a_day_is_over(body):
            return False
        return bool(_a_day_is_over(body) or _account_is_empty(body))
    return bool(_account_is_empty(body))


_REFUSED: Final = frozenset({400, 403, 422})

WORDINGS: Final = (
    Wording(
        "upstream_quota_exhausted",
        frozenset({400, 401, 402, 403, 412, 429}),
        _quota_is_used_up,
    ),
    Wording("upstream_context_overflow", frozenset({400, 413, 422}), overflow_in),
    Wording(
        "upstream_content_filter",
        _REFUSED,
        _said(
            rb"content[_ ]filter|content_policy_violation|ResponsibleAIPolicyViolation"
            rb"|content exists risk|data_?inspection_?failed|flagged_input"
            rb"|violating our usage policy|violates usage guidelines"
        ),
    ),
    Wording(
        "upstream_auth_failed",
        frozenset({400, 403}),
        _said(
            rb"api_key_invalid|invalid_?api_?key|incorrect api key"
            rb"|api key (?:not valid|expired)"
        ),
    ),
    Wording(
        "upstream_entitlement_failed",
        frozenset({400, 401, 403, 404, 429}),
        _said(
            rb"must be verified to|unsupported_country_region|location is not supported"
            rb"|not available in your (?:country|region)|model_terms_required"
            rb"|extra usage is required|organization (?:has been )?(?:restricted"
            rb"|disabled)|organization_restricted"
        ),
    ),
    Wording(
        "upstream_model_access_denied",
        frozenset({400, 403}),
        _said(
            rb"model_(?:not_found|not_exist|decommissioned)|invalid_model"
            rb"|(?:does not|don't) have access to (?:the |this )?model"
            rb"|not a valid model|model not exist|model [^\"]{1,80} does not exist"
        ),
    ),
    Wording(
        "upstream_overloaded",
        frozenset({429, 500, 502, 503}),
        _said(
            rb"overloaded|(?:is|too) busy|(?:at|over) capacity|no available capacity"
            rb"|capacity exceeded"
        ),
    ),
)


def worded_class(status: int, body: bytes) -> str | None:
    """Return the class that the body of an error tells, if it tells one."""
    for wording in WORDINGS:
        if status in wording.statuses and wording.fits(body):
            return wording.error_class
    return None
