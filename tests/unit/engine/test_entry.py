"""An open entry becomes the record of its call."""

from decimal import Decimal

import msgspec

from smart_llmrouter.admission.demand import Spent
from smart_llmrouter.config.snapshot import Group, Provider, Target
from smart_llmrouter.core.errors import RouterError, UpstreamTimeout
from smart_llmrouter.core.identity import Caller
from smart_llmrouter.core.money import Price, Rate
from smart_llmrouter.core.notes import Note
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.engine.client import Arrival
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.ledger.record import UsageRecord

CALLER = Caller(
    id="alice-search-dev",
    owner_user="alice",
    project="search",
    environment="dev",
    token_id="rtr_alice_search_dev_k1",
    status="active",
    expires_on=None,
    allowed_groups=frozenset({"chat"}),
    metrics_admin=False,
)
ARRIVAL = Arrival(
    request_id="req_1",
    caller=CALLER,
    client="curl",
    began_s=100.0,
    ts_ms=1_700_000_000_000,
)
RATE = Rate.per_million(Decimal(1))
TARGET = Target(
    label="acme/mini",
    provider=Provider(
        name="acme",
        dialect="openai-chat",
        base_url="http://x",
        api_key=None,
        headers=(),
    ),
    key="mini",
    model="acme-mini-2026",
    price=Price(input=RATE, cached_input=None, output=RATE, fingerprint="p1"),
)
GROUP = Group(
    name="chat",
    aliases=(),
    strategy="failover",
    targets=(TARGET,),
    max_attempts=3,
    first_event_timeout_s=60,
)


def closed(
    entry: Entry, *, status: int = 200, error: RouterError | None = None
) -> UsageRecord:
    """Close an entry two seconds after it was opened."""
    return entry.record(
        status=status,
        error=error,
        now_s=102.0,
        config_fingerprint="c1",
        router_version="1.0",
    )


def test_a_call_that_reached_nobody() -> None:
    """Only who called, when, and how it ended is known; all else is unknown."""
    record = closed(Entry(arrival=ARRIVAL, dialect="openai-chat"), status=400)

    assert {
        name: value
        for name, value in msgspec.structs.asdict(record).items()
        if value is not None
    } == {
        "request_id": "req_1",
        "ts_ms": 1_700_000_000_000,
        "caller_id": "alice-search-dev",
        "caller_user": "alice",
        "caller_project": "search",
        "caller_environment": "dev",
        "token_id": "rtr_alice_search_dev_k1",
        "client": "curl",
        "inbound_dialect": "openai-chat",
        "status": 400,
        "attempts": 0,
        "latency_us": 2_000_000,
        "config_fingerprint": "c1",
        "router_version": "1.0",
        "stream": False,
        "lane": "relay",
        "usage_estimated": False,
        "notes": (),
        "fallback_used": False,
    }


def test_a_call_that_was_answered() -> None:
    """Target, times from the first byte of the request, usage and costs are there."""
    entry = Entry(
        arrival=ARRIVAL,
        dialect="openai-chat",
        requested_model="alias",
        group=GROUP,
        target=TARGET,
        stream=True,
        attempts=2,
        upstream_status=200,
        first_byte_s=100.5,
        first_event_s=100.75,
        usage=Usage(input_tokens=10, output_tokens=5, reported_cost_nusd=1),
    )

    record = closed(entry)

    assert (record.requested_model, record.resolved_group) == ("alias", "chat")
    assert (record.target_provider, record.target_model) == ("acme", "mini")
    assert (record.target_dialect, record.strategy) == ("openai-chat", "failover")
    assert (record.ttfb_us, record.ttft_us) == (500_000, 750_000)
    assert (record.input_cost_nusd, record.output_cost_nusd) == (10_000, 5_000)
    assert (record.total_cost_nusd, record.upstream_reported_cost_nusd) == (15_000, 1)
    assert (record.price_fingerprint, record.attempts) == ("p1", 2)
    assert (record.stream, record.error_code) == (True, None)


def test_a_call_that_failed() -> None:
    """The stable code of the error is kept beside the class of the failure."""
    entry = Entry(
        arrival=ARRIVAL,
        dialect="openai-chat",
        group=GROUP,
        target=TARGET,
        error_class="upstream_idle_timeout",
    )

    record = closed(entry, status=504, error=UpstreamTimeout("x"))

    assert (record.status, record.error_code) == (504, "upstream-timeout")
    assert record.error_class == "upstream_idle_timeout"
    assert record.total_cost_nusd is None


def test_a_call_that_wrote_into_the_cache() -> None:
    """Tokens and cost of the writes are in its record, and in its total."""
    usage = Usage(
        input_tokens=10,
        cache_write_5m_tokens=3,
        cache_write_1h_tokens=0,
        output_tokens=5,
    )
    entry = Entry(arrival=ARRIVAL, dialect="x", group=GROUP, target=TARGET, usage=usage)

    record = closed(entry)

    assert (record.request_id, record.ts_ms) == ("req_1", 1_700_000_000_000)
    assert (record.cache_write_5m_tokens, record.cache_write_1h_tokens) == (3, 0)
    assert (record.input_cost_nusd, record.cache_write_cost_nusd) == (7_000, 3_000)
    assert record.total_cost_nusd == 15_000


def test_a_call_that_was_charged_and_waited() -> None:
    """What budgets were charged beyond the usage, the wait, and what was said of it."""
    entry = Entry(
        arrival=ARRIVAL,
        dialect="openai-chat",
        group=GROUP,
        target=TARGET,
        usage=Usage(cache_write_5m_tokens=3),
        charged=Spent(1, 900, 4_500),
        queued_s=0.25,
        warning="caller:day.usd",
    )

    record = closed(entry)

    assert (record.charged_tokens, record.charged_cost_nusd) == (900, 4_500)
    assert (record.queued_us, record.cache_write_5m_tokens) == (250_000, 3)
    assert (record.budget_warning, record.refused_by) == ("caller:day.usd", None)


def test_a_call_that_waited_and_was_refused() -> None:
    """Nothing was charged; the limit is named, and how long the call waited for it."""
    entry = Entry(
        arrival=ARRIVAL, dialect="x", queued_s=1.5, limit="group:requests_per_second"
    )

    record = closed(entry, status=429)

    assert record.refused_by == "group:requests_per_second"
    assert (record.charged_tokens, record.queued_us) == (None, 1_500_000)


def test_a_call_that_was_translated() -> None:
    """Lane and notes are on record, and whether its tokens are an estimate."""
    note = Note("dropped", "seed", "the target has no such field")
    entry = Entry(
        arrival=ARRIVAL,
        dialect="anthropic-messages",
        lane="translate",
        notes=(note,),
        usage=Usage(input_tokens=3, estimated=True),
    )

    record = closed(entry)

    assert (record.lane, record.usage_estimated) == ("translate", True)
    assert record.notes == (note,)


def test_what_is_shared_by_calls_that_are_alike() -> None:
    """Calls that differ in dialect, lane, notes or estimates share no labels."""
    entries = [
        Entry(arrival=ARRIVAL, dialect="x", **different)
        for different in (
            {},
            {"lane": "translate"},
            {"notes": (Note("dropped", "seed", "why"),)},
            {"notes": (Note("dropped", "stop", "why"),)},
            {"usage": Usage(estimated=True)},
            {"limit": "caller:rpm"},
            {"warning": "caller:day.usd"},
        )
    ]
    entries.append(Entry(arrival=ARRIVAL, dialect="y"))
    equal = Entry(arrival=ARRIVAL, dialect="x", notes=(Note("dropped", "seed", "why"),))

    keys = [entry.likeness(200, None) for entry in entries]

    assert len(set(keys)) == len(keys)
    assert equal.likeness(200, None) == keys[2]
