"""Reports as text: exact, honest about what is unknown, and inert."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from smart_llmrouter.ledger.interval import Interval, zone_of
from smart_llmrouter.ledger.record import UsageRecord
from smart_llmrouter.ledger.render import render
from smart_llmrouter.ledger.reports.report import Report
from tests.support.ledger import a_record, state_in
from tests.support.reports import ingested, report_on

MakeReport = Callable[..., Report]
HOSTILE = "=cmd|'/c x'!A0 <script>|`*_[a](b)\n# x"


@pytest.fixture
def report_of(tmp_path: Path) -> MakeReport:
    """Return a maker of reports about given records."""

    def make(
        *records: UsageRecord,
        unread_bytes: int = 0,
        by: str = "",
        timezone: str = "UTC",
        where: tuple[str, ...] = (),
    ) -> Report:
        state = state_in(tmp_path)
        ingested(state, records)
        return report_on(
            state,
            *([by] if by else []),
            interval=Interval(0, 1_793_491_200_000),
            zone=zone_of(timezone),
            where=where,
            unread_bytes=unread_bytes,
        )

    return make


def test_markdown_states_interval_zone_and_version(report_of: MakeReport) -> None:
    """The head says what was asked for, and of whom."""
    report = report_of(
        a_record(1), timezone="Europe/Berlin", where=("caller=alice-search-dev",)
    )

    text = render(report, to="markdown")

    assert (
        "- From 1970-01-01 01:00:00+01:00 until before 2026-11-01 01:00:00+01:00 "
        "(Europe/Berlin)\n"
        "- Only calls with caller=alice-search-dev\n"
    ) in text
    assert "smart-llmrouter 9.9.9" in text
    assert "Calls served by version 0.1.0" in text
    assert "incomplete" not in text


def test_unknown_is_said_in_every_format(report_of: MakeReport) -> None:
    """A cost that nobody knows is not zero, and coverage is shown."""
    report = report_of(
        a_record(1, total_cost_nusd=1_500_000_001), a_record(2), a_record(3)
    )

    markdown = render(report, to="markdown")
    figures = json.loads(render(report, to="json"))["totals"]
    [totals, *_] = csv.DictReader(io.StringIO(render(report, to="csv")))

    assert "| Cost | $1.500000001 | 1 of 3 calls |" in markdown
    assert "- **Cost:** $1.5000, known for 1 of 3 calls" in markdown
    assert "| Input tokens | unknown | 0 of 3 calls |" in markdown
    assert (figures["cost_nusd"], figures["cost_nusd_known_calls"]) == (1500000001, 1)
    assert (figures["input_tokens"], figures["input_tokens_known_calls"]) == (None, 0)
    assert (totals["cost_nusd"], totals["input_tokens"]) == ("1500000001", "")
    assert totals["input_tokens_known_calls"] == "0"


def test_cache_reads_and_writes_are_shown_apart(report_of: MakeReport) -> None:
    """Tokens and cost of both, in every format, and how many calls were estimates."""
    writer = a_record(
        1,
        input_tokens=1000,
        cached_input_tokens=300,
        cache_write_5m_tokens=200,
        cache_write_1h_tokens=100,
        total_cost_nusd=50,
        cached_input_cost_nusd=7,
        cache_write_cost_nusd=30,
    )
    report = report_of(writer, a_record(2, usage_estimated=True), by="client")

    markdown = render(report, to="markdown")
    figures = json.loads(render(report, to="json"))["totals"]
    [totals, *_] = csv.DictReader(io.StringIO(render(report, to="csv")))

    for line in (
        "| of them read from caches | 300 | 1 of 2 calls |",
        "| of them written into caches for 5 minutes | 200 | 1 of 2 calls |",
        "| of them written into caches for 1 hour | 100 | 1 of 2 calls |",
        "| of it for input from caches | $0.000000007 | 1 of 2 calls |",
        "| of it for writing into caches | $0.00000003 | 1 of 2 calls |",
        "| Calls whose tokens the router counted itself | 1 |  |",
    ):
        assert line in markdown
    assert "| 1,000 (50 %) | 300 |" in markdown
    expected = {
        "cached_input_tokens": 300,
        "cache_write_5m_tokens": 200,
        "cache_write_1h_tokens": 100,
        "cached_input_cost_nusd": 7,
        "cache_write_cost_nusd": 30,
        "cache_write_cost_nusd_known_calls": 1,
        "estimated_calls": 1,
    }
    assert {name: figures[name] for name in expected} == expected
    assert {name: int(totals[name]) for name in expected} == expected


def test_caches_that_nobody_reads_are_told_in_every_format(
    report_of: MakeReport,
) -> None:
    """And nothing is said of them where there are none."""
    records = [
        a_record(number, cache_write_5m_tokens=5, cached_input_tokens=0)
        for number in range(3)
    ]
    usual, report = report_of(a_record(9, client="other")), report_of(*records)

    rows = list(csv.DictReader(io.StringIO(render(report, to="csv"))))
    said = json.loads(render(report, to="json"))["sections"]

    named = {each["name"]: each for each in said}
    assert "## Caches written and never read" in render(report, to="markdown")
    written = [
        row["cache_write_5m_tokens"]
        for row in rows
        if row["section"] == "unread-caches"
    ]
    assert written == ["15"]
    key = named["unread-caches"]["lines"][0]["key"]
    assert key["caller"] == "alice-search-dev"
    assert "never read" not in render(usual, to="markdown")


def test_columns_that_no_call_fills_are_left_out(report_of: MakeReport) -> None:
    """Nobody reads of what there is not, in totals and tables."""
    markdown = render(report_of(a_record(1), by="client"), to="markdown")

    assert (
        "| Client | Calls | Errors | Cost | Input tokens | Output tokens |" in markdown
    )
    assert "1 hour" not in markdown


@pytest.mark.parametrize(
    ("nusd", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (10_000_000, "$0.01"),
        (1_234_567_890_000_000_000, "$1,234,567,890.00"),
        (9_007_199_254_740_993, "$9,007,199.254740993"),
    ],
)
def test_money_is_exact(report_of: MakeReport, nusd: int, text: str) -> None:
    """No float rounds a nano-dollar away."""
    report = report_of(a_record(1, total_cost_nusd=nusd))

    assert f"| Cost | {text} |" in render(report, to="markdown")


def test_an_incomplete_report_says_so(report_of: MakeReport) -> None:
    """What the journal still holds is told in every format."""
    report = report_of(unread_bytes=12345)

    assert "incomplete: 12,345 bytes not yet ingested" in render(report, to="markdown")
    assert json.loads(render(report, to="json"))["complete"] is False
    totals = next(csv.DictReader(io.StringIO(render(report, to="csv"))))
    assert totals["unread_bytes"] == "12345"


def test_a_hostile_name_is_inert(report_of: MakeReport) -> None:
    """A client's own name can be no markup, no HTML, no new line and no formula."""
    report = report_of(a_record(1, client=HOSTILE), by="client")

    markdown = render(report, to="markdown")
    rows = list(csv.DictReader(io.StringIO(render(report, to="csv"))))
    [section] = json.loads(render(report, to="json"))["sections"]

    [line] = [line for line in markdown.splitlines() if "cmd" in line]
    assert "<script>" not in line.replace("\\<", "")
    [head] = [line for line in markdown.splitlines() if "| Client |" in line]
    assert line.replace("\\|", "").count("|") == head.count("|")
    assert rows[1]["client"] == "'" + HOSTILE
    assert section["lines"][0]["key"] == {"client": HOSTILE}


def test_an_absent_key_differs_from_an_empty_one(report_of: MakeReport) -> None:
    """No group at all is shown as such, and is `null` in JSON."""
    report = report_of(a_record(1), a_record(2, resolved_group=""), by="group")

    keys = [
        line["key"]["group"]
        for line in json.loads(render(report, to="json"))["sections"][0]["lines"]
    ]
    markdown = render(report, to="markdown")

    assert sorted(keys, key=repr) == ["", None]
    assert "| (none) |" in markdown
    assert '| "" |' in markdown


def test_errors_are_listed_by_status_code_and_class(report_of: MakeReport) -> None:
    """The most frequent failure comes first."""
    failed = {"status": 504, "error_code": "upstream-timeout"}
    report = report_of(
        a_record(1, status=401, error_code="unauthorized", error_class="refused"),
        a_record(2, **failed),
        a_record(3, **failed),
    )

    markdown = render(report, to="markdown")
    rows = list(csv.DictReader(io.StringIO(render(report, to="csv"))))

    assert "| 504 | upstream-timeout | (none) | 2 | 66.7 % |\n| 401 |" in markdown
    listed = [
        (row["status"], row["error"], row["error-class"], row["calls"])
        for row in rows
        if row["section"] == "errors"
    ]
    assert listed == [
        ("504", "upstream-timeout", "", "2"),
        ("401", "unauthorized", "refused", "1"),
    ]


def test_a_long_table_says_how_much_it_leaves_out(report_of: MakeReport) -> None:
    """People read the first lines; programs get all."""
    report = report_of(*(a_record(n, client=f"c{n}") for n in range(5)), by="client")

    short, whole = (render(report, to="markdown", most=most) for most in (2, None))

    assert "3 lines more: `--top 0` shows all." in short
    assert whole.count("\n| c") == 5
    assert render(report, to="json", most=2) == render(report, to="json")


@pytest.mark.parametrize(
    ("records", "where", "said"),
    [
        ([], (), "no call is on record at all"),
        ([a_record(1)], ("caller=bob",), "1 call began in this interval, but not one"),
        (
            [a_record(1, ts_ms=1_793_491_200_000)],
            (),
            "the first call after it began at 2026-11-01 00:00:00",
        ),
    ],
)
def test_an_empty_report_says_why(
    report_of: MakeReport,
    records: list[UsageRecord],
    where: tuple[str, ...],
    said: str,
) -> None:
    """Never a page without a reason."""
    text = render(report_of(*records, where=where), to="markdown")

    assert "- **Calls:** none" in text
    assert said in text
    assert "|" not in text
