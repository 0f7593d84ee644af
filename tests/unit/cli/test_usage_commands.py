"""`smart-llmrouter usage`: the report as a person asks for it."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from smart_llmrouter.cli.usage_commands import app
from smart_llmrouter.config.policies import Diagnostics
from smart_llmrouter.core.notes import Note
from smart_llmrouter.ledger.decision_line import with_decision
from smart_llmrouter.ledger.record import encode_record
from smart_llmrouter.ledger.reports.dimensions import DIMENSIONS
from tests.support.configuration import SMALL
from tests.support.decisions import a_decision
from tests.support.ledger import StateDirectory, a_record, state_in


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """Return a state directory, and beside it a configuration that names it."""
    state = state_in(tmp_path)
    text = f"state:\n  directory: {json.dumps(str(state.path))}\n" + SMALL
    (tmp_path / "router.yaml").write_text(text)
    return state


def asked(state: StateDirectory, *arguments: str) -> Result:
    """Run `usage report` with that configuration and no environment of providers."""
    config = state.path.parent / "router.yaml"
    return CliRunner().invoke(
        app, ["report", "--config", str(config), *arguments], env={"ACME_API_KEY": None}
    )


def test_a_report_shows_what_was_journalled_without_any_router(
    state: StateDirectory,
) -> None:
    """Neither the router nor the provider's key is needed to read what was used."""
    state.journalled(a_record(number) for number in range(3))

    shown = asked(state, "--since", "2020-01-01", "--until", "2030-01-01")

    assert shown.exit_code == 0, shown.output
    assert "| Calls | 3 |" in shown.stdout
    assert "incomplete" not in shown.stdout


def test_the_usual_interval_is_the_last_day(state: StateDirectory) -> None:
    """Without options older calls are not in the report."""
    state.journalled([a_record(1, ts_ms=1)])

    shown = asked(state, "--format", "json")

    assert json.loads(shown.stdout)["totals"]["calls"] == 0


def test_a_report_can_be_grouped_and_put_into_a_file(state: StateDirectory) -> None:
    """The file has the whole report, and nothing else is left beside it."""
    state.journalled([a_record(1), a_record(2, client="curl")])
    out = state.path.parent / "reports" / "usage.json"
    out.parent.mkdir()
    out.write_text("an older report")

    shown = asked(
        state,
        *("--since", "2020-01-01", "--until", "2030-01-01"),
        *("--group-by", "client,caller", "--format", "json", "--out", str(out)),
    )

    assert (shown.exit_code, shown.stdout) == (0, "")
    [section] = json.loads(out.read_text())["sections"]
    assert section["group_by"] == ["client", "caller"]
    assert len(section["lines"]) == 2
    assert list(out.parent.iterdir()) == [out]


def test_a_report_goes_through_a_pipe_and_does_not_replace_it(
    state: StateDirectory,
) -> None:
    """The same holds for `/dev/stdout` and every other device."""
    pipe = state.path.parent / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        shown = asked(state, "--out", str(pipe))
        written = os.read(reader, 1 << 16)
    finally:
        os.close(reader)

    assert shown.exit_code == 0, shown.stderr
    assert written.startswith(b"# Usage report")
    assert pipe.is_fifo()


@pytest.mark.parametrize("command", ["report", "export", "notes", "versions"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("the state/usage.sqlite", "among the files that the router works with"),
        ("the state/ingester.lock", "among the files that the router works with"),
        ("the state/journal/usage.md", "among the files that the router works with"),
        ("another.sqlite", "is a database"),
        ("link", "is a database"),
    ],
)
def test_a_report_takes_the_place_of_no_database(
    state: StateDirectory, command: str, name: str, said: str
) -> None:
    """Of none at all, nor of anything else that the router keeps."""
    copy = state.path.parent / "another.sqlite"
    copy.write_bytes(state.database.read_bytes())
    (state.path.parent / "link").symlink_to(copy)
    (state.path / "ingester.lock").touch()
    before = {path: path.read_bytes() for path in (state.database, copy)}
    out, config = state.path.parent / name, state.path.parent / "router.yaml"

    refused = CliRunner().invoke(
        app,
        [command, "--out", str(out), "--config", str(config)],
        env={"ACME_API_KEY": None},
    )

    assert refused.exit_code == 1
    assert refused.stderr.startswith(f"error: {out} ")
    assert said in refused.stderr
    assert {path: path.read_bytes() for path in before} == before


def test_a_report_goes_where_a_link_points_to(state: StateDirectory) -> None:
    """The link stays a link."""
    link, target = (state.path.parent / name for name in ("latest.md", "usage.md"))
    link.symlink_to(target)

    shown = asked(state, "--out", str(link))

    assert shown.exit_code == 0, shown.stderr
    assert link.is_symlink()
    assert target.read_text().startswith("# Usage report")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--since", "yesterday"), 2, "write 30m, 24h, 7d"),
        (("--until", "2020-01-01"), 2, "--since must be before --until"),
        (("--group-by", "grop"), 2, "did you mean group?"),
        (("--timezone", "Europe/Berln"), 2, "did you mean Europe/Berlin?"),
        (("--where", "caler=x"), 2, "did you mean caller?"),
        (("--where", "caller"), 2, "write caller=alice,bob or error!="),
        (("--group-by", "caller", "--measures", "cots"), 2, "did you mean cost?"),
        (("--baseline", "acme/huge"), 2, "there is no model 'acme/huge'; there are:"),
        (("--format", "xml"), 2, "--format"),
        (("--out", "/nowhere/at/all"), 1, "/nowhere/at/all: No such file or directory"),
        (("--out", "."), 1, ".: Is a directory"),
    ],
)
def test_a_wrong_option_is_explained(
    state: StateDirectory, arguments: tuple[str, ...], code: int, said: str
) -> None:
    """One clear line, and the exit code that scripts expect."""
    shown = asked(state, *arguments)

    assert shown.exit_code == code
    assert said in shown.stderr


def test_without_a_database_yet_the_report_says_what_makes_one(
    state: StateDirectory,
) -> None:
    """Nothing is created by asking for a report."""
    state.database.unlink()

    shown = asked(state)

    assert shown.exit_code == 1
    assert "`smart-llmrouter serve` creates it" in shown.stderr
    assert not state.database.exists()


def test_a_broken_database_is_told_without_a_traceback(state: StateDirectory) -> None:
    """A file whose pages are damaged is one line of an error."""
    state.journalled([a_record(1)])
    whole = state.database.read_bytes()
    state.database.write_bytes(whole[:4096] + bytes(len(whole) - 4096))

    shown = asked(state)

    assert shown.exit_code == 1
    assert shown.stderr.startswith(
        f"error: the usage database cannot be read: {state.database}: "
    )
    assert "smart-llmrouter db backup" in shown.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--measures", "calls"), "--measures are the columns of --group-by"),
        (("--since", "24h", "--from", "1h"), "give --since or --from once"),
        (("--until", "1h", "--until", "2h"), "give --until or --to once"),
        (("--timezone", ""), "there is no time zone ''"),
        (("--where", "status-class=9xx"), "status-class is never '9xx'"),
        (("--since", "0h"), "must be above 0"),
    ],
)
def test_nothing_that_was_asked_is_left_out_silently(
    state: StateDirectory, arguments: tuple[str, ...], said: str
) -> None:
    """What cannot be meant is refused, and no report is made."""
    refused = asked(state, *arguments)

    assert refused.exit_code == 2
    assert said in " ".join(refused.stderr.split())
    assert refused.stdout == ""


def test_an_empty_report_in_groups_has_its_columns(state: StateDirectory) -> None:
    """A program that reads them finds no line, and the same head as ever."""
    groups = ("--group-by", "caller,day", "--since", "2020-01-01")

    empty = asked(state, *groups, "--format", "csv")
    also_empty = json.loads(asked(state, *groups, "--format", "json").stdout)
    state.journalled([a_record(1)])
    full = asked(state, *groups, "--until", "2030-01-01", "--format", "csv")

    head, totals = empty.stdout.splitlines()
    assert head == full.stdout.splitlines()[0]
    assert head.startswith("section,caller,day,calls,")
    assert totals.startswith("totals,,,0,")
    assert also_empty["sections"][0]["group_by"] == ["caller", "day"]
    assert also_empty["sections"][0]["lines"] == []


def test_a_wrong_configuration_is_told_with_its_place(state: StateDirectory) -> None:
    """The findings are those of `config check`."""
    (state.path.parent / "router.yaml").write_text("groups: 3\n")

    shown = asked(state)

    assert shown.exit_code == 1
    assert "router.yaml:1:" in shown.stderr


def test_the_database_url_is_needed_although_provider_keys_are_not(
    state: StateDirectory,
) -> None:
    """No stand-in is ever used for what the report itself needs."""
    config = state.path.parent / "router.yaml"
    config.write_text("state: {database: '${USAGE_DATABASE_URL}'}\n" + SMALL)

    shown = asked(state)

    assert shown.exit_code == 1
    assert "USAGE_DATABASE_URL" in shown.stderr


def test_the_help_names_every_dimension() -> None:
    """What `--group-by` accepts is what its help says, in that order."""
    shown = CliRunner().invoke(app, ["report", "--help"], env={"COLUMNS": "4000"})

    assert ", ".join(DIMENSIONS) in " ".join(shown.stdout.split())


def test_notes_are_listed_by_field_and_target(state: StateDirectory) -> None:
    """With the options of a report, and its ways to fail."""
    note = Note("dropped", "seed", "the target has no such field")
    state.journalled([a_record(1, notes=(note,)), a_record(2)])
    config = ("--config", str(state.path.parent / "router.yaml"))
    interval = ("--since", "2020-01-01", "--until", "2030-01-01")

    shown, wrong = (
        CliRunner().invoke(app, ["notes", *config, *arguments])
        for arguments in ((*interval, "--format", "json"), ("--since", "yesterday"))
    )

    assert shown.exit_code == 0, shown.output
    [line] = json.loads(shown.stdout)["notes"]
    assert (line["field"], line["calls"]) == ("seed", 1)
    assert wrong.exit_code == 2
    assert "write 30m, 24h, 7d" in wrong.stderr


@pytest.mark.parametrize("command", ["refusals", "versions"])
def test_lists_of_what_is_beside_calls_are_made(
    state: StateDirectory, command: str
) -> None:
    """Empty where nothing happened, and with the usual ways to fail."""
    config = ("--config", str(state.path.parent / "router.yaml"))

    shown, wrong = (
        CliRunner().invoke(app, [command, *config, *arguments])
        for arguments in (("--format", "json"), ("--since", "yesterday"))
    )

    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout)[command] == []
    assert wrong.exit_code == 2


@pytest.mark.parametrize("command", ["notes", "refusals", "versions"])
def test_days_of_lists_begin_where_those_of_reports_do(
    state: StateDirectory, command: str
) -> None:
    """In `reports.timezone`, or in the zone that is asked for."""
    config = state.path.parent / "router.yaml"
    config.write_text(f"reports: {{timezone: Asia/Tokyo}}\n{config.read_text()}")
    days = ("--since", "2026-11-01", "--until", "2026-11-02", "--format", "json")

    by_default, asked_for, unknown = (
        CliRunner().invoke(app, [command, "--config", str(config), *days, *zone])
        for zone in ((), ("--timezone", "Europe/Berlin"), ("--timezone", "Nowhere"))
    )

    assert [
        json.loads(shown.stdout)["from_utc"] for shown in (by_default, asked_for)
    ] == ["2026-10-31T15:00:00.000Z", "2026-10-31T23:00:00.000Z"]
    assert (unknown.exit_code, "no time zone 'Nowhere'" in unknown.stderr) == (2, True)


def explained(state: StateDirectory, *arguments: str) -> Result:
    """Run `usage request`."""
    config = state.path.parent / "router.yaml"
    return CliRunner().invoke(
        app,
        ["request", "--config", str(config), *arguments],
        env={"ACME_API_KEY": None},
    )


def test_one_call_is_explained_by_its_id(state: StateDirectory) -> None:
    """From the journal of a router that has ended, in the format that was asked for."""
    line = with_decision(encode_record(a_record(1)), a_decision(), Diagnostics())
    writer = state.writer()
    writer.append(line)
    writer.close()

    shown = explained(state, a_record(1).request_id)
    again = explained(state, a_record(1).request_id, "--format", "json")

    assert shown.exit_code == 0, shown.output
    assert "upstream_rate_limited  next-target" in shown.stdout
    assert json.loads(again.stdout)["decision"]["group"] == "chat"


@pytest.mark.parametrize(
    "request_id", ["req_none", "req_" + "f" * 32, "x", "", "\udc80"]
)
def test_an_id_that_is_not_on_record_is_said_to_be_unknown(
    state: StateDirectory, request_id: str
) -> None:
    """In one line, with the exit code of a failure."""
    state.journalled([a_record(1)])

    shown = explained(state, request_id)

    assert shown.exit_code == 1
    assert shown.stderr == f"error: no call {request_id!r} is on record\n"


def test_a_call_whose_id_is_not_the_routers_is_found(state: StateDirectory) -> None:
    """An id that does not tell its time is looked for in all rows."""
    state.journalled([a_record(1, request_id="somebody's"), a_record(2)])

    shown = explained(state, "somebody's", "--format", "json")

    assert json.loads(shown.stdout)["record"]["request_id"] == "somebody's"


def test_a_report_compares_with_a_model_of_the_configuration(
    state: StateDirectory,
) -> None:
    """By its price now: the one that is asked for, or the first that is given."""
    config = state.path.parent / "router.yaml"
    config.write_text("reports: {baselines: [acme/mini]}\n" + config.read_text())
    state.journalled(
        [a_record(1, input_tokens=1000, output_tokens=10, total_cost_nusd=100_000)]
    )
    interval = ("--since", "2020-01-01", "--until", "2030-01-01", "--format", "json")

    usual, none = (
        json.loads(asked(state, *interval, *more).stdout)
        for more in ((), ("--baseline", "none"))
    )

    assert usual["baseline"] == "acme/mini"
    assert usual["totals"]["baseline_nusd"] == 1000 * 250 + 10 * 2000
    assert usual["totals"]["savings_nusd"] == 170_000
    assert usual["totals"]["savings_nusd_known_calls"] == 1
    assert none["baseline"] is None
    assert "savings_nusd" not in none["totals"]


def test_a_report_is_a_table_where_that_is_asked_for(state: StateDirectory) -> None:
    """In the time zone that is asked for, with only the calls that are."""
    state.journalled([a_record(1), a_record(2, caller_id="bob")])

    shown = asked(
        state,
        *("--since", "2026-09-21", "--until", "2026-09-22", "--format", "table"),
        *("--timezone", "Europe/Berlin", "--where", "caller=bob", "--group-by", "day"),
        *("--measures", "calls,cost"),
    )

    assert shown.exit_code == 0, shown.stderr
    assert "until before 2026-09-22 00:00:00+02:00" in shown.stdout
    assert "(Europe/Berlin)" in shown.stdout
    assert "Only calls with caller=bob" in shown.stdout
    assert "2026-09-21       1   unknown" in shown.stdout
