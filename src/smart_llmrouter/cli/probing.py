"""Runs the questions of `smart-llmrouter probe`, and writes what was found."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import typer

from smart_llmrouter.bootstrap.transports import open_transport
from smart_llmrouter.config.snapshot import Target, Upstream
from smart_llmrouter.core.build_info import read_build_info
from smart_llmrouter.dialects.registry import DIALECTS
from smart_llmrouter.engine.probe_questions import Question, questions
from smart_llmrouter.engine.probe_report import (
    Difference,
    Value,
    configuration_of,
    differences,
)
from smart_llmrouter.engine.probing import Finding, Prober, TargetUnusable

_INDENT: Final = "  "


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Who is asked, how much, and how the answer is written."""

    target: Target
    upstream: Upstream
    output_tokens: int
    timeout_s: float
    image_url: str | None
    as_json: bool

    @property
    def questions(self) -> list[Question]:
        """What is asked."""
        return questions(
            self.target.provider.dialect,
            output_tokens=self.output_tokens,
            image_url=self.image_url,
        )

    @property
    def most_output_tokens(self) -> int:
        """How much output all answers together may have."""
        return sum(each.request.output_cap or 0 for each in self.questions)


def probed(probe: Probe) -> bool:
    """Ask, write what was found, and say whether the configuration differs.

    Exits with 1 where the target does not answer a plain question.
    """
    target, count = probe.target, len(probe.questions)
    typer.echo(
        f"{target.label} ({target.provider.dialect}): {count} requests,"
        f" {probe.most_output_tokens} output tokens at most",
        err=probe.as_json,
    )
    try:
        found = asyncio.run(_found(probe))
    except TargetUnusable as unusable:
        typer.echo(f"error: {target.label} cannot be asked: {unusable}", err=True)
        raise typer.Exit(1) from None
    fitting, different = configuration_of(target, found), differences(target, found)
    if probe.as_json:
        typer.echo(_as_json(probe, found, fitting, different))
    else:
        typer.echo(_as_text(target, found, fitting, different))
    return bool(different)


async def _found(probe: Probe) -> list[Finding]:
    async with open_transport(probe.upstream) as transport:
        prober = Prober(
            probe.target,
            DIALECTS[probe.target.provider.dialect],
            transport,
            user_agent=read_build_info().user_agent,
            timeout_s=probe.timeout_s,
        )
        return await prober.findings(probe.questions)


def _as_json(
    probe: Probe,
    found: Sequence[Finding],
    fitting: Mapping[str, Value],
    different: Sequence[Difference],
) -> str:
    document = {
        "target": probe.target.label,
        "dialect": probe.target.provider.dialect,
        "requests": len(probe.questions),
        "output_tokens_at_most": probe.most_output_tokens,
        "found": {
            each.name: {"outcome": each.outcome, "detail": each.detail}
            for each in found
        },
        "configuration": fitting,
        "differences": [
            {"key": each.key, "configured": each.configured, "found": each.found}
            for each in different
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _as_text(
    target: Target,
    found: Sequence[Finding],
    fitting: Mapping[str, Value],
    different: Sequence[Difference],
) -> str:
    width = max(len(each.name) for each in found)
    lines = [""]
    lines += [
        f"{each.name:{width}}  {each.outcome:7}  {each.detail}".rstrip()
        for each in found
    ]
    lines += ["", "The configuration that fits:", ""]
    provider = target.provider.name
    for depth, name in enumerate(("providers", provider, "models", target.key)):
        lines.append(f"{depth * _INDENT}{name}:")
    lines += [
        f"{4 * _INDENT}{key}: {_inline(value)}"
        for key, value in fitting.items()
        if value is not None
    ]
    lines += ["", *_told(different)]
    return "\n".join(lines)


def _told(different: Sequence[Difference]) -> list[str]:
    if not different:
        return ["The present configuration says the same."]
    return [
        "The present configuration differs:",
        "",
        *(
            f"{_INDENT}{each.key}: it says {_inline(each.configured)},"
            f" and was found to be {_inline(each.found)}"
            for each in different
        ),
    ]


def _inline(value: Value) -> str:
    """Return a value as YAML writes it in one line."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(value)}]"
    if isinstance(value, str):
        return value
    inner = (f"{key}: {_inline(each)}" for key, each in value.items())
    return "{" + ", ".join(inner) + "}"
