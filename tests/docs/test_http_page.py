"""The page about HTTP cites the rules that the cases are about."""

import re

import pytest

from tests.support.edge_cases_bodies import BODIES
from tests.support.edge_cases_heads import HEADS
from tests.support.edge_cases_lines import LINES
from tests.support.repository import ROOT

PAGE = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
REFUSED = [case for case in (*LINES, *HEADS, *BODIES) if 400 in case.statuses]


@pytest.mark.parametrize("why", sorted({case.why for case in REFUSED}))
def test_a_rule_that_refuses_is_on_the_page(why: str) -> None:
    """For each refusal of the tables, the page has the section that asks for it."""
    sections = re.findall(r"\d+(?:\.\d+)+", why.partition(":")[0])

    assert not sections or any(section in PAGE for section in sections)
