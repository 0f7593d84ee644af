"""What `SMART_LLMROUTER_INGESTER_CPUS` may say."""

import os

import pytest

from smart_llmrouter.ledger.affinity import BadCpus, ingester_cpus, parse_cpus

NAME = "SMART_LLMROUTER_INGESTER_CPUS"


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("1", {1}),
        ("0,2-3", {0, 2, 3}),
        (" 4-4 , 1", {1, 4}),
        ("2-2,2", {2}),
    ],
)
def test_numbers_and_ranges_are_understood(text: str, cpus: set[int]) -> None:
    """As in the lists that the kernel itself writes."""
    assert parse_cpus(text) == cpus


@pytest.mark.parametrize("text", ["one", "1,", "3-1", "-1", "1;2", "1-2-3", "0x1", ","])
def test_anything_else_is_refused_with_what_is_expected(text: str) -> None:
    """The message names the variable, the text and an example."""
    with pytest.raises(BadCpus) as caught:
        ingester_cpus({NAME: text})

    assert str(caught.value).startswith(NAME)
    assert "such as `1` or `0,2-3`" in str(caught.value)


def test_nothing_wanted_means_any() -> None:
    """Without the variable, or with an empty one, nothing is pinned."""
    assert ingester_cpus({}) == frozenset()
    assert ingester_cpus({NAME: " "}) == frozenset()


def test_processors_that_are_not_there_are_refused() -> None:
    """Rather at the start than with an ingester that runs somewhere else."""
    own = os.sched_getaffinity(0)

    with pytest.raises(BadCpus, match="no processor 9998, 9999 that"):
        ingester_cpus({NAME: f"{min(own)},9998-9999"})

    assert os.sched_getaffinity(0) == own


def test_processors_that_are_there_are_taken() -> None:
    """Asking for them does not move the process that asks."""
    own = os.sched_getaffinity(0)
    wanted = min(own)

    assert ingester_cpus({NAME: str(wanted)}) == {wanted}
    assert os.sched_getaffinity(0) == own


def test_a_system_that_cannot_pin_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not every system can; then the variable is refused, not ignored."""
    monkeypatch.delattr(os, "sched_setaffinity")

    with pytest.raises(BadCpus, match="this system cannot"):
        ingester_cpus({NAME: "0"})
