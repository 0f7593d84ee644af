"""What a target is found to be able to do, asked in its own dialect."""

import json
from collections.abc import Mapping
from typing import Any, Final, get_args

import pytest
from msgspec import Raw

from smart_llmrouter.bootstrap.transports import open_transport
from smart_llmrouter.config.snapshot import Provider, Target, Upstream
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.core.secrets import Secret
from smart_llmrouter.dialects.registry import DIALECTS
from smart_llmrouter.engine.probe_questions import Outcome, questions
from smart_llmrouter.engine.probe_report import configuration_of
from smart_llmrouter.engine.probing import Finding, Prober, TargetUnusable
from smart_llmrouter.mockprovider.script import Lack, Step, StreamError
from tests.support.mock import Mock, running_mock
from tests.support.upstream_server import refusing_port
from tests.support.wait import PATIENCE_S

KEY: Final = "sk-canary-0123456789abcdefghij"
UPSTREAM: Final = Upstream(
    transport="lean",
    proxied=False,
    max_connections=4,
    idle_connection_s=30,
    dns_ttl_s=30,
    connect_timeout_s=60,
    first_event_timeout_s=60,
    idle_timeout_s=60,
    total_timeout_s=60,
    max_response_bytes=1_000_000,
)
NAMES: Final = [
    "text", "stream usage", "output cap", "tools", "forced choice", "parallel tools",
    "structured output", "image, data", "reasoning",
]  # fmt: skip
BEFORE_THE_IMAGE: Final = NAMES.index("image, data")
SEES: Final = (Step(times=BEFORE_THE_IMAGE), Step(content="Red."))
LEVELS: Final[Mapping[DialectName, list[str]]] = {
    "openai-chat": ["minimal", "low", "medium", "high"],
    "openai-responses": ["minimal", "low", "medium", "high"],
    "anthropic-messages": ["low", "medium", "high"],
}


def target_at(base_url: str, dialect: DialectName = "openai-chat") -> Target:
    """Return a target of which nothing is declared."""
    return Target(
        label="acme/mini",
        provider=Provider(
            name="acme",
            dialect=dialect,
            base_url=base_url,
            api_key=Secret(KEY, source="test"),
            headers=(),
        ),
        key="mini",
        model="mock-mini",
        price=None,
    )


async def probed(
    target: Target,
    *,
    output_tokens: int = 64,
    image_url: str | None = None,
    timeout_s: float = PATIENCE_S,
) -> dict[str, Finding]:
    """Ask everything, and return what was found, by name."""
    asked = questions(
        target.provider.dialect, output_tokens=output_tokens, image_url=image_url
    )
    async with open_transport(UPSTREAM) as transport:
        prober = Prober(
            target,
            DIALECTS[target.provider.dialect],
            transport,
            user_agent="smart-llmrouter/test",
            timeout_s=timeout_s,
        )
        found = await prober.findings(asked)
    return {each.name: each for each in found}


def outcomes(found: Mapping[str, Finding]) -> dict[str, Outcome]:
    """Return what was found, without the details."""
    return {name: each.outcome for name, each in found.items()}


def bodies(mock: Mock) -> list[dict[str, Any]]:
    """Return what the mock was asked."""
    return [json.loads(each.body or "") for each in mock.received]


@pytest.mark.parametrize("dialect", get_args(DialectName))
async def test_a_target_that_can_do_everything(dialect: DialectName) -> None:
    """In each dialect all of it is found, with as many requests as there are."""
    async with running_mock() as mock:
        mock.will(*SEES)
        target = target_at(mock.base_url, dialect)
        found = await probed(target)
        asked = bodies(mock)

    assert outcomes(found) == dict.fromkeys(NAMES, "yes")
    assert configuration_of(target, list(found.values())) == {
        "input": ["text", "image"],
        "tools": ["function", "forced_choice", "parallel"],
        "structured_outputs": True,
        "reasoning": {"control": "effort", "levels": LEVELS[dialect]},
        "honors_output_cap": True,
    }
    assert len(asked) == len(questions(dialect, output_tokens=64)) == 12
    caps = ("max_tokens", "max_completion_tokens", "max_output_tokens")
    assert all(
        any(16 <= body.get(cap, 0) <= 64 + 1024 for cap in caps) for body in asked
    )
    assert {body["model"] for body in asked} == {"mock-mini"}


@pytest.mark.parametrize("dialect", get_args(DialectName))
@pytest.mark.parametrize(
    ("lack", "names"),
    [
        ("tools", ["tools", "forced choice", "parallel tools"]),
        ("forced-choice", ["forced choice"]),
        ("parallel-tools", ["parallel tools"]),
        ("structured-output", ["structured output"]),
        ("images", ["image, data"]),
        ("reasoning", ["reasoning"]),
        ("output-cap", ["output cap"]),
    ],
)
async def test_what_a_target_lacks_is_found(
    dialect: DialectName, lack: Lack, names: list[str]
) -> None:
    """Whether it refuses it or does not heed it; all else is found as before."""
    async with running_mock() as mock:
        mock.always(Step(lacks=(lack,)))
        found = await probed(target_at(mock.base_url, dialect))

    expected: dict[str, Outcome] = dict.fromkeys(NAMES, "yes")
    # The mock cannot tell colours.
    expected["image, data"] = "unclear"
    assert outcomes(found) == expected | dict.fromkeys(names, "no")


async def test_streams_without_usage() -> None:
    """Their cost would be unknown."""
    async with running_mock() as mock:
        mock.always(Step(no_usage=True))
        found = await probed(target_at(mock.base_url))

    assert found["stream usage"].outcome == "no"


async def test_an_image_by_its_url_is_asked_for_by_request_only() -> None:
    """A provider fetches from no address that the operator has not named."""
    url = "https://images.example/red.png"
    async with running_mock() as mock:
        mock.always(Step(lacks=("image-urls",)))
        target = target_at(mock.base_url)
        await probed(target)
        without = str(bodies(mock))
        found = await probed(target, image_url=url)
        with_url = str(bodies(mock))

    assert "https://" not in without
    assert url in with_url
    assert found["image, URL"].outcome == "no"


async def test_messages_that_think_by_a_budget_only() -> None:
    """Models that refuse efforts may still have a budget."""
    refused = Step(status=400)
    async with running_mock() as mock:
        mock.will(Step(times=BEFORE_THE_IMAGE + 1), refused, refused, refused)
        target = target_at(mock.base_url, "anthropic-messages")
        found = await probed(target)

    fitting = configuration_of(target, list(found.values()))
    assert fitting["reasoning"] == {"control": "token_budget"}


async def test_failures_in_passing_leave_it_unclear() -> None:
    """A rate limit, an overload, a broken stream or answer say nothing of a target."""
    broken = StreamError(after_events=0, code="server_error")
    async with running_mock() as mock:
        mock.will(
            Step(),
            Step(error_in_stream=broken),
            Step(status=429),
            Step(status=529),
            Step(malformed_json=True),
            Step(hang_up_at_byte=50),
        )
        found = await probed(target_at(mock.base_url))

    unclear = [name for name, each in found.items() if each.outcome == "unclear"]
    assert unclear == [*NAMES[1:6], "image, data"]
    assert "upstream_rate_limited" in found["output cap"].detail
    assert "tools" not in configuration_of(target_at("http://x"), list(found.values()))


async def test_an_answer_that_takes_too_long() -> None:
    """It is waited for as long as was said, and no longer."""
    async with running_mock() as mock:
        mock.will(Step(), Step(), Step(delay_first_ms=600_000))
        found = await probed(target_at(mock.base_url), timeout_s=2)

    assert found["output cap"].outcome == "unclear"
    assert found["output cap"].detail.startswith("upstream_timeout: no answer within")


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (Step(status=401), "upstream_auth_failed"),
        (Step(status=404), "upstream_model_access_denied"),
        (Step(status=402), "upstream_quota_exhausted"),
        (Step(status=400), "refused"),
        (Step(malformed_json=True), "upstream_malformed_answer"),
    ],
)
async def test_a_target_that_answers_nothing(step: Step, reason: str) -> None:
    """One request is enough, and the reason is said."""
    async with running_mock() as mock:
        mock.always(step)
        with pytest.raises(TargetUnusable, match=reason):
            await probed(target_at(mock.base_url))
        asked = len(mock.received)

    assert asked == 1


async def test_nobody_is_there() -> None:
    """The reason is that of the connection."""
    with (
        refusing_port() as port,
        pytest.raises(TargetUnusable, match="upstream_connect_failed"),
    ):
        await probed(target_at(f"http://127.0.0.1:{port}/v1"))


async def test_what_a_provider_says_is_shown_without_our_key() -> None:
    """In one line, and not too much of it."""
    error = {"error": {"message": f"bad key {KEY}\n\x1b[31m" + "x" * 500}}
    async with running_mock() as mock:
        mock.will(Step(times=2), Step(status=400, body=Raw(json.dumps(error))))
        found = await probed(target_at(mock.base_url))

    detail = found["output cap"].detail
    assert detail.startswith("refused: bad key [redacted] [31mxxx")
    assert len(detail) < 200


async def test_models_that_cannot_be_forced_are_not_asked_for_more() -> None:
    """Without tools there is nothing to force: two requests are saved."""
    async with running_mock() as mock:
        mock.always(Step(lacks=("tools",)))
        found = await probed(target_at(mock.base_url))
        asked = len(mock.received)

    assert asked == 10
    assert found["forced choice"].detail == "without tools there is none"
