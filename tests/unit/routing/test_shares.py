"""Which share of the calls comes first to whom."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.config.policies import Dynamic
from smart_llmrouter.routing.shares import FADE, shares_of

ALL = [True, True]


@pytest.mark.parametrize(
    ("weights", "scores", "known", "settings", "shares"),
    [
        pytest.param(
            [3, 1], [0.9, 0.1], [False, False], Dynamic(), [0.75, 0.25], id="cold"
        ),
        pytest.param([3, 1], [0.5, 0.5], ALL, Dynamic(), [0.75, 0.25], id="equal"),
        pytest.param([1, 1], [1.0, 0.2], ALL, Dynamic(), [0.95, 0.05], id="moved"),
        pytest.param([9, 1], [0.2, 1.0], ALL, Dynamic(), [0.05, 0.95], id="heavy"),
        pytest.param(
            [1, 1], [1.0, 1 - FADE / 2], ALL, Dynamic(), [2 / 3, 1 / 3], id="fading"
        ),
        pytest.param(
            [1, 1], [1.0, 0.2], ALL, Dynamic(explore=0), [1.0, 0.0], id="no exploring"
        ),
        pytest.param(
            [1, 1], [1, 0], ALL, Dynamic(max_adjustment=0), [0.5, 0.5], id="weights"
        ),
        pytest.param(
            [1, 1], [1, 0], ALL, Dynamic(max_adjustment=0.7), [0.815, 0.185], id="some"
        ),
        pytest.param(
            [2, 1, 1],
            [1.0, 0.2, 0.9],
            [True, True, False],
            Dynamic(),
            [0.75 * 0.95, 0.75 * 0.05, 0.25],
            id="one is new",
        ),
        pytest.param([1, 0], [0.1, 1.0], ALL, Dynamic(), [1.0, 0.0], id="weightless"),
        pytest.param(
            [1, 0], [1.0, 1.0], [False, True], Dynamic(), [1.0, 0.0], id="only known"
        ),
        pytest.param([4], [0.3], [True], Dynamic(), [1.0], id="alone"),
        pytest.param(
            [2, 1, 1],
            [1.0, 0.1, 0.1],
            [True] * 3,
            Dynamic(explore=0.1),
            [0.9, 0.05, 0.05],
            id="explored by weight",
        ),
    ],
)
def test_shares(
    weights: list[float],
    scores: list[float],
    known: list[bool],
    settings: Dynamic,
    shares: list[float],
) -> None:
    """Weights decide until a target is known, then scores as far as they may."""
    found = shares_of(weights, scores, known, settings=settings)

    assert found == pytest.approx(shares)


@given(
    st.lists(
        st.tuples(st.integers(0, 1000), st.floats(0, 1), st.booleans()), min_size=1
    ).filter(lambda rows: any(weight for weight, _, _ in rows)),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_shares_are_shares(
    rows: list[tuple[int, float, bool]], explore: float, moved: float
) -> None:
    """They add up to 1, none is negative, and who has no weight has none."""
    weights, scores, known = ([row[at] for row in rows] for at in range(3))
    settings = Dynamic(explore=explore, max_adjustment=moved)

    shares = shares_of(weights, scores, known, settings=settings)  # type: ignore[arg-type]  # columns of mixed rows

    assert sum(shares) == pytest.approx(1)
    assert min(shares) >= 0
    assert all(
        weight or not share for weight, share in zip(weights, shares, strict=True)
    )
