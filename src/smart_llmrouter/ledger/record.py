"""The one record that each call leaves behind.

It holds ids, names, numbers and fingerprints only. There is no field that could hold
a prompt, an answer, a credential or an upstream's free text.
"""

import msgspec


class UsageRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One finished call. `None` means unknown or not applicable, never zero.

    `ts_ms` is when the call began, in milliseconds since 1970 UTC. Durations are
    microseconds (`_us`) from the first byte of the request; `latency_us` ends when the
    record is written, just before the last byte of the answer leaves. `ttfb_us` is
    the first byte of the upstream's answer, `ttft_us` its first meaningful event.
    Costs are nano-dollars (`_nusd`). `error_code` is a stable code of `core.errors`;
    `status` is what the caller was answered (499: it left before the end).
    """

    request_id: str
    ts_ms: int
    caller_id: str
    caller_user: str
    caller_project: str
    caller_environment: str
    token_id: str
    client: str
    inbound_dialect: str
    status: int
    attempts: int
    latency_us: int
    config_fingerprint: str
    router_version: str
    requested_model: str | None = None
    resolved_group: str | None = None
    strategy: str | None = None
    target_provider: str | None = None
    target_model: str | None = None
    target_dialect: str | None = None
    stream: bool = False
    error_code: str | None = None
    error_class: str | None = None
    upstream_status: int | None = None
    ttfb_us: int | None = None
    ttft_us: int | None = None
    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    input_cost_nusd: int | None = None
    cached_input_cost_nusd: int | None = None
    output_cost_nusd: int | None = None
    total_cost_nusd: int | None = None
    upstream_reported_cost_nusd: int | None = None
    price_fingerprint: str | None = None


encode_record = msgspec.json.Encoder().encode
decode_record = msgspec.json.Decoder(UsageRecord).decode
