"""`smart-llmrouter usage request`: everything about one call."""

from smart_llmrouter.cli.failures import fail
from smart_llmrouter.cli.options import (
    DEFAULT_CONFIG,
    ConfigOption,
    ExplainFormat,
)
from smart_llmrouter.cli.usage_options import (
    OutOption,
    RequestFormatOption,
    RequestIdArgument,
)
from smart_llmrouter.cli.usage_reading import (
    caught_up,
    show,
    snapshot_of,
)


def request(
    request_id: RequestIdArgument,
    to_format: RequestFormatOption = ExplainFormat.TABLE,
    out: OutOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show one call: its record, and how it was decided.

    Each target with what it missed, scores, the policy's run and every attempt, where
    `diagnostics.decisions` has kept them. Waits as `usage report` does.
    """
    from smart_llmrouter.ledger.explained import explained
    from smart_llmrouter.ledger.render_decision import render_call

    def text() -> str:
        state = snapshot_of(config).state
        with caught_up(state, decided=True) as (connection, unread_bytes):
            call = explained(connection, request_id)
        if call is None:
            yet = (
                f"; {unread_bytes:,} bytes are not yet ingested" if unread_bytes else ""
            )
            fail(f"no call {request_id!r} is on record{yet}")
        return render_call(call, to=to_format.value)

    show(text, out=out, config=config)
