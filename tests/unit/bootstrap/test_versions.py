"""Which prices are written down when a configuration takes effect."""

import json
from pathlib import Path

import msgspec

from smart_llmrouter.bootstrap.versions import price_versions
from smart_llmrouter.config.load import load_snapshot
from smart_llmrouter.ledger.journal_events import (
    PriceVersion,
    decode_event,
    encode_event,
)
from tests.support.gateway import configuration, provider

NOON_MS = 1_790_000_000_000


def versions(tmp_path: Path, price: object) -> list[PriceVersion]:
    """Return what is written down where the one model of a file has this price."""
    acme = provider("http://127.0.0.1:9")
    acme["models"]["mini"]["price"] = price
    path = tmp_path / "router.yaml"
    path.write_text(json.dumps(configuration({"acme": acme})))
    snapshot = load_snapshot(path, environment={})
    return list(price_versions(snapshot, ts_ms=NOON_MS))


def test_each_part_of_a_price(tmp_path: Path) -> None:
    """In nano-dollars, with where it was read; what is not given stays empty."""
    [found] = versions(
        tmp_path,
        {
            "input_per_million": 3,
            "cached_input_per_million": "0.3",
            "output_per_million": 15,
            "image_per_image": "0.002",
            "source": "https://acme.example/pricing",
            "as_of": "2026-10-01",
        },
    )

    assert decode_event(encode_event(found)) == found
    assert found == PriceVersion(
        fingerprint=found.fingerprint,
        provider="acme",
        model="mini",
        ts_ms=NOON_MS,
        input_nusd_per_million=3_000_000_000,
        cached_input_nusd_per_million=300_000_000,
        output_nusd_per_million=15_000_000_000,
        image_nusd=2_000_000,
        source="https://acme.example/pricing",
        as_of="2026-10-01",
    )


def test_all_that_a_cost_is_computed_from_is_written_down(tmp_path: Path) -> None:
    """So each cost on record can be explained: images by tokens and one by one, too."""
    [found] = versions(
        tmp_path,
        {
            "input_per_million": 3,
            "cached_input_per_million": "0.3",
            "cache_write_per_million": 4,
            "cache_write_1h_per_million": 6,
            "output_per_million": 15,
            "reasoning_per_million": 16,
            "image_input_per_million": 5,
            "image_per_image": "0.002",
        },
    )

    amounts = {
        name: amount
        for name, amount in msgspec.structs.asdict(found).items()
        if "nusd" in name
    }
    assert amounts == {
        "input_nusd_per_million": 3_000_000_000,
        "cached_input_nusd_per_million": 300_000_000,
        "cache_write_nusd_per_million": 4_000_000_000,
        "cache_write_1h_nusd_per_million": 6_000_000_000,
        "output_nusd_per_million": 15_000_000_000,
        "reasoning_nusd_per_million": 16_000_000_000,
        "image_tokens_nusd_per_million": 5_000_000_000,
        "image_nusd": 2_000_000,
    }


def test_prices_that_follow_each_other(tmp_path: Path) -> None:
    """Each is there once, with the moment from which it holds."""
    found = versions(
        tmp_path,
        [
            {"input_per_million": 3, "effective_from": "2026-01-01"},
            {"input_per_million": 2, "effective_from": "2027-01-01"},
        ],
    )

    assert [
        (each.input_nusd_per_million, each.effective_from_ms) for each in found
    ] == [(3_000_000_000, 1_767_225_600_000), (2_000_000_000, 1_798_761_600_000)]
    assert len({each.fingerprint for each in found}) == 2


def test_a_price_of_long_calls(tmp_path: Path) -> None:
    """It is a row of its own, under the same fingerprint."""
    found = versions(
        tmp_path,
        {
            "input_per_million": 1,
            "output_per_million": 8,
            "above": [{"input_tokens": 200_000, "input_per_million": 2}],
        },
    )

    assert [
        (each.above_tokens, each.input_nusd_per_million, each.output_nusd_per_million)
        for each in found
    ] == [(0, 10**9, 8 * 10**9), (200_000, 2 * 10**9, 8 * 10**9)]
    assert len({each.fingerprint for each in found}) == 1


def test_a_model_without_a_price(tmp_path: Path) -> None:
    """Nothing is made up."""
    found = versions(tmp_path, None)

    assert found == []
