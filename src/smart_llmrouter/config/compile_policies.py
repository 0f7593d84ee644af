"""Compiles the settings of strategies, rests and diagnostics; see `config.compile`."""

from collections.abc import Sequence
from pathlib import Path

from smart_llmrouter.config.policies import (
    Affinity,
    Backoffs,
    Cache,
    Contract,
    Diagnostics,
    Dynamic,
    External,
    FetchImages,
    Flow,
    Rest,
    Retention,
    Rule,
    Rules,
    ScoreWeights,
    Script,
    Thresholds,
)
from smart_llmrouter.config.schema import allowances, groups, policies, providers
from smart_llmrouter.config.schema import retention as retention_settings
from smart_llmrouter.config.schema import root as root_settings
from smart_llmrouter.config.schema import server as server_settings
from smart_llmrouter.core.secrets import Secret


def flow(given: allowances.Flow | None) -> Flow | None:
    """Compile the shaping of a provider, a model or a target, if it limits anything."""
    if given is None:
        return None
    rate, tokens = given.requests_per_second or 0.0, given.input_tokens_per_second or 0
    if not rate and not tokens:
        return None
    burst = given.burst if given.burst is not None else max(1, round(rate))
    return Flow(
        requests_per_second=rate,
        burst=max(1, burst),
        input_tokens_per_second=float(tokens),
    )


def backoffs(given: providers.Backoffs) -> Backoffs:
    """Compile how long targets of a provider rest."""
    limited, empty, failing = given.on_429, given.on_quota, given.on_failure
    return Backoffs(
        on_429=Rest(
            min_s=limited.min_s,
            max_s=limited.max_s,
            honor_retry_after=limited.honor_retry_after,
        ),
        on_quota=Rest(min_s=empty.min_s, max_s=empty.max_s),
        on_failure=Rest(
            min_s=failing.min_s, max_s=failing.max_s, after=failing.failures
        ),
    )


def affinity(given: policies.Affinity) -> Affinity:
    """Compile how conversations stay on their target."""
    return Affinity(enabled=given.enabled, ttl_s=given.ttl_s)


def dynamic(given: policies.Dynamic | None) -> Dynamic:
    """Compile how targets are scored."""
    if given is None:
        return Dynamic()
    weights = given.weights
    return Dynamic(
        window_s=given.window_s,
        min_observations=given.min_observations,
        explore=given.explore,
        max_adjustment=given.max_adjustment,
        weights=ScoreWeights(
            latency=weights.latency,
            first_token=weights.first_token,
            throughput=weights.throughput,
            reliability=weights.reliability,
            price=weights.price,
            quality=weights.quality,
        ),
    )


def rules(given: policies.Rules | None) -> Rules | None:
    """Compile the rules of a group."""
    if given is None:
        return None
    return Rules(
        rules=tuple(
            Rule(when=each.when, use=each.use, only=each.only, label=each.label)
            for each in given.rules
        ),
        on_error=given.on_error,
    )


def script(given: policies.Script | None, *, beside: Path) -> Script | None:
    """Compile the script of a group; its path is relative to `beside`."""
    if given is None:
        return None
    return Script(
        file=(beside / given.file).absolute(),
        timeout_ms=given.timeout_ms,
        processes=given.processes,
        on_error=given.on_error,
    )


def external(
    given: policies.External, *, headers: Sequence[tuple[str, Secret | str]]
) -> External:
    """Compile how a policy service is asked; `headers` are resolved."""
    return External(
        url=given.url,
        timeout_ms=given.timeout_ms,
        max_response_bytes=given.max_response_bytes,
        headers=tuple(headers),
        include_request=given.include_request,
        on_error=given.on_error,
    )


def thresholds(given: groups.Thresholds | None) -> Thresholds | None:
    """Compile what a target must keep."""
    if given is None:
        return None
    return Thresholds(
        max_error_rate=given.max_error_rate,
        max_timeout_rate=given.max_timeout_rate,
        max_p95_latency_ms=given.max_p95_latency_ms,
    )


def contract(given: groups.Contract | None) -> Contract | None:
    """Compile what a group promises."""
    required = None if given is None else given.required
    if required is None:
        return None
    return Contract(
        dialects=required.dialects,
        input=required.input,
        tools=required.tools,
        structured_outputs=required.structured_outputs,
        reasoning=required.reasoning,
        honors_output_cap=required.honors_output_cap,
        min_context_tokens=required.min_context_tokens,
    )


def fetch_images(given: server_settings.FetchImages | None) -> FetchImages | None:
    """Compile within which bounds images are fetched."""
    if given is None:
        return None
    return FetchImages(
        max_bytes=given.max_bytes, timeout_s=given.timeout_s, types=given.types
    )


def retention(given: retention_settings.Retention) -> Retention:
    """Compile how long what is on record is kept."""
    return Retention(
        usage_detail_days=given.usage_detail_days,
        usage_diagnostics_days=given.usage_diagnostics_days,
        security_access_days=given.security_access_days,
        rollup_hourly_days=given.rollup_hourly_days,
        rollup_daily_days=given.rollup_daily_days,
        batch_rows=given.batch_rows,
        at_minute=retention_settings.minute_of(given.at),
    )


def diagnostics(given: server_settings.Diagnostics) -> Diagnostics:
    """Compile of which calls decisions are kept."""
    return Diagnostics(
        decisions=given.decisions,
        max_candidates=given.max_candidates,
        max_filter_reasons=given.max_filter_reasons,
    )


def cache(given: root_settings.Cache) -> Cache | None:
    """Compile which answers may be served again; nothing: none may."""
    if not given.enabled:
        return None
    return Cache(
        store=given.store,
        max_bytes=given.max_bytes,
        max_entry_bytes=given.max_entry_bytes,
        ttl_s=float(given.ttl_s),
    )
