"""`smart-llmrouter budget`: what an operator sees of budgets, and does to them."""

import json
import os
import sqlite3
import subprocess
import sys
import time
import uuid
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from smart_llmrouter.cli.budget_commands import app
from smart_llmrouter.ledger.ingester_loop import ingester_lock
from smart_llmrouter.ledger.record import UsageRecord
from tests.support.configuration import SMALL
from tests.support.ledger import StateDirectory, a_record, state_in
from tests.support.valkey import server_of_this_process
from tests.support.wait import PATIENCE_S

WHO = "caller:alice-search-dev"
CONFIGURATION = (
    SMALL.replace(
        "      - use: acme/mini\n",
        "      - use: acme/mini\n"
        "    limits: {rpm: 60, concurrent: 2}\n"
        "    per_caller: {budgets: {month: {tokens: 5000}}}\n",
    )
    + """\
    budgets:
      day: {requests: 3, usd: 1.5}
      lifetime: {tokens: 1000}
"""
)


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """Return a state directory and, beside it, a configuration with budgets."""
    state = state_in(tmp_path)
    text = f"state: {{directory: {json.dumps(str(state.path))}}}\n{CONFIGURATION}"
    (tmp_path / "router.yaml").write_text(text)
    return state


def a_call(number: int, **fields: object) -> UsageRecord:
    """Return the record of a call of this moment."""
    usual: dict[str, object] = {
        "ts_ms": int(time.time() * 1000),
        "resolved_group": "chat",
        "input_tokens": 4,
        "output_tokens": 6,
        "total_cost_nusd": 250_000_000,
    }
    return a_record(number, **(usual | fields))


def share(state: StateDirectory, url: str) -> None:
    """Have the configuration count in this store."""
    config = state.path.parent / "router.yaml"
    namespace = uuid.uuid4().hex
    shared = f"state: {{counters: {json.dumps(url)}, counters_namespace: n{namespace}, "
    config.write_text(config.read_text().replace("state: {", shared, 1))


def shown_apart(state: StateDirectory) -> subprocess.CompletedProcess[str]:
    """Show all limits, in a process that may change how it logs."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "smart_llmrouter", "budget", "show"),
            *("--format", "json", "--config", str(state.path.parent / "router.yaml")),
        ],
        env={**os.environ, "ACME_API_KEY": ""},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )


def run(state: StateDirectory, *words: str, answer: str | None = None) -> Result:
    """Run `budget` with that configuration."""
    config = state.path.parent / "router.yaml"
    return CliRunner().invoke(
        app,
        [words[0], "--config", str(config), *words[1:]],
        env={"ACME_API_KEY": None},
        input=answer,
    )


def limits(state: StateDirectory, *words: str) -> dict[str, tuple[object, ...]]:
    """Return cap, use and rest of each limit that is shown."""
    shown = run(state, "show", "--format", "json", *words)
    assert shown.exit_code == 0, shown.output
    return {
        f"{each['scope']} {each['limit']}": (each["cap"], each["used"], each["left"])
        for each in json.loads(shown.stdout)["limits"]
    }


def test_every_limit_is_shown(state: StateDirectory) -> None:
    """With what is used and left of budgets, also of calls that wait in the journal."""
    state.journalled([a_call(1), a_call(2, charged_tokens=900)])

    found = limits(state)

    assert found == {
        f"{WHO} day.requests": (3, 2, 1),
        f"{WHO} day.usd": (1_500_000_000, 500_000_000, 1_000_000_000),
        f"{WHO} lifetime.tokens": (1000, 910, 90),
        "group:chat rpm": (60, None, None),
        "group:chat concurrent": (2, None, None),
        "group-caller:chat/alice-search-dev month.tokens": (5000, 910, 4090),
    }


def test_the_table_is_for_people(state: StateDirectory) -> None:
    """Money in dollars, the end of each period, and what it does not know."""
    state.journalled([a_call(1)])

    shown = run(state, "show")

    lines = [line.split() for line in shown.stdout.splitlines()]
    assert " ".join(lines[0]) == "scope limit cap used in flight left resets at"
    assert lines[2][:6] == [WHO, "day.usd", "$1.50", "$0.25", "-", "$1.25"]
    assert lines[2][6].endswith("T00:00:00.000Z")
    assert lines[3] == [WHO, "lifetime.tokens", "1,000", "10", "-", "990", "-"]
    assert lines[4] == ["group:chat", "rpm", "60", "-", "-", "-", "-"]
    assert "GET /v1/usage" in shown.stdout


def test_the_store_that_is_shared_is_asked(state: StateDirectory) -> None:
    """It knows of calls in flight, of minutes, and of what other machines have used."""
    server = server_of_this_process()
    share(state, server.url)

    shown = shown_apart(state)

    found = {each["limit"]: each for each in json.loads(shown.stdout)["limits"]}
    assert shown.stderr == ""
    assert found["rpm"]["left"] == 60
    assert (found["lifetime.tokens"]["used"], found["day.usd"]["reserved"]) == (0, 0)


def test_without_the_store_the_records_are_shown(state: StateDirectory) -> None:
    """And that they are not all."""
    share(state, f"unix://{state.path}/nobody.sock")
    state.journalled([a_call(1)])

    shown = shown_apart(state)

    assert shown.stderr.startswith("warning: the counter store cannot be asked")
    assert json.loads(shown.stdout)["source"] == "records"
    assert '"used": 10' in shown.stdout


def test_one_scope_or_those_of_one_caller_are_shown(state: StateDirectory) -> None:
    """And no other."""
    of_group = limits(state, "--scope", "group:chat")
    of_caller = limits(state, "--caller", "alice-search-dev")

    assert list(of_group) == ["group:chat rpm", "group:chat concurrent"]
    assert len(of_caller) == 6


def test_where_nothing_is_limited_that_is_said(state: StateDirectory) -> None:
    """Instead of an empty table."""
    config = state.path.parent / "router.yaml"
    config.write_text(f"state: {{directory: {json.dumps(str(state.path))}}}\n{SMALL}")

    shown = run(state, "show")

    assert (shown.exit_code, shown.stdout) == (0, "Nothing is limited.\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("show", "--scope", "caller:alice-search-def"),
            f"nothing limits 'caller:alice-search-def' (did you mean {WHO}?)",
        ),
        (
            ("show", "--scope", "alice-search-dev"),
            (
                "'alice-search-dev' says not what it is: write KIND:NAME, where KIND is"
                " caller, owner, project, environment, group or group-caller "
                f"(did you mean {WHO}?)"
            ),
        ),
        (
            ("show", "--caller", "alice-search-de"),
            "no caller is called 'alice-search-de' (did you mean alice-search-dev?)",
        ),
        (("reset", "owner:bob", "day", "--yes"), "nothing limits 'owner:bob'"),
        (
            ("reset", WHO, "month", "--yes"),
            f"{WHO} has no month budget; its budgets are: day, lifetime",
        ),
        (
            ("reset", "group:chat", "day", "--yes"),
            "group:chat has no day budget; its budgets are: none",
        ),
    ],
)
def test_what_is_not_there_is_named(
    state: StateDirectory, words: tuple[str, ...], said: str
) -> None:
    """With what was probably meant."""
    done = run(state, *words)

    assert (done.exit_code, done.stderr) == (2, f"error: {said}\n")


def events(state: StateDirectory) -> list[tuple[object, ...]]:
    """Return the resets that were written down."""
    with closing(sqlite3.connect(state.database)) as connection:
        query = (
            "SELECT scope_kind, scope_name, period, used_requests, used_tokens, "
            "used_nusd, at_ms - ts_ms FROM budget_events"
        )
        return connection.execute(query).fetchall()


def test_a_budget_begins_anew(state: StateDirectory) -> None:
    """What had been used is told and kept, and counts no more; the others go on."""
    earlier_ms = int(time.time() * 1000)
    state.journalled([a_call(1, ts_ms=earlier_ms), a_call(2, ts_ms=earlier_ms)])

    done = run(state, "reset", WHO, "lifetime", "--yes")
    with closing(sqlite3.connect(state.database)) as connection:
        # As if the second until then had gone by.
        connection.execute("UPDATE budget_events SET at_ms = at_ms - 1000")
        connection.commit()
    found = limits(state)

    assert done.exit_code == 0, done.output
    assert "it had used 20 of 1,000 tokens." in done.stdout
    assert "A router that runs sees this by itself" in done.stdout
    row = ("caller", "alice-search-dev", "lifetime", 2, 20, 500_000_000, 0)
    assert events(state) == [row]
    assert found[f"{WHO} lifetime.tokens"] == (1000, 0, 1000)
    assert found[f"{WHO} day.requests"] == (3, 2, 1)


def test_it_is_told_a_second_before(state: StateDirectory) -> None:
    """So that a router knows when the time has come."""
    run(state, "reset", WHO, "day", "--yes")

    [row] = events(state)
    assert row[-1] == 1000


@pytest.mark.parametrize(("answer", "count"), [("y\n", 1), ("n\n", 0), (None, 0)])
def test_who_is_not_sure_changes_nothing(
    state: StateDirectory, answer: str | None, count: int
) -> None:
    """The question says what has been used."""
    done = run(state, "reset", WHO, "day", answer=answer)

    assert f"{WHO} has used 0 of 3 calls, $0.00 of $1.50. Begin anew?" in done.stdout
    assert len(events(state)) == count
    assert done.exit_code == (0 if count else 1)


def test_without_the_rows_nothing_is_shown(state: StateDirectory) -> None:
    """Rather than that nothing was used."""
    state.journalled([a_call(1)])
    with ingester_lock(state.path) as acquired:
        assert acquired()
        state.database.rename(state.path / "elsewhere")
        done = run(state, "show")

    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
    assert done.stdout == ""


@pytest.mark.parametrize("words", [("show",), ("reset", WHO, "day", "--yes")])
def test_before_the_first_start_it_says_what_is_missing(
    state: StateDirectory, words: tuple[str, ...]
) -> None:
    """Where the database would be, and who makes it."""
    state.database.unlink()

    done = run(state, *words)

    assert done.exit_code == 1
    assert f"there is no usage database at {state.database} yet" in done.stderr
    assert "`smart-llmrouter serve` creates it" in done.stderr
