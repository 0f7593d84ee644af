"""What can be grouped by, and what is said of anything else."""

import pytest

from smart_llmrouter.ledger.reports.dimensions import (
    DIMENSIONS,
    UnknownDimension,
    dimension_of,
    dimensions_of,
)


def test_a_list_of_dimensions_keeps_its_order() -> None:
    """Spaces and repetitions do no harm."""
    found = dimensions_of("model, group,model")

    assert [dimension.name for dimension in found] == ["model", "group"]


@pytest.mark.parametrize("text", ["grop", "", ",", "group,nobody"])
def test_an_unknown_dimension_is_answered_with_the_known_ones(text: str) -> None:
    """The message lists what is allowed."""
    with pytest.raises(UnknownDimension, match="requested-model"):
        dimensions_of(text)


def test_a_slip_is_answered_with_what_was_meant() -> None:
    """Underscores, as columns have them, are understood that far."""
    with pytest.raises(UnknownDimension, match="did you mean error-class"):
        dimension_of("error_clas")


def test_an_owner_is_a_user() -> None:
    """Some words mean the same."""
    assert dimension_of("owner") is DIMENSIONS["user"]


def test_two_periods_at_once_are_refused() -> None:
    """The day of an hour is known already."""
    with pytest.raises(UnknownDimension, match="one of hour, day and month"):
        dimensions_of("hour,day")
