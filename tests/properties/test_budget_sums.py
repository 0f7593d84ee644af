"""Law: what rows say of budgets is what calls have used, whatever crashed between."""

import itertools
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from smart_llmrouter.admission.calendar import bounds_ms
from smart_llmrouter.config.allowances import Allowances, PeriodName
from smart_llmrouter.ledger.budget_sums import Periods, budget_uses
from smart_llmrouter.ledger.catch_up import all_rows
from smart_llmrouter.ledger.record import UsageRecord, encode_record
from tests.support.ledger import StateDirectory, a_record, state_in
from tests.support.spending import added_up, flat, with_budgets

NOW_MS = round(datetime(2026, 11, 2, 1, 30, tzinfo=UTC).timestamp() * 1000)
EVERY: tuple[PeriodName, ...] = ("day", "month", "lifetime")
ALLOWANCES = Allowances(
    callers={
        "a": with_budgets(*EVERY, timezone="America/New_York"),
        "b": with_budgets("day"),
    },
    owners={"u": with_budgets("month", "lifetime", timezone="Asia/Kolkata")},
    projects={"p": with_budgets("day", timezone="Pacific/Auckland")},
    environments={("p", "dev"): with_budgets(*EVERY)},
    groups={"g": with_budgets("day", "month", timezone="Europe/Berlin")},
    per_caller={"g": with_budgets(*EVERY), "h": with_budgets("lifetime")},
)
KEYS = ("caller:a", "project:p", "environment:p/dev", "group:g", "group-caller:g/b")

moments = st.integers(min_value=NOW_MS - 40 * 86_400_000, max_value=NOW_MS)
near_moments = st.integers(min_value=NOW_MS - 2 * 86_400_000, max_value=NOW_MS)
amounts = st.none() | st.integers(min_value=0, max_value=10**9)
calls = st.fixed_dictionaries(
    {
        "ts_ms": moments | near_moments,
        "caller_id": st.sampled_from("abc"),
        "caller_user": st.sampled_from("uv"),
        "caller_project": st.sampled_from("pq"),
        "caller_environment": st.sampled_from(["dev", "prod"]),
        "resolved_group": st.sampled_from(["g", "h", "i"]),
        "attempts": st.integers(min_value=0, max_value=2),
        "input_tokens": amounts,
        "output_tokens": amounts,
        "total_cost_nusd": amounts,
        "charged_tokens": amounts,
        "charged_cost_nusd": amounts,
        "queued_us": amounts,
    }
)
resets = st.dictionaries(
    st.tuples(st.sampled_from(KEYS), st.sampled_from(EVERY)), moments | near_moments
)
lives = st.lists(
    st.tuples(
        st.lists(calls, max_size=8),
        st.none() | st.integers(min_value=0, max_value=200),
        st.booleans(),
    ),
    max_size=4,
)
"""Of each router: its calls; how much it wrote of the last one's line when it was
killed, if it was; and whether an ingester has worked a little since."""


@settings(max_examples=60)
@given(lives=lives, resets=resets)
def test_rows_say_what_calls_have_used(
    lives: list[tuple[list[dict[str, object]], int | None, bool]],
    resets: dict[tuple[str, PeriodName], int],
) -> None:
    """After any crashes, in any time zones, since the last resets."""
    with tempfile.TemporaryDirectory() as directory:
        state = state_in(Path(directory))
        answered: list[UsageRecord] = []
        numbers = itertools.count()
        for calls_made, torn_at, ingested in lives:
            records = [a_record(next(numbers), **each) for each in calls_made]
            answered += life(state, records, torn_at=torn_at)
            if ingested:
                state.ingester(block_bytes=600).advance()

        with all_rows(
            state.path, state.url, sleep=time.sleep, monotonic=time.monotonic
        ) as connection:
            periods = Periods(NOW_MS, resets, bounds_ms)
            uses = budget_uses(connection, ALLOWANCES, periods)

        wanted = added_up(answered, ALLOWANCES, at_ms=NOW_MS, resets=resets)
        assert flat(uses) == wanted


def life(
    state: StateDirectory, records: list[UsageRecord], *, torn_at: int | None
) -> list[UsageRecord]:
    """Be a router until its end, and return the calls that were answered."""
    answered = records if torn_at is None else records[:-1]
    before = set(state.segments())
    state.journalled(answered)
    if torn_at is not None and records:
        [name] = set(state.segments()) - before
        with (state.journal / name).open("ab") as segment:
            segment.write(encode_record(records[-1])[:torn_at])
    return answered
