"""Why a report is empty: an empty page without a reason helps nobody."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection, func, select

from smart_llmrouter.ledger.reports.source import Question, chosen
from smart_llmrouter.stores.tables import REQUEST_MEASURES

_CALL = REQUEST_MEASURES.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Emptiness:
    """What there is instead of the calls that were asked for.

    `others` are calls of the interval that the conditions leave out. The moments are
    of the last call before the interval and of the first one after it, if any.
    """

    others: int
    last_before_ms: int | None
    first_after_ms: int | None


def why_empty(connection: Connection, question: Question) -> Emptiness:
    """Look around an interval in which nothing was found."""
    interval = question.interval
    everything = replace(question, conditions=())
    before = select(func.max(_CALL.ts_ms)).where(_CALL.ts_ms < interval.from_ms)
    after = select(func.min(_CALL.ts_ms)).where(_CALL.ts_ms >= interval.to_ms)
    others = 0
    if question.conditions:
        count = select(func.count()).select_from(REQUEST_MEASURES)
        others = connection.execute(count.where(chosen(everything))).scalar_one()
    return Emptiness(
        others=others,
        last_before_ms=connection.execute(before).scalar(),
        first_after_ms=connection.execute(after).scalar(),
    )
