"""The one record that each call leaves behind, and its line in the journal.

It holds ids, names, numbers and fingerprints only. There is no field that could hold
a prompt, an answer, a credential or an upstream's free text.

A line is a JSON array of a record's values in the order of its fields. The measures
come first, which differ from call to call; the labels follow, which many calls share
to the byte, so that a reader need not look into those that it has seen before.

What is rare is not in every line. Of a call that wrote into its provider's cache, was
charged otherwise than by its usage, waited for its turn, or has costs of a rare kind,
the id stands in an array with what that came to, up to the last that is known. Of the
last nine labels those are left out that are as usual. So a line of before there were
any of these is a line of today.
Behind the record there may be how the call was decided: see `ledger.decision_line`.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import msgspec

from smart_llmrouter.core.decisions import LaneName
from smart_llmrouter.core.notes import Note
from smart_llmrouter.stores.usage_store import Labels, Measures

Disconnect = Literal["cancelled", "drained"]
"""What became of the target's answer when the caller had left."""


class UsageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One finished call. `None` means unknown or not applicable, never zero.

    `ts_ms` is when the call began, in milliseconds since 1970 UTC. Durations are
    microseconds (`_us`) from the first byte of the request; `latency_us` ends when the
    record is written, just before the last byte of the answer leaves. `ttfb_us` is
    the first byte of the upstream's answer, `ttft_us` its first meaningful event.
    Costs are nano-dollars (`_nusd`). `error_code` is a stable code of `core.errors`;
    `status` is what the caller was answered (499: it left before the end). `lane` means
    nothing without a target. `notes` are the fields that a translation could not carry
    as they were. `attempts` counts all attempts, several on one target too;
    `fallback_used` says whether more than one target was tried. `disconnect` is `None`
    where the caller stayed, or left while no target was answering.

    `charged_tokens` and `charged_cost_nusd` are what budgets were charged, where that
    is not the usage above: of a call that was cut off it is what it may have used.
    `queued_us` is how long it waited for its turn, `None` where it did not.
    `reasoning_cost_nusd` is that part of the output's cost which is of reasoning, and
    `image_cost_nusd` what images of the input cost. `failed_attempts_cost_nusd` is what
    other attempts than the last one cost, as far as their usage is known.
    `refused_by` is the limit that refused it, and `budget_warning` the budget of which
    it was the first of its period to be above the mark: the kind of the scope and the
    limit, such as `caller:rpm` and `group:day.usd`, never whose they are. `cache` is
    what the response cache did, and `cache_reason` why; both are `None` where none is.
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
    cache_write_5m_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    cache_write_cost_nusd: int | None = None
    charged_tokens: int | None = None
    charged_cost_nusd: int | None = None
    queued_us: int | None = None
    reasoning_cost_nusd: int | None = None
    image_cost_nusd: int | None = None
    failed_attempts_cost_nusd: int | None = None
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
    lane: LaneName = "relay"
    usage_estimated: bool = False
    notes: tuple[Note, ...] = ()
    fallback_used: bool = False
    disconnect: Disconnect | None = None
    refused_by: str | None = None
    budget_warning: str | None = None
    cache: str | None = None
    cache_reason: str | None = None


_FIELDS: Final = msgspec.structs.fields(UsageRecord)
MEASURES: Final = 14
"""How many of a record's first fields are measures that every line has."""
_WRITES, _CHARGES, _RARE = 3, 6, 9
"""Up to where what is rare is written: writes, charges with the wait, and costs."""
_NOTHING_RARE: Final = (None,) * _RARE
_LONG: Final = MEASURES + len(_NOTHING_RARE)
_LONG_BEGINS: Final = b"[["
_CALLER_LABELS: Final = 5
_USUAL_ENDS: Final = (None, None, None, None, None, False, (), False, "relay")
"""The last labels, from the end, where they are left out."""
MEASURE_NAMES: Final = tuple(field.name for field in _FIELDS[:MEASURES])
_RARE_NAMES: Final = tuple(field.name for field in _FIELDS[MEASURES:_LONG])
_VALUE_NAMES: Final = (*MEASURE_NAMES, *(field.name for field in _FIELDS[_LONG:]))

_Count = int | None
Charges = tuple[str, _Count, _Count, _Count, _Count, _Count, _Count]
RareCall = (
    tuple[str, _Count, _Count, _Count]
    | Charges
    | tuple[str, _Count, _Count, _Count, _Count, _Count, _Count, _Count, _Count, _Count]
)
"""The id of a call, and what is rare: its writes into a cache, tokens for 5 minutes and
1 hour and cost; where there is more, tokens and cost charged, and its wait; and then
the costs of reasoning, of images, and of attempts that failed."""
CallMeasures = tuple[
    str | RareCall, int, int, _Count, _Count, _Count, _Count, _Count, _Count,
    _Count, _Count, _Count, _Count, _Count,
]  # fmt: skip
"""The measures of one call, in the order of `MEASURE_NAMES`."""

_MEASURE_FIELDS: Final = [(field.name, field.type) for field in _FIELDS[:MEASURES]]
_OTHER_MEASURES: Final = _MEASURE_FIELDS[1:]
_LABEL_FIELDS: Final = [
    *((field.name, field.type) for field in _FIELDS[_LONG : -len(_USUAL_ENDS)]),
    *(
        (field.name, field.type, field.default)
        for field in _FIELDS[-len(_USUAL_ENDS) :]
    ),
]


def _array(name: str, fields: list[Any], *, whole: bool) -> type[msgspec.Struct]:
    """Return what an array is decoded into, or where not `whole` the start of one."""
    return msgspec.defstruct(
        name,
        fields,
        frozen=True,
        array_like=True,
        forbid_unknown_fields=whole,
        gc=False,
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
    # A row of an export has most of these fields and some of its own.
    forbid_unknown_fields=True,
)
_RareCall = _array(
    "_RareCall",
    [
        ("request_id", str),
        *((name, _Count) for name in _RARE_NAMES[:_WRITES]),
        *((name, _Count, None) for name in _RARE_NAMES[_WRITES:]),
    ],
    whole=True,
)
_LONG_FIELDS: Final = [("call", _RareCall), *_OTHER_MEASURES]
# Of a longer array, what has no field here is passed over without a look.
_Measures = _array("_Measures", _MEASURE_FIELDS, whole=False)
_LongMeasures = _array("_LongMeasures", _LONG_FIELDS, whole=False)
_Beginning = _array(
    "_Beginning", [("call", str | _RareCall), ("ts_ms", int)], whole=False
)
_Labels = _array("_Labels", _LABEL_FIELDS, whole=True)
_Line = _array("_Line", [*_MEASURE_FIELDS, *_LABEL_FIELDS], whole=True)
_LongLine = _array("_LongLine", [*_LONG_FIELDS, *_LABEL_FIELDS], whole=True)

_decode_object = msgspec.json.Decoder(_OldRecord).decode
_decode_measures = msgspec.json.Decoder(_Measures).decode
_decode_long_measures = msgspec.json.Decoder(_LongMeasures).decode
_decode_beginning = msgspec.json.Decoder(_Beginning).decode
_decode_labels = msgspec.json.Decoder(_Labels).decode
_decode_line = msgspec.json.Decoder(_Line).decode
_decode_long_line = msgspec.json.Decoder(_LongLine).decode
_encode: Final = msgspec.json.Encoder().encode
_values: Final[Callable[[msgspec.Struct], Any]] = msgspec.structs.astuple


def named_measures(measures: CallMeasures) -> dict[str, Any]:
    """Return the fields of a record that measures are."""
    first, *others = measures
    request_id, *rare = (first,) if isinstance(first, str) else first
    return {
        **dict(zip(MEASURE_NAMES, (request_id, *others), strict=True)),
        **dict(zip(_RARE_NAMES, rare, strict=False)),
    }


def encode_record(record: UsageRecord) -> bytes:
    """Return the line of `record`."""
    values = _values(record)
    measures, rare = values[:MEASURES], values[MEASURES:_LONG]
    if rare != _NOTHING_RARE:
        for end in (_CHARGES, _WRITES):
            if rare[end:] == _NOTHING_RARE[: len(rare) - end]:
                rare = rare[:end]
        measures = ((measures[0], *rare), *measures[1:])
    return b"%b,%b" % (_encode(measures)[:-1], _encode_labels(values[_LONG:]))


def _encode_labels(values: Sequence[object]) -> bytes:
    """Return labels as they stand in a line, up to its end."""
    for usual in _USUAL_ENDS:
        if values[-1] != usual:
            break
        values = values[:-1]
    return _encode(values)[1:]


def decode_record(line: bytes) -> UsageRecord:
    """Return the record of one line; `msgspec.DecodeError` where it is none.

    Until version 0.1 a line was an object; such leftovers are read all the same.
    """
    if line[:1] == b"{":
        return UsageRecord(**msgspec.structs.asdict(_decode_object(line)))
    if line[:2] == _LONG_BEGINS:
        call, *others = _values(_decode_long_line(line))
        (request_id, *rare), names = _values(call), (*_RARE_NAMES, *_VALUE_NAMES)
        values = (*rare, request_id, *others)
    else:
        names, values = _VALUE_NAMES, _values(_decode_line(line))
    return UsageRecord(**dict(zip(names, values, strict=True)))


def split_lines(lines: list[bytes]) -> tuple[list[Measures], list[Labels]]:
    """Return the measures of each line, and the rest of it, which is its labels.

    Raise `msgspec.DecodeError` where a line's measures are none. The labels are not
    looked at: `check_labels` is for those, once for all lines that share them. Labels
    that pass it were cut out at the right place, whatever the line began with: had an
    id with a comma moved the cut, they would begin with a number or `null`.
    """
    try:
        measures = [_values(_decode_measures(line)) for line in lines]
    except msgspec.ValidationError:
        return _split_one_by_one(lines)
    return measures, [line.split(b",", MEASURES)[-1] for line in lines]


def _split_one_by_one(lines: list[bytes]) -> tuple[list[Measures], list[Labels]]:
    measures, labels = [], []
    for line in lines:
        if line[:2] == _LONG_BEGINS:
            call, *others = _values(_decode_long_measures(line))
            request_id, *rare = _values(call)
            measures.append((request_id, *others, *rare))
            known = line.count(b",", 0, line.index(b"]"))
            labels.append(line.split(b",", MEASURES + known)[-1])
        else:
            measures.append(_values(_decode_measures(line)))
            labels.append(line.split(b",", MEASURES)[-1])
    return measures, labels


def call_of(line: bytes) -> tuple[str, int]:
    """Return the id of a line's call, and when that began; the rest is not looked at.

    Raises as `split_lines` does.
    """
    call, ts_ms = _values(_decode_beginning(line))
    return (call if isinstance(call, str) else _values(call)[0]), ts_ms


def check_labels(labels: Labels) -> None:
    """Raise `msgspec.DecodeError` unless `labels` are those of a line."""
    _decode_labels(b"[" + labels)


def caller_labels(
    caller_id: str, user: str, project: str, environment: str, *, token_id: str
) -> bytes:
    """Return the labels that say whose a call was, as they stand in a line."""
    return _encode((caller_id, user, project, environment, token_id))[1:-1]


def other_labels(record: UsageRecord) -> bytes:
    """Return the labels of `record` that do not say whose it is, up to the end."""
    return _encode_labels(_values(record)[_LONG + _CALLER_LABELS :])


def join_line(measures: CallMeasures, caller: bytes, others: bytes) -> bytes:
    """Return the line that `split_lines` takes apart."""
    return b"%b,%b,%b" % (_encode(measures)[:-1], caller, others)


def split_record(record: UsageRecord) -> tuple[Measures, Labels]:
    """Return what `split_lines` returns for the line of `record`."""
    values = _values(record)
    long = values[MEASURES:_LONG] != _NOTHING_RARE
    return values[: _LONG if long else MEASURES], _encode_labels(values[_LONG:])
