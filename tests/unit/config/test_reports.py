"""What reports compare with, and in which zone."""

import pytest

from tests.support.configuration import SMALL, loaded


def test_a_report_compares_with_a_model_that_has_a_price() -> None:
    """The names keep their order; the price is the model's."""
    found = loaded(
        "reports: {timezone: Europe/Berlin, baselines: [acme/mini]}\n" + SMALL
    ).snapshot

    assert found is not None
    assert found.reports.timezone == "Europe/Berlin"
    [(name, price)] = found.reports.baselines.items()
    assert name == "acme/mini"
    assert price.output is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("baselines: [acme/mni]", "did you mean `acme/mini`?"),
        ("baselines: [acme]", "`acme` is no model of any provider"),
        ("baselines: [acme/free]", "`acme/free` has no price to compare with"),
        ("timezone: Europe/Berln", "this time zone is not known here"),
    ],
)
def test_what_cannot_be_compared_with_is_an_error(text: str, said: str) -> None:
    """With its place, and what would be right."""
    settings = SMALL.replace("    models:\n", "    models:\n      free: {}\n")

    found = loaded(f"reports: {{{text}}}\n" + settings)

    assert found.snapshot is None
    assert any(said in f"{each.message} {each.remedy}" for each in found.findings)
