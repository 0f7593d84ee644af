"""The one record that each call leaves behind, and its line in the journal.

It holds ids, names, numbers and fingerprints only. There is no field that could hold
a prompt, an answer, a credential or an upstream's free text.

A line is a JSON array of a record's values in the order of its fields. The measures
come first, which differ from call to call; the labels follow, which many calls share
to the byte, so that a reader need not look into those that it has seen before.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from smart_llmrouter.stores.usage_store import Labels, Measures


class UsageRecord(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    array_like=True,
    forbid_unknown_fields=True,
):
    """One finished call. `None` means unknown or not applicable, never zero.

    `ts_ms` is when the call began, in milliseconds since 1970 UTC. Durations are
    microseconds (`_us`) from the first byte of the request; `latency_us` ends when the
    record is written, just before the last byte of the answer leaves. `ttfb_us` is
    the first byte of the upstream's answer, `ttft_us` its first meaningful event.
    Costs are nano-dollars (`_nusd`). `error_code` is a stable code of `core.errors`;
    `status` is what the caller was answered (499: it left before the end).
    """

    # The order is that of a line: fields are neither moved nor taken away.
    request_id: str
    ts_ms: int
    latency_us: int
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
    caller_id: str
    caller_user: str
    caller_project: str
    caller_environment: str
    token_id: str
    client: str
    inbound_dialect: str
    status: int
    attempts: int
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
    price_fingerprint: str | None = None


_FIELDS: Final = msgspec.structs.fields(UsageRecord)
MEASURES: Final = 14
"""How many of a record's fields are measures; the rest are labels."""
_CALLER_LABELS: Final = 5
MEASURE_NAMES: Final = tuple(field.name for field in _FIELDS[:MEASURES])
_Count = int | None
CallMeasures = tuple[
    str, int, int, _Count, _Count, _Count, _Count, _Count, _Count, _Count, _Count,
    _Count, _Count, _Count,
]  # fmt: skip
"""The measures of one call, in the order of `MEASURE_NAMES`."""

# Of a longer array, what has no field here is passed over without a look.
_Measures = msgspec.defstruct(
    "_Measures",
    [(field.name, field.type) for field in _FIELDS[:MEASURES]],
    frozen=True,
    array_like=True,
    gc=False,
)
_Labels = msgspec.defstruct(
    "_Labels",
    [(field.name, field.type) for field in _FIELDS[MEASURES:]],
    frozen=True,
    array_like=True,
    forbid_unknown_fields=True,
)
_OldRecord = msgspec.defstruct(
    "_OldRecord",
    [
        (field.name, field.type, field.default)
        if field.default is not msgspec.NODEFAULT
        else (field.name, field.type)
        for field in _FIELDS
    ],
    kw_only=True,
)
_decode_array = msgspec.json.Decoder(UsageRecord).decode
_decode_object = msgspec.json.Decoder(_OldRecord).decode
_decode_measures = msgspec.json.Decoder(_Measures).decode
_decode_labels = msgspec.json.Decoder(_Labels).decode
_values: Final[Callable[[object], Measures]] = msgspec.structs.astuple  # type: ignore[assignment]  # its parameter is any struct

encode_record: Final = msgspec.json.Encoder().encode


def decode_record(line: bytes) -> UsageRecord:
    """Return the record of one line; `msgspec.DecodeError` where it is none.

    Until version 0.1 a line was an object; such leftovers are read all the same.
    """
    if line[:1] == b"{":
        return UsageRecord(**msgspec.structs.asdict(_decode_object(line)))
    return _decode_array(line)


def split_lines(lines: list[bytes]) -> tuple[list[Measures], list[Labels]]:
    """Return the measures of each line, and the rest of it, which is its labels.

    Raise `msgspec.DecodeError` where a line's measures are none. The labels are not
    looked at: `check_labels` is for those, once for all lines that share them. Labels
    that pass it were cut out at the right place, whatever the line began with: had an
    id with a comma moved the cut, they would begin with a number or `null`.
    """
    measures = [_values(_decode_measures(line)) for line in lines]
    return measures, [line.split(b",", MEASURES)[-1] for line in lines]


def check_labels(labels: Labels) -> None:
    """Raise `msgspec.DecodeError` unless `labels` are those of a line."""
    _decode_labels(b"[" + labels)


def caller_labels(
    caller_id: str, user: str, project: str, environment: str, *, token_id: str
) -> bytes:
    """Return the labels that say whose a call was, as they stand in a line."""
    return encode_record((caller_id, user, project, environment, token_id))[1:-1]


def other_labels(record: UsageRecord) -> bytes:
    """Return the labels of `record` that do not say whose it is, up to the end."""
    return encode_record(_values(record)[MEASURES + _CALLER_LABELS :])[1:]


def join_line(measures: Measures, caller: bytes, others: bytes) -> bytes:
    """Return the line that `split_lines` takes apart."""
    return b"%b,%b,%b" % (encode_record(measures)[:-1], caller, others)


def split_record(record: UsageRecord) -> tuple[Measures, Labels]:
    """Return what `split_lines` returns for the line of `record`."""
    values = _values(record)
    return values[:MEASURES], encode_record(values[MEASURES:])[1:]
