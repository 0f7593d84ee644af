"""What the journal holds beside calls comes into the database of a whole router."""

from pathlib import Path
from typing import Final

import pytest

from tests.support.gateway import caller, configuration, provider, running_gateway
from tests.support.ledger import StateDirectory
from tests.support.wait import eventually

_SINCE: Final = "ts_ms > 0, cause, fingerprint"


@pytest.mark.parametrize("workers", [1, 2])
async def test_what_was_in_force_is_on_record_once(
    tmp_path: Path, workers: int
) -> None:
    """The configuration of the start and each that is taken; one that comes back not.

    However many workers there are, and with the prices.
    """
    nobody = provider("http://127.0.0.1:9")
    nobody["models"]["mini"]["price"] = {"input_per_million": 0.25}
    settings = configuration({"acme": nobody}, server={"workers": workers})
    async with running_gateway(tmp_path, settings) as gateway:
        state = StateDirectory(gateway.state)
        first = (await gateway.report())["configuration_fingerprint"]
        gateway.settings["callers"].append(caller("k2"))
        gateway.write()
        second = (await gateway.reload())["configuration_fingerprint"]
        gateway.settings["callers"].pop()
        gateway.write()
        await gateway.reload()
        await eventually(
            lambda: state.count("config_versions") == 2, what="two configurations"
        )
    found = state.select(_SINCE, "config_versions ORDER BY ts_ms")
    prices = state.select(
        "provider, model, input_nusd_per_million, output_nusd_per_million",
        "price_versions",
    )

    assert found == [(1, "start", first), (1, "reload", second)]
    assert prices == [("acme", "mini", 250_000_000, None)]


async def test_who_is_refused_is_on_record(tmp_path: Path) -> None:
    """Who has no token, who may not see metrics, and who asks for another's model."""
    settings = configuration({"acme": provider("http://127.0.0.1:9")})
    async with running_gateway(tmp_path, settings) as gateway:
        state = StateDirectory(gateway.state)
        async with gateway.http() as known, gateway.http(None) as nobody:
            await nobody.post("/v1/responses", headers={"x-api-key": "wrong"})
            await known.get("/metrics")
            body = {"model": "unheard-of", "messages": []}
            answer = await known.post("/v1/messages", json=body)
        await eventually(
            lambda: state.count("security_access_events") == 3, what="three refusals"
        )
    rows = state.select(
        "event_type, reason_code, status, path_template, token_id, ip_address",
        "security_access_events",
    )
    [(last,)] = state.select(
        "request_id",
        "security_access_events WHERE reason_code = 'model-not-allowed'",
    )

    token_id = "rtr_alice_search_dev_k1"
    home = "127.0.0.1"
    # They may be of the same millisecond.
    assert sorted(rows, key=str) == [
        ("authentication", "token-unknown", 401, "/v1/responses", None, home),
        ("authorization", "metrics-forbidden", 403, "/metrics", token_id, home),
        ("authorization", "model-not-allowed", 403, "/v1/messages", token_id, home),
    ]
    assert last == answer.headers["x-request-id"]
