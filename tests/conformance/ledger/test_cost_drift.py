"""How far our costs are from reported ones: the same in each kind of database."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from smart_llmrouter.ledger.cost_drift import CallDrift, TargetDrift, drift_of
from smart_llmrouter.ledger.interval import Interval
from smart_llmrouter.ledger.record import UsageRecord
from smart_llmrouter.stores.reading import connect_for_reading
from smart_llmrouter.stores.usage_store import open_store
from tests.support.ledger import NOON_MS, StateDirectory, a_record, add

COSTS = st.none() | st.integers(0, 10**15)
CALLS = st.lists(st.tuples(st.sampled_from(["a", "b", None]), COSTS, COSTS), max_size=8)
HOUR_MS = 3_600_000
_numbers = iter(range(1, 10**9))


def stored(state: StateDirectory, *records: UsageRecord) -> None:
    """Put records into the database."""
    store = open_store(state.url, journal=state.journal)
    try:
        add(store, *records, end_offset=next(_numbers))
    finally:
        store.close()


def test_drift_is_added_up_by_target(state: StateDirectory) -> None:
    """Only calls of the interval, and of those that both are known of."""
    costs = ((100, 100), (120, 100), (5, None), (None, 7), (None, None), (3, 9))
    stored(
        state,
        *(
            a_record(
                number,
                ts_ms=NOON_MS + (HOUR_MS if number == 5 else number),
                target_provider="acme",
                target_model="mini",
                price_fingerprint="price_1",
                total_cost_nusd=ours,
                upstream_reported_cost_nusd=theirs,
            )
            for number, (ours, theirs) in enumerate(costs)
        ),
        a_record(9),
    )

    with connect_for_reading(state.url) as reading:
        found = drift_of(reading, Interval(NOON_MS, NOON_MS + HOUR_MS), worst=5)

    assert found.targets == [
        TargetDrift(
            target="acme/mini",
            calls=5,
            priced=3,
            reported=3,
            compared=2,
            ours_nusd=220,
            theirs_nusd=200,
        )
    ]
    assert found.targets[0].difference_percent == Decimal("10.00")
    assert found.worst == [
        CallDrift(
            request_id=f"req_{1:032x}",
            ts_ms=NOON_MS + 1,
            target="acme/mini",
            price_fingerprint="price_1",
            ours_nusd=120,
            theirs_nusd=100,
        )
    ]


@settings(max_examples=15)
@given(CALLS)
def test_sums_are_those_of_the_rows(
    state: StateDirectory, calls: list[tuple[str | None, int | None, int | None]]
) -> None:
    """Whatever is known of which calls; each example has an hour of its own."""
    from_ms = NOON_MS + next(_numbers) * HOUR_MS
    stored(
        state,
        *(
            a_record(
                next(_numbers),
                ts_ms=from_ms + place,
                target_provider=target,
                target_model=target,
                total_cost_nusd=ours,
                upstream_reported_cost_nusd=theirs,
            )
            for place, (target, ours, theirs) in enumerate(calls)
        ),
    )

    with connect_for_reading(state.url) as reading:
        found = drift_of(reading, Interval(from_ms, from_ms + HOUR_MS), worst=100)

    known = [
        (ours, theirs)
        for target, ours, theirs in calls
        if target is not None and ours is not None and theirs is not None
    ]
    assert sum(each.calls for each in found.targets) == sum(
        target is not None for target, _, _ in calls
    )
    assert sum(each.compared for each in found.targets) == len(known)
    assert sum(each.difference_nusd for each in found.targets) == sum(
        ours - theirs for ours, theirs in known
    )
    assert sorted((each.ours_nusd, each.theirs_nusd) for each in found.worst) == sorted(
        (ours, theirs) for ours, theirs in known if ours != theirs
    )
