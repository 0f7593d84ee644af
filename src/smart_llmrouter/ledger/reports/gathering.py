"""All figures that a report needs, read from a database in few looks."""

from collections.abc import Sequence

from sqlalchemy import Connection

from smart_llmrouter.ledger.reports.added import Added
from smart_llmrouter.ledger.reports.dimensions import Dimension
from smart_llmrouter.ledger.reports.durations import EXACT_UP_TO
from smart_llmrouter.ledger.reports.folds import Folds
from smart_llmrouter.ledger.reports.lines import Gathered
from smart_llmrouter.ledger.reports.source import Question, Source, unit_of
from smart_llmrouter.ledger.reports.timed import TimedCalls


def gather(
    connection: Connection,
    question: Question,
    *,
    dimensions: Sequence[Dimension],
    timed: Sequence[Dimension],
    period: Dimension | None = None,
) -> Gathered:
    """Read all figures by `dimensions`, and percentiles by `timed`, some of them.

    With a `period`, which is none of them, figures are read by that alone, too.
    """
    source = Source(connection, question)
    added = Added(source)
    figures, periods = added.by_keys_and_period(dimensions, period)
    calls = sum(each.sums[0] for _, each in figures)
    exact = calls <= EXACT_UP_TO and source.all_there
    unit = unit_of(dimensions)
    return Gathered(
        figures=Folds(dimensions, figures),
        timed=Folds(timed, TimedCalls(source, timed).durations(exact=exact).items()),
        exact=exact,
        price=question.baseline.price if question.baseline else None,
        zone=question.zone,
        rolled_up=bool(source.parts(unit).roll_ups),
        period=period,
        periods=periods,
        versions=added.versions(unit) if calls else (),
    )
