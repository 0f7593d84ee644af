"""`smart-llmrouter explain`: where a request would go, and why."""

import os
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from smart_llmrouter.cli.failures import ASKED_WRONGLY, fail
from smart_llmrouter.cli.options import DEFAULT_CONFIG, ConfigOption, ExplainFormat

if TYPE_CHECKING:
    from smart_llmrouter.config.snapshot import Snapshot
    from smart_llmrouter.core.identity import Caller
    from smart_llmrouter.engine.explaining import Explanation


class Spoken(StrEnum):
    """The dialect of a request."""

    OPENAI_CHAT = "openai-chat"
    OPENAI_RESPONSES = "openai-responses"
    ANTHROPIC_MESSAGES = "anthropic-messages"


RequestOption = Annotated[
    Path,
    typer.Option(
        "--request", help="The file with the body of the request; `-` reads stdin."
    ),
]
CallerOption = Annotated[
    str | None,
    typer.Option(
        "--caller",
        help="The id of the caller that sends it; otherwise the first that is active.",
    ),
]
DialectOption = Annotated[
    Spoken | None,
    typer.Option("--dialect", help="The dialect; otherwise the body shows it."),
]
ClientOption = Annotated[
    str,
    typer.Option("--client", help="The program that asks, such as `claude-code`."),
]
FormatOption = Annotated[
    ExplainFormat, typer.Option("--format", help="How to write the explanation.")
]
_MOST_NAMED: Final = 12


def explain(
    request: RequestOption,
    caller: CallerOption = None,
    dialect: DialectOption = None,
    client: ClientOption = "other",
    to_format: FormatOption = ExplainFormat.TABLE,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Say where a request would go, and why, by the configuration alone.

    Calls no provider, needs no running router, and charges nothing. A router that runs
    knows more: which targets rest, are full or were slow lately; ask it with
    `POST /v1/route/explain`. Exits with 1 where nobody would be called.
    """
    from smart_llmrouter.cli.logs import log_to_stderr  # isort: skip - before structlog

    import uvloop

    from smart_llmrouter.bootstrap.explaining import explain as explained
    from smart_llmrouter.config.findings import ConfigurationError
    from smart_llmrouter.core.errors import RouterError
    from smart_llmrouter.engine.policies.unusable import PolicyUnusable

    log_to_stderr()
    try:
        snapshot = _snapshot_of(config)
        explanation = uvloop.run(
            explained(
                snapshot,
                _read(request),
                caller=_caller_of(snapshot, caller),
                client=client,
                dialect=None if dialect is None else dialect.value,
            )
        )
    except ConfigurationError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except (RouterError, PolicyUnusable) as error:
        fail(str(error), code=ASKED_WRONGLY)
    except OSError as error:
        fail(f"{error.filename or 'input'}: {error.strerror}", code=ASKED_WRONGLY)
    typer.echo(_text(explanation, to=to_format), nl=False)
    if explanation.error is not None:
        raise typer.Exit(1)


def _snapshot_of(config: Path) -> "Snapshot":
    """Load a configuration; variables that are not set here are not needed."""
    from smart_llmrouter.config.load import load, load_snapshot

    findings = load(config, environment=os.environ).findings
    missing = [found.awaits for found in findings if found.awaits is not None]
    stand_ins: Mapping[str, str] = dict.fromkeys(missing, "not-needed-to-explain")
    return load_snapshot(config, environment={**os.environ, **stand_ins})


def _caller_of(snapshot: "Snapshot", name: str | None) -> "Caller":
    callers = snapshot.callers_by_digest.values()
    asking = next(
        (
            caller
            for caller in callers
            if (caller.status == "active" if name is None else caller.id == name)
        ),
        None,
    )
    if asking is None and name is None:
        fail("no caller is active; name one with --caller", code=ASKED_WRONGLY)
    if asking is None:
        known = ", ".join(sorted(caller.id for caller in callers)[:_MOST_NAMED])
        fail(
            f"no caller is called {name!r}; the callers are: {known}",
            code=ASKED_WRONGLY,
        )
    return asking


def _read(request: Path) -> bytes:
    if str(request) == "-":
        return sys.stdin.buffer.read()
    return request.read_bytes()


def _text(explanation: "Explanation", *, to: ExplainFormat) -> str:
    import msgspec

    from smart_llmrouter.ledger.render_decision import render_decision

    if to is ExplainFormat.JSON:
        encoded = msgspec.json.encode(explanation)
        return msgspec.json.format(encoded, indent=2).decode() + "\n"
    decided = render_decision(
        explanation.decision, to="table" if to is ExplainFormat.TABLE else "markdown"
    )
    if explanation.error is not None:
        told = explanation.error
        return f"{decided}\n{told.status} {told.code}: {told.message}\n"
    return f"{decided}\n{explanation.selected} would be called.\n"
