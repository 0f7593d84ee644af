"""`smart-llmrouter retention`, `usage rollup` and `usage verify`."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from smart_llmrouter.cli.main import app
from tests.support.configuration import SMALL
from tests.support.ledger import StateDirectory, state_in
from tests.support.rollups import DAY, HOUR, MIDNIGHT, a_call, added, row_ids

CALLS = [a_call(number, MIDNIGHT - 9 * DAY + number * HOUR) for number in range(6)]


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """Return a state directory with a few calls of long ago, and a configuration."""
    state = state_in(tmp_path)
    added(state.url, CALLS)
    configure(state, "retention: {usage_detail_days: 7}\n")
    return state


def configure(state: StateDirectory, more: str = "") -> None:
    """Write the configuration."""
    text = f"state:\n  directory: {json.dumps(str(state.path))}\n{more}" + SMALL
    (state.path.parent / "router.yaml").write_text(text)


def ran(state: StateDirectory, *arguments: str) -> Result:
    """Run a command with that configuration."""
    config = state.path.parent / "router.yaml"
    return CliRunner().invoke(
        app, [*arguments, "--config", str(config)], env={"ACME_API_KEY": None}
    )


def test_a_dry_run_is_not_a_run(state: StateDirectory) -> None:
    """It says what would go, and why not all does; the run then makes it so."""
    dry = ran(state, "retention", "run", "--dry-run")
    rows = len(row_ids(state.url))
    wet = ran(state, "retention", "run", "--yes")
    status = ran(state, "retention", "status")

    assert dry.exit_code == wet.exit_code == status.exit_code == 0
    assert dry.stdout.startswith("usage_detail: 0 would go of 6 before ")
    assert dry.stdout.endswith(" (6 not yet rolled up for good)\n")
    assert rows == 6
    assert wet.stdout.startswith("usage_detail: 6 removed of 6 before ")
    assert row_ids(state.url) == []
    assert "usage_detail: kept 7 days; oldest nothing yet\n" in status.stdout
    assert "usage_rollup_monthly: kept for ever; oldest 2026-09-01\n" in status.stdout
    assert "\nrun 2, " in status.stdout
    assert "\ndry run 1, " in status.stdout


def test_a_run_asks_first(state: StateDirectory) -> None:
    """And says by what time it would; without an answer nothing goes."""
    result = ran(state, "retention", "run")

    assert result.exit_code == 1
    assert "Z by this machine's clock. Remove what is too old, for good?" in (
        result.stdout
    )
    assert len(row_ids(state.url)) == 6


def test_without_keys_there_is_nothing_to_run(state: StateDirectory) -> None:
    """That is said, not done in silence."""
    configure(state)

    result = ran(state, "retention", "run", "--yes")

    assert result.exit_code == 1
    assert result.stderr == ("error: nothing is ever removed: `retention` has no key\n")


def test_holds_are_added_listed_and_released(state: StateDirectory) -> None:
    """What one holds stays until it is released, and the hold is not forgotten."""
    made = ran(
        state, "retention", "hold", "add", "caller:bob", "--reason", "a case",
        "--from", "2026-01-01",
    )  # fmt: skip
    run = ran(state, "retention", "run", "--yes")
    listed = ran(state, "retention", "hold", "list")
    released = ran(state, "retention", "hold", "release", "1", "--reason", "closed")
    again = ran(state, "retention", "hold", "release", "1")

    assert made.stdout == "hold 1 keeps caller:bob: 2 calls now\n"
    assert "usage_detail: 4 removed of 6 before " in run.stdout
    assert "(2 held)" in run.stdout
    assert listed.stdout.startswith(
        "1  caller:bob  from 2026-01-01 00:00Z to open  by "
    )
    assert listed.stdout.endswith(": a case\n")
    assert released.stdout == "hold 1 is released\n"
    assert (again.exit_code, again.stderr) == (
        1,
        "error: there is no hold 1 that is not released\n",
    )
    ended = ran(state, "retention", "hold", "list").stdout
    assert "; released " in ended
    assert ended.endswith(": closed\n")


@pytest.mark.parametrize("scope", ["bob", "all:bob", "caller:", "token:x"])
def test_a_scope_that_is_none_is_refused(state: StateDirectory, scope: str) -> None:
    """With what would be one."""
    result = ran(state, "retention", "hold", "add", scope, "--reason", "a case")

    assert result.exit_code == 2
    assert f"{scope!r} is no scope: write `all`, or one of caller, user" in (
        result.stderr
    )
    assert ran(state, "retention", "hold", "list").stdout == "there are no holds\n"


def test_a_hold_for_nobody_is_refused(state: StateDirectory) -> None:
    """Unless it is meant, or somebody is known by the configuration or by calls."""
    hold = ("retention", "hold", "add")
    reason = ("--reason", "a case")

    typos = [
        ran(state, *hold, f"{kind}:typo", *reason)
        for kind in ("caller", "user", "project", "environment", "group")
    ]
    known = [
        ran(state, *hold, name, *reason)
        for name in ("caller:alice", "caller:alice-search-dev", "user:alice",
        "project:search", "environment:dev", "group:chat", "all")
    ]  # fmt: skip
    meant = ran(state, *hold, "caller:typo", *reason, "--force")

    assert [each.exit_code for each in typos] == [1] * 5
    assert typos[0].stderr == (
        "error: neither the configuration nor any call knows caller:typo: see how it "
        "is written, or add --force\n"
    )
    assert [each.exit_code for each in known] == [0] * 7
    assert known[0].stdout == "hold 1 keeps caller:alice: 2 calls now\n"
    assert known[6].stdout == "hold 7 keeps all: 6 calls now\n"
    assert meant.stdout == "hold 8 keeps caller:typo: 0 calls now\n"


@pytest.mark.parametrize("reason", ["", " \t", "a case\n2  all", "a \x1b[2J case"])
def test_a_reason_is_one_line(state: StateDirectory, reason: str) -> None:
    """Of text, so that no line of a list is forged; when it is released, too."""
    hold = ("retention", "hold")
    ran(state, *hold, "add", "all", "--reason", " a case ")

    made = ran(state, *hold, "add", "caller:bob", "--reason", reason)
    released = ran(state, *hold, "release", "1", "--reason", reason)
    listed = ran(state, *hold, "list").stdout

    assert (made.exit_code, released.exit_code) == (2, 2)
    assert made.stderr.startswith("error: --reason ")
    assert released.stderr == made.stderr
    assert listed.startswith("1  all  ")
    assert listed.endswith(": a case\n")
    assert listed.count("\n") == 1


def test_totals_are_proved(state: StateDirectory) -> None:
    """Each level is compared with what it was made of."""
    made = ran(state, "usage", "rollup")
    result = ran(state, "usage", "verify")

    assert made.stdout == "rolled up 8 hours, days and months\n"
    assert result.exit_code == 0
    assert result.stdout.startswith("6 calls, charged ")
    assert result.stdout.endswith(
        " nano-dollars: 6 in rows, 0 of which only sums are kept\n"
        "roll-ups by hour: 6 compared\n"
        "roll-ups by day: 1 compared\n"
        "roll-ups by month: 1 compared\n"
        "all totals are right\n"
    )


def test_counters_may_be_left_out(state: StateDirectory) -> None:
    """A store that counts for machines with other databases proves nothing here."""
    path = json.dumps(str(state.path))
    shared = "counters: unix:///nobody.sock"
    text = f"state: {{directory: {path}, {shared}}}\n{SMALL}"
    budgets = "    budgets: {day: {requests: 3}}\n"
    (state.path.parent / "router.yaml").write_text(text + budgets)

    ran(state, "usage", "rollup")
    result = ran(state, "usage", "verify", "--no-counters")

    assert (result.exit_code, result.stderr) == (0, "")
    assert "counter store" not in result.stdout
    assert result.stdout.endswith("\nall totals are right\n")


def test_a_total_that_is_wrong_is_named(state: StateDirectory) -> None:
    """Each place where something differs, and the end is 1."""
    ran(state, "usage", "rollup")
    with closing(sqlite3.connect(state.database)) as connection:
        connection.execute(
            "UPDATE usage_rollup_daily SET total_cost_nusd = total_cost_nusd + 1 "
            "WHERE labels_id = 1"
        )
        connection.execute("DELETE FROM request_labels WHERE id = 2")
        connection.commit()

    result = ran(state, "usage", "verify")

    assert result.exit_code == 1
    assert "WRONG day 2026-09-12T00:00Z: sums of 1 labels differ" in result.stderr
    assert "WRONG month 2026-09-01T00:00Z: sums of 1 labels differ" in result.stderr
    assert "WRONG request_measures: 1 rows have no labels" in result.stderr
    assert "all totals are right" not in result.stdout


def test_drafts_are_made_where_they_are_asked_for(state: StateDirectory) -> None:
    """A moment that is none is refused."""
    refused = ran(state, "usage", "rollup", "--until", "soon")
    made = ran(state, "usage", "rollup", "--until", "2026-09-12T02:00:00Z")

    assert refused.exit_code == 2
    assert "'soon' is no span or moment" in refused.stderr
    assert made.stdout == "rolled up 8 hours, days and months\n"
