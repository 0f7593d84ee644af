"""What the ingester process is told, and what it is not."""

from pathlib import Path

from tests.support.gateway import configuration, provider, running_gateway

KEY = "canary-of-a-provider-key-0123456789"


async def test_the_ingester_does_not_get_the_providers_keys(tmp_path: Path) -> None:
    """It moves records and needs no credential, so it inherits none."""
    settings = configuration(
        {"acme": provider("http://127.0.0.1:9/v1", api_key="${ACME_API_KEY}")}
    )
    async with running_gateway(
        tmp_path, settings, environment={"ACME_API_KEY": KEY}
    ) as gateway:
        children = Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text()
        told = {
            pid: Path(f"/proc/{pid}/environ").read_bytes() for pid in children.split()
        }
        own = Path(f"/proc/{gateway.pid}/environ").read_bytes()

    assert KEY.encode() in own
    assert told
    assert not any(KEY.encode() in environment for environment in told.values())
