"""`smart-llmrouter prices`: what is missing, old, published, and who differs."""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner, Result

from smart_llmrouter.cli.prices_commands import app
from smart_llmrouter.config.reader import read_bytes
from smart_llmrouter.config.schemacheck import check_schema
from tests.support.configuration import HASH
from tests.support.ledger import a_record, state_in

TODAY: Final = datetime.now(UTC).date()
PUBLISHED: Final = {
    "input_per_million": "0.25",
    "cached_input_per_million": "0.025",
    "output_per_million": "2",
    "as_of": TODAY.isoformat(),
}
OPENAI: Final = "https://api.openai.com/v1"
NOWHERE: Final = "http://10.0.0.1/v1"


def written(
    tmp_path: Path,
    model: str = "gpt-5-mini",
    price: object = None,
    *,
    base_url: str = OPENAI,
    provider: str = "acme",
) -> Path:
    """Write a configuration with one model, and return where it is."""
    tmp_path.mkdir(exist_ok=True)
    one = {"model": model, "tools": [], "price": price}
    settings = {
        "state": {"directory": str(tmp_path / "the state")},
        "providers": {
            provider: {
                "dialect": "openai-chat",
                "base_url": base_url,
                "api_key": "${NOT_SET_HERE}",
                "models": {"mini": one if price else {**one, "price": None}},
            }
        },
        "groups": {"chat": {"targets": [{"use": f"{provider}/mini"}]}},
        "users": [{"id": "alice"}],
        "projects": [{"id": "search"}],
        "project_memberships": [{"user": "alice", "project": "search"}],
        "callers": [
            {
                "id": "alice-search-dev",
                "owner_user": "alice",
                "project": "search",
                "environment": "dev",
                "token_sha256": HASH,
                "allow": ["chat"],
            }
        ],
    }
    path = tmp_path / "router.yaml"
    path.write_text(json.dumps(settings))
    return path


def run(command: str, config: Path, *options: str) -> Result:
    """Run `prices` with a configuration."""
    return CliRunner().invoke(app, [command, "--config", str(config), *options])


def checked(config: Path, *options: str) -> tuple[int, list[tuple[str, str]]]:
    """Return how a check exits, and the code and message of what it says."""
    result = run("check", config, "--format", "json", *options)
    told = json.loads(result.stdout)
    return result.exit_code, [
        (each["code"], each["message"]) for each in told["prices"]
    ]


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({}, []),
        ({"output_per_million": None}, ["partial"]),
        ({"as_of": "2020-01-01"}, ["stale"]),
        ({"as_of": (TODAY + timedelta(days=2)).isoformat()}, ["future-dated"]),
        ({"effective_from": "2999-01-01"}, ["not-in-force"]),
        ({"input_per_million": "0.26"}, ["differs"]),
        ({"cached_input_per_million": None}, ["differs"]),
        ({"input_per_million": "0.252"}, []),
        (
            dict.fromkeys(("input_per_million", "output_per_million"), 0)
            | {"cached_input_per_million": None, "as_of": None},
            [],
        ),
    ],
)
def test_what_a_check_finds(
    tmp_path: Path, changes: Mapping[str, object], codes: list[str]
) -> None:
    """It exits with 1 where there is a finding, and says which."""
    code, found = checked(written(tmp_path, price={**PUBLISHED, **changes}))

    assert [each for each, _ in found] == codes
    assert code == bool(codes)


def test_a_model_without_a_price(tmp_path: Path) -> None:
    """Nobody knows what its calls cost."""
    result = run("check", written(tmp_path))

    assert result.exit_code == 1
    assert "acme/mini  finding  missing  it has no price" in result.stdout
    assert "1 model in use, compared with genai-prices " in result.stdout


@pytest.mark.parametrize(
    ("model", "changes", "note"),
    [
        ("my-own", {}, "unpublished"),
        ("gpt-oss-120b", {}, "ambiguous"),
        ("gpt-5-mini", {"as_of": None}, "undated"),
    ],
)
def test_notes_are_no_reason_to_fail(
    tmp_path: Path, model: str, changes: Mapping[str, object], note: str
) -> None:
    """They say what could not be compared, or is not known."""
    config = written(tmp_path, model, {**PUBLISHED, **changes}, base_url=NOWHERE)

    code, found = checked(config)

    assert (code, [each for each, _ in found]) == (0, [note])


def test_a_price_of_the_hour_is_told_as_such(tmp_path: Path) -> None:
    """What is published holds for some of the day only."""
    config = written(tmp_path, "deepseek-chat", PUBLISHED, base_url=NOWHERE)

    assert "caveat" in [each for each, _ in checked(config)[1]]


def test_bounds_can_be_given(tmp_path: Path) -> None:
    """How old a price may be, and how far from the published one."""
    read_on = (TODAY - timedelta(days=100)).isoformat()
    price = {**PUBLISHED, "input_per_million": "0.26", "as_of": read_on}
    config = written(tmp_path, price=price)

    codes = [each for each, _ in checked(config)[1]]
    bounded = checked(config, "--max-age-days", "100", "--tolerance", "4")

    assert codes == ["stale", "differs"]
    assert bounded == (0, [])


def test_without_the_package_a_check_compares_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so; suggestions cannot be had."""
    for name in [each for each in sys.modules if each.startswith("genai_prices")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "smart_llmrouter.catalog.genai", raising=False)
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    config = written(tmp_path, price={**PUBLISHED, "input_per_million": 9})

    check, suggest = run("check", config), run("suggest", config)

    assert (check.exit_code, suggest.exit_code) == (0, 1)
    assert "compared with nothing" in check.stdout
    assert "smart-llmrouter[prices]" in check.stderr
    assert "smart-llmrouter[prices]" in suggest.stderr


@pytest.mark.parametrize(
    ("base_url", "provider", "sureness"),
    [
        (OPENAI, "acme", "sure: "),
        (NOWHERE, "openai", "likely: "),
        (NOWHERE, "acme", "guess: "),
    ],
)
def test_a_suggestion_says_how_sure_it_is(
    tmp_path: Path, base_url: str, provider: str, sureness: str
) -> None:
    """And pasted into the configuration it is checked without a finding."""
    config = written(tmp_path, base_url=base_url, provider=provider)

    result = run("suggest", config)

    assert result.exit_code == 0
    assert f"        # {sureness}gpt-5-mini of openai" in result.stdout
    price = pasted(result.stdout, provider)
    assert price["source"].startswith("https://")
    again = written(
        tmp_path / "again", price=price, base_url=base_url, provider=provider
    )
    assert checked(again) == (0, [])


def pasted(text: str, provider: str) -> Any:  # noqa: ANN401 - what YAML gives
    """Return the price in what was suggested."""
    document = read_bytes(text.encode(), file="suggested.yaml").document
    assert document is not None
    root: Any = document.root
    price = root["providers"][provider]["models"]["mini"]["price"]
    return json.loads(json.dumps(price, default=str))


def test_prices_of_long_calls_are_suggested_and_compared(tmp_path: Path) -> None:
    """A price without them is told to be too low there."""
    config = written(tmp_path, "claude-sonnet-4-5", base_url=NOWHERE)

    price = pasted(run("suggest", config).stdout, "acme")

    whole = written(tmp_path / "a", "claude-sonnet-4-5", price, base_url=NOWHERE)
    assert price["above"][0]["input_tokens"] == 200_000
    assert checked(whole) == (0, [])
    del price["above"]
    part = written(tmp_path / "b", "claude-sonnet-4-5", price, base_url=NOWHERE)
    code, found = checked(part)
    assert (code, {each for each, _ in found}) == (1, {"differs"})
    assert found[0][1].startswith(
        "input_per_million of calls above 200,000 input tokens is 3 here, and 6 at"
    )


def test_what_is_announced_is_suggested_with_its_day(tmp_path: Path) -> None:
    """As a list, in which each price has its time."""
    base_url = "https://generativelanguage.googleapis.com/v1beta/openai"
    config = written(tmp_path, "gemini-3.6-flash", base_url=base_url)

    price = pasted(run("suggest", config).stdout, "acme")

    prices = price if isinstance(price, list) else [price]
    begins = [each.get("effective_from") for each in prices]
    assert begins[0] is None
    assert begins == sorted(begins, key=lambda day: day or "")
    settings = json.loads(written(tmp_path / "x", price=price).read_text())
    text = json.dumps(settings).encode()
    document = read_bytes(text, file="router.yaml").document
    assert document is not None
    assert check_schema(document).findings == ()


def test_several_candidates_are_listed_and_none_is_chosen(tmp_path: Path) -> None:
    """Nothing says which of them it is."""
    config = written(tmp_path, "gpt-oss-120b", base_url=NOWHERE)

    text, told = run("suggest", config), run("suggest", config, "--format", "json")

    assert "nothing says which it is" in text.stdout
    assert "price:" not in text.stdout
    (model,) = json.loads(told.stdout)["models"]
    assert model["price"] is None
    assert len(model["candidates"]) > 1


def test_nothing_is_suggested_for_what_is_unknown_or_there(tmp_path: Path) -> None:
    """A model of one's own has no published price; a whole price needs none."""
    unknown = run("suggest", written(tmp_path, "my-own"))
    there = written(tmp_path / "there", price=PUBLISHED)

    nothing, every = run("suggest", there), run("suggest", there, "--all")

    assert "no published price of 'my-own' is known here" in unknown.stdout
    assert (nothing.exit_code, nothing.stdout) == (0, "")
    assert "input_per_million: 0.25" in every.stdout


@pytest.fixture
def calls(tmp_path: Path) -> None:
    """Make calls whose costs agree, differ, or are unknown."""
    state = state_in(tmp_path)
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    costs = ((100, 100), (120, 100), (5, None), (None, 7), (None, None))
    state.journalled(
        a_record(
            number,
            ts_ms=now_ms - 60_000,
            target_provider="acme",
            target_model="mini",
            price_fingerprint="price_1",
            total_cost_nusd=ours,
            upstream_reported_cost_nusd=theirs,
        )
        for number, (ours, theirs) in enumerate(costs)
    )


@pytest.mark.usefixtures("calls")
def test_drift_is_told_by_target(tmp_path: Path) -> None:
    """Sums of those calls only of which both are known, and how many these are."""
    config = written(tmp_path)

    told = json.loads(run("drift", config, "--format", "json").stdout)

    assert told["targets"] == [
        {
            "target": "acme/mini",
            "calls": 5,
            "priced": 3,
            "reported": 3,
            "compared": 2,
            "our_cost_nusd": 220,
            "reported_cost_nusd": 200,
            "difference_nusd": 20,
            "difference_percent": "10.00",
        }
    ]
    assert [
        (each["our_cost_nusd"], each["difference_percent"]) for each in told["worst"]
    ] == [(120, "20.00")]
    assert told["worst"][0]["request_id"] == f"req_{1:032x}"


@pytest.mark.usefixtures("calls")
def test_drift_for_people(tmp_path: Path) -> None:
    """A table, and an exit for those who watch it."""
    config = written(tmp_path)

    table, above = run("drift", config), run("drift", config, "--fail-above", "9.9")

    assert "acme/mini      5         2  $0.00000022" in table.stdout
    assert "+10.00" in table.stdout
    assert "Calls that differ most" in table.stdout
    assert (table.exit_code, above.exit_code) == (0, 1)
    assert run("drift", config, "--fail-above", "10").exit_code == 0
    assert run("drift", config, "--since", "1s").exit_code == 2


def test_days_of_drift_begin_where_those_of_reports_do(tmp_path: Path) -> None:
    """In `reports.timezone`, or in the zone that is asked for."""
    config = written(tmp_path)
    settings = json.loads(config.read_text())
    config.write_text(json.dumps({**settings, "reports": {"timezone": "Asia/Tokyo"}}))
    state_in(tmp_path)
    days = ("--from", "2026-11-01", "--to", "2026-11-02", "--format", "json")

    by_default = run("drift", config, *days)
    asked_for = run("drift", config, *days, "--timezone", "Europe/Berlin")
    unknown = run("drift", config, *days, "--timezone", "Nowhere")

    assert [
        json.loads(shown.stdout)["from_utc"] for shown in (by_default, asked_for)
    ] == ["2026-10-31T15:00:00.000Z", "2026-10-31T23:00:00.000Z"]
    assert (unknown.exit_code, "no time zone 'Nowhere'" in unknown.stderr) == (2, True)


def test_drift_of_nothing(tmp_path: Path) -> None:
    """No database is told as such, and no calls as none."""
    config = written(tmp_path)

    away = run("drift", config)
    state_in(tmp_path)
    nothing = run("drift", config)

    assert away.exit_code == 1
    assert "no usage database" in away.stderr
    assert nothing.exit_code == 0
    assert nothing.stdout.startswith("No target was called from 20")
