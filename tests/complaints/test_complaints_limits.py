"""How other gateways let pass what they should not, and refuse what they should not."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from smart_llmrouter.admission.verdicts import Lease, LimitName
from smart_llmrouter.config.allowances import Cap, Limits, Scope
from smart_llmrouter.config.policies import Flow
from smart_llmrouter.mockprovider.script import Step
from tests.support.calendar import MIDDAY
from tests.support.configuration import SMALL, changed, loaded
from tests.support.counter_stores import Store, chain, granted, refused, scope
from tests.support.every_store import EVERY_STORE
from tests.support.gateway import (
    Gateway,
    caller,
    configuration,
    provider,
    running_gateway,
)
from tests.support.line import Answered, chat, line_to
from tests.support.mock import running_mock
from tests.support.puppet import completion, running_puppet
from tests.support.router import Router, running_router
from tests.support.valkey_store import get_ready
from tests.support.wait import eventually

PATHS: Final[Mapping[str, dict[str, Any]]] = {
    "/v1/chat/completions": {},
    "/v1/responses": {"input": "hi"},
    "/v1/responses/input_tokens": {"input": "hi"},
    "/v1/messages": {"max_tokens": 9},
    "/v1/messages/count_tokens": {},
    "/anthropic/v1/messages": {"max_tokens": 9},
    "/anthropic/v1/messages/count_tokens": {},
}
DIALECTS: Final = {
    "chat": "openai-chat",
    "responses": "openai-responses",
    "messages": "anthropic-messages",
}


@pytest.fixture(scope="session", autouse=True)
def valkey_server() -> None:
    """Have a server that all tests share."""
    get_ready()


@pytest.fixture(params=EVERY_STORE)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """Return each counter store in turn."""
    made = EVERY_STORE[request.param]()
    yield made
    await made.close()


async def ask(router: Router | Gateway, **fields: Any) -> Answered:  # noqa: ANN401 - whatever a request has
    """Ask once, on a connection of its own."""
    async with line_to(router) as line:
        line.send(chat(**fields))
        return await line.answer()


def settings_for(base_url: str, **allowance: Any) -> dict[str, Any]:  # noqa: ANN401 - what a caller may be given
    """Return a configuration whose one caller may use so much."""
    if "budgets" in allowance:
        allowance["budgets"] = {"timezone": MIDDAY, **allowance["budgets"]}
    return configuration({"acme": provider(base_url)}, callers=[caller(**allowance)])


async def test_parallel_calls_pass_a_cap_on_tokens(store: Store) -> None:
    """Each is small enough, and nobody has answered yet; all together are too much."""
    holder = scope(limits=Limits(tpm=100))
    capped = chain(holder)
    assert (await store.use(holder))["tpm"] == (0, 0)

    taken = await asyncio.gather(*(store.take(capped, tokens=60) for _ in range(5)))

    assert sum(isinstance(each, Lease) for each in taken) == 1


async def test_a_cap_on_tokens_trips_early(store: Store) -> None:
    """Requests roll out of the minute when they came, and tokens when they did."""
    capped = chain(scope(limits=Limits(tpm=1000, rpm=100)))
    early = granted(await store.take(capped, tokens=300))
    await store.settle(early, tokens=300)
    store.clocks.turn(30)
    late = granted(await store.take(capped, tokens=700))
    await store.settle(late, tokens=700)

    before = refused(await store.take(capped, tokens=1))
    store.clocks.turn(30.2)
    fits = await store.take(capped, tokens=300)
    too_much = await store.take(capped, tokens=1)

    assert before.limit == "tpm"
    granted(fits)
    assert refused(too_much).limit == "tpm"


async def test_calls_refused_for_concurrency_use_up_the_minute(store: Store) -> None:
    """A hundred of them leave as much of the minute as there was."""
    capped = chain(scope(limits=Limits(rpm=3, concurrent=1)))
    first = granted(await store.take(capped))
    named = {refused(await store.take(capped)).limit for _ in range(100)}
    await store.settle(first)

    for _ in range(2):
        await store.settle(granted(await store.take(capped)))

    assert named == {"concurrent"}
    assert refused(await store.take(capped)).limit == "rpm"


async def test_each_worker_has_a_cap_of_its_own(tmp_path: Path) -> None:
    """Whichever worker a connection comes to, both together have this many slots."""
    async with running_puppet() as puppet:
        settings = settings_for(puppet.base_url, limits={"concurrent": 2})
        settings["server"]["workers"] = 2
        settings["state"]["counters"] = "embedded-valkey"
        async with running_gateway(tmp_path, settings) as gateway:
            asking = [asyncio.create_task(ask(gateway)) for _ in range(20)]
            held = [await puppet.call() for _ in range(2)]
            await eventually(lambda: sum(each.done() for each in asking) == 18)
            for call in held:
                call.write(completion())
            statuses = [each.status for each in await asyncio.gather(*asking)]

    assert sorted(statuses) == [200] * 2 + [429] * 18


async def test_a_slot_is_never_free_again_after_a_timeout(tmp_path: Path) -> None:
    """Whichever time-out it was, the next call has the slot."""
    async with running_puppet() as puppet:
        settings = settings_for(puppet.base_url, limits={"concurrent": 1})
        settings["upstream"] = {"first_event_timeout_s": 0.2}
        async with running_router(tmp_path, settings) as router:
            statuses = [(await ask(router, stream=at == 1)).status for at in range(3)]

    assert 429 not in statuses
    assert statuses == [504] * 3


@pytest.mark.parametrize("stream", [False, True])
async def test_calls_go_on_above_a_budget(tmp_path: Path, *, stream: bool) -> None:
    """Once it is used up, each further call is refused, and no provider is asked."""
    async with running_mock() as mock:
        mock.always(Step(prompt_tokens=20, completion_tokens=300))
        settings = settings_for(mock.base_url, budgets={"day": {"usd": "0.005"}})
        async with running_router(tmp_path, settings) as router:
            passed = 0
            while (await ask(router, stream=stream, max_tokens=500)).status == 200:
                passed += 1
            later = [await ask(router, stream=stream, max_tokens=500) for _ in range(9)]
        received = len(mock.received)

    assert 1 <= passed == received
    assert {each.error_code for each in later} == {"quota-exhausted"}


async def test_a_budget_is_exhausted_that_is_not(store: Store) -> None:
    """A thousand calls that came to nothing leave all of it for the next."""
    capped = chain(scope(day=Cap(tokens=1000, nusd=1000), lifetime=Cap(requests=1)))
    for _ in range(1000 if store.settling_s == 0 else 100):
        taken = granted(await store.take(capped, tokens=900, nusd=900))
        await store.settle(taken, requests=0)

    granted(await store.take(capped, tokens=1000, nusd=1000))


async def test_failures_use_up_a_budget(tmp_path: Path) -> None:
    """What was reserved for calls that failed is there again, in a router, too."""
    async with running_mock() as mock:
        mock.always(Step(status=500))
        settings = settings_for(mock.base_url, budgets={"day": {"tokens": 1000}})
        settings["providers"]["acme"]["backoff"] = {
            "on_failure": {"failures": 1000, "min_s": 0.001, "max_s": 0.001}
        }
        async with running_router(tmp_path, settings) as router:
            failed = [(await ask(router, max_tokens=800)).status for _ in range(20)]
            mock.always(Step())
            passed = await ask(router, max_tokens=800)

    assert failed == [502] * 20
    assert passed.status == 200


async def test_a_cap_never_resets(store: Store) -> None:
    """A day's does at midnight, and a month's at the end of the month."""
    capped = chain(scope(day=Cap(nusd=100), month=Cap(nusd=150)))
    await store.settle(granted(await store.take(capped, nusd=100)), nusd=100)

    today = refused(await store.take(capped, nusd=1))
    store.clocks.turn(today.wait_s)
    await store.settle(granted(await store.take(capped, nusd=50)), nusd=50)
    this_month = refused(await store.take(capped, nusd=1))
    store.clocks.turn(this_month.wait_s)

    assert (today.limit, this_month.limit) == ("day.usd", "month.usd")
    granted(await store.take(capped, nusd=100))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("budget: {day: {usd: 5}}", "the key budget is not known"),
        ("budgets: {daily: {usd: 5}}", "the key daily is not known"),
        ("budgets: {day: {dollars: 5}}", "the key dollars is not known"),
        ("limits: {rpm: -1}", "must be at least 0"),
        ("budgets: {day: {usd: 5}, timezone: CET5}", "not known here"),
        ("budgets: {timezone: UTC}", "no budget is set here: nothing is limited"),
    ],
)
def test_a_budget_is_neither_kept_nor_refused(given: str, told: str) -> None:
    """A budget that would not count is told, with its place."""
    found = loaded(f"{SMALL}    {given}\n").findings

    assert any(told in each.message for each in found), found


def test_a_budget_in_dollars_does_not_see_what_has_no_price() -> None:
    """It is told beforehand, and not by the bill."""
    priced = "        price: {input_per_million: 0.25, output_per_million: 2.00}\n"
    text = changed(priced, "") + "    budgets: {day: {usd: 5}}\n"

    told = [each.message for each in loaded(text).findings]

    assert "what costs nothing is never refused: `acme/mini` has no price" in told


def test_replicas_count_each_by_itself_and_nobody_says_so() -> None:
    """Such a configuration is refused."""
    text = f"server: {{workers: 4}}\n{SMALL}    limits: {{rpm: 5}}\n"

    (found,) = loaded(text).findings

    assert found.is_error
    assert "would count in each worker by itself" in found.message


@pytest.mark.parametrize("path", PATHS)
async def test_some_paths_skip_the_budgets(tmp_path: Path, path: str) -> None:
    """Where a budget is used up, none leads to a provider."""
    async with running_mock() as mock:
        settings = configuration(
            {
                name: provider(mock.base_url, dialect=dialect)
                for name, dialect in DIALECTS.items()
            },
            callers=[caller(budgets={"timezone": MIDDAY, "day": {"requests": 1}})],
        )
        async with running_router(tmp_path, settings) as router:
            first = await ask(router)
            answer = await ask(router, path=path, **PATHS[path])
        received = len(mock.received)

    assert (first.status, received) == (200, 1)
    assert (answer.status, answer.error_code) == (429, "quota-exhausted")


async def test_the_warning_at_99_percent_comes_at_3(store: Store) -> None:
    """It comes when 99 of 100 have been used, and no earlier."""
    budget = chain(scope(day=Cap(tokens=100), warn_at_percent=99))

    warned = []
    for tokens in (3, 95, 1, 1):
        lease = granted(await store.take(budget, tokens=1))
        warned.append([each.used for each in lease.warned])
        await store.settle(lease, tokens=tokens)

    assert warned == [[], [], [], [99]]


async def test_a_budget_cannot_be_removed(store: Store) -> None:
    """The first call by a configuration without it passes, and so do all others."""
    capped = chain(scope(day=Cap(requests=1), limits=Limits(rpm=50)))
    await store.settle(granted(await store.take(capped)))
    before = refused(await store.take(capped))

    without = chain(scope(limits=Limits(rpm=50)))
    for _ in range(9):
        await store.settle(granted(await store.take(without)))

    assert before.limit == "day.requests"


async def test_an_alias_switches_a_limit_off(tmp_path: Path) -> None:
    """Calls by an alias, or by no name, are calls of the group."""
    async with running_mock() as mock:
        settings = configuration(
            {"acme": provider(mock.base_url)}, server={"default_group": "chat"}
        )
        settings["groups"]["chat"] |= {"aliases": ["talk"], "limits": {"rpm": 1}}
        async with running_router(tmp_path, settings) as router:
            named = [await ask(router, model=name) for name in ("talk", "chat", None)]

    assert [each.status for each in named] == [200, 429, 429]
    assert json.loads(named[2].body)["error"]["details"]["scope"] == "group:chat"


def test_a_name_that_does_not_match_switches_a_limit_off() -> None:
    """It is told that nobody is counted by that name."""
    project = "  - id: search\n    environments: {dve: {limits: {rpm: 5}}}\n"

    found = loaded(changed("  - id: search\n", project)).findings

    assert [each.message for each in found] == [
        "no caller is counted here: it limits nobody"
    ]


async def test_a_stream_is_limited_only_when_it_is_over(tmp_path: Path) -> None:
    """It is ended while it runs, where the budget wants that."""
    async with running_mock() as mock:
        mock.always(Step(words=3000, prompt_tokens=10, completion_tokens=3000))
        budgets = {"day": {"tokens": 600}, "on_overrun": "cut"}
        settings = settings_for(mock.base_url, budgets=budgets)
        settings["providers"]["acme"]["models"]["mini"]["max_output_tokens"] = 100
        async with running_router(tmp_path, settings) as router:
            answer = await ask(router, stream=True)
            record = await router.record()

    assert answer.error_code == "quota-exhausted"
    assert b"[DONE]" not in answer.body
    assert record.charged_tokens is not None
    assert record.charged_tokens < 3000


TIGHT: Final[Mapping[LimitName, Scope]] = {
    "rpm": scope("tight", limits=Limits(rpm=1, tpm=999, concurrent=9)),
    "tpm": scope("tight", limits=Limits(rpm=9, tpm=15, concurrent=9)),
    "concurrent": scope("tight", limits=Limits(rpm=9, tpm=999, concurrent=1)),
    "requests_per_second": scope(
        "tight", flow=Flow(requests_per_second=1, burst=1), limits=Limits(rpm=9)
    ),
    "day.requests": scope("tight", day=Cap(requests=1), month=Cap(requests=9)),
    "month.tokens": scope("tight", day=Cap(tokens=999), month=Cap(tokens=15)),
    "lifetime.usd": scope("tight", month=Cap(nusd=999), lifetime=Cap(nusd=15)),
}


@pytest.mark.parametrize("limit", TIGHT)
async def test_the_wrong_limit_is_named(store: Store, limit: LimitName) -> None:
    """Of all limits of two holders it is the one that refuses, and whose it is."""
    loose = scope(
        "loose",
        "project",
        limits=Limits(rpm=9, tpm=999, concurrent=9),
        day=Cap(requests=9, tokens=999, nusd=999),
        lifetime=Cap(requests=9, tokens=999, nusd=999),
    )
    both = chain(loose, TIGHT[limit])
    granted(await store.take(both, tokens=10, nusd=10))

    named = refused(await store.take(both, tokens=10, nusd=10))

    assert (named.limit, named.scope.key) == (limit, "caller:tight")
