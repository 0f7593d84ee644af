"""The page that leads from a request id or an error code to the reason.

Its tables and its example are derived from the code, so that none of them is left
behind by a new error, requirement or class of failure: a test makes the page.
"""

import inspect
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from smart_llmrouter.core import errors, requirements
from smart_llmrouter.core.decisions import AttemptRun, Candidate, Decision, Needs
from smart_llmrouter.core.errors.targets import hint_for
from smart_llmrouter.ledger.render_decision import render_decision
from smart_llmrouter.upstream.failure_classes import MEANINGS

_TEXT: Final = Path(__file__).with_name("troubleshooting.md")
_REMEDIES: Final = Path(__file__).with_name("troubleshooting.toml")
_CODE_LINE: Final = re.compile(r"^    (\S.*?) {2,}\S", re.MULTILINE)
NEEDS: Final = Needs(
    dialect="openai-chat",
    stream=True,
    tools=("function",),
    tool_count=2,
    tool_schema_bytes=412,
    forced_choice=False,
    parallel_tools=False,
    output_format=None,
    image_urls=0,
    image_data=1,
    image_files=0,
    audio=False,
    documents=0,
    reasoning=None,
    reasoning_level=None,
    reasoning_budget=None,
    output_cap=1024,
    estimated_input_tokens=1830,
    request_bytes=96_204,
    goes_on=False,
)
LIMITED: Final = AttemptRun(
    label="acme/large",
    lane="relay",
    began_us=210,
    duration_us=41_700,
    first_byte_us=41_600,
    first_event_us=None,
    status=429,
    error_class="upstream_rate_limited",
    retry_after_s=20,
    then="next-target",
)
EXAMPLE: Final = Decision(
    group="chat",
    strategy="failover",
    needs=NEEDS,
    candidates=(
        Candidate(
            label="acme/mini",
            dialect="openai-chat",
            lane="relay",
            weight=1,
            missing=("image",),
        ),
        Candidate(
            label="acme/large", dialect="openai-chat", lane="relay", weight=1, rank=0
        ),
        Candidate(
            label="other/vision",
            dialect="anthropic-messages",
            lane="translate",
            weight=1,
            rank=1,
        ),
    ),
    attempts=(
        LIMITED,
        msgspec.structs.replace(
            LIMITED,
            label="other/vision",
            lane="translate",
            began_us=42_100,
            duration_us=913_000,
            first_byte_us=366_000,
            first_event_us=368_000,
            status=200,
            error_class=None,
            retry_after_s=None,
            then="answered",
        ),
    ),
)


def troubleshooting_page() -> str:
    """Return the whole page; it cannot be made where a code has no remedy."""
    remedies = tomllib.loads(_REMEDIES.read_text(encoding="utf-8"))
    parts = {
        "example": render_decision(EXAMPLE, to="table"),
        "errors": "".join(_errors(remedies["errors"])),
        "requirements": "".join(_requirements()),
        "classes": "".join(_classes(remedies)),
    }
    page = _TEXT.read_text(encoding="utf-8")
    for name, text in parts.items():
        page = page.replace("{{" + name + "}}", text)
    return page


def _errors(remedies: Mapping[str, str]) -> Iterator[str]:
    for code in _codes(errors.RouterError):
        yield f"| `{code}` | {remedies[code]} |\n"


def _codes(tree: type[errors.RouterError]) -> list[str]:
    """Return the codes of all errors that are really raised, each once."""
    below = tree.__subclasses__()
    found = [code for each in below for code in _codes(each)] or [tree.code]
    return sorted(set(found), key=found.index)


def _requirements() -> Iterator[str]:
    text = inspect.getdoc(requirements) or ""
    for codes in _CODE_LINE.findall(text):
        for code in codes.split(", "):
            yield f"| `{code}` | {hint_for(code)} |\n"


def _classes(remedies: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    for name, meaning in MEANINGS.items():
        follows, remedy = remedies["follows"][meaning.then], remedies["classes"][name]
        yield f"| `{name}` | {meaning.what} | {follows} | {remedy} |\n"
