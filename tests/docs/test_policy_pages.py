"""The pages about policies: what they show and promise is tried here."""

import asyncio
import json
import re
import runpy
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final, get_args
from urllib.request import Request, urlopen

import pytest

from smart_llmrouter.config.load import Loaded, load_reading
from smart_llmrouter.config.policies import External, Script
from smart_llmrouter.config.reader import read_bytes
from smart_llmrouter.config.snapshot import Group, Snapshot
from smart_llmrouter.core.identity import Caller
from smart_llmrouter.core.requirements import Requirements
from smart_llmrouter.engine.policies.opening import policies_of
from smart_llmrouter.routing.policy import (
    FaultCode,
    Policy,
    Question,
    chosen,
)
from tests.support.gateway import free_port
from tests.support.policies import CALLER
from tests.support.repository import ROOT
from tests.support.transports import KINDS
from tests.support.wait import PATIENCE_S

EXAMPLES: Final = ROOT / "examples" / "policies"
PAGES: Final = {
    name: (ROOT / "docs" / f"routing-{name}.md").read_text(encoding="utf-8")
    for name in ("rules", "script", "external")
}
ENVIRONMENT: Final = {"ACME_API_KEY": "a", "OTHER_API_KEY": "b"}
MINI, LARGE, CODER = "acme/mini", "acme/large", "other/coder"


def example() -> Loaded:
    """Load the example as the router would."""
    text = (EXAMPLES / "router.yaml").read_bytes()
    return load_reading(
        read_bytes(text, file="router.yaml"), environment=ENVIRONMENT, beside=EXAMPLES
    )


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    """Return the example, compiled."""
    loaded = example()
    assert loaded.snapshot is not None, loaded.findings
    return loaded.snapshot


def patient(group: Group) -> Group:
    """Return a group whose policy may take its time: this machine may be busy."""
    if isinstance(group.policy, Script | External):
        return replace(group, policy=replace(group.policy, timeout_ms=30_000))
    return group


@asynccontextmanager
async def opened(snapshot: Snapshot, name: str) -> AsyncGenerator[Policy]:
    """Open the policy of one group."""
    only = replace(snapshot, groups={name: patient(snapshot.groups[name])})
    async with (
        KINDS[1].open() as transport,
        policies_of(only, transport, user_agent="tests/1") as policies,
    ):
        yield policies[name]


def asked(
    group: Group,
    *,
    caller: Caller = CALLER,
    tokens: int,
    **needs: Any,  # noqa: ANN401 - whatever a request needs
) -> Question:
    """Return a question about a request of `tokens` tokens."""
    return Question(
        group=group,
        needs=Requirements(
            body=b"{}", dialect="openai-chat", _estimate=tokens, **needs
        ),
        eligible=group.targets,
        caller=caller,
        client="other",
        requested_model=group.name,
    )


async def decided(policy: Policy, question: Question) -> tuple[list[str], str | None]:
    """Return the order that a policy gives, and its label."""
    verdict = await policy.decide(question)
    targets = chosen(verdict, question.eligible)
    return [target.label for target in targets], verdict.class_label


def test_the_example_is_right() -> None:
    """`config check` has nothing to say about it."""
    assert example().findings == ()


REQUESTS: Final[dict[str, dict[str, Any]]] = {
    "a question": {"tokens": 500},
    "of the project `batch`": {
        "tokens": 500,
        "caller": replace(CALLER, project="batch"),
    },
    "with tools, 30,000 tokens": {"tokens": 30_000, "tool_count": 3},
    "with `reasoning_effort: high`": {
        "tokens": 500,
        "reasoning": "effort",
        "reasoning_level": "high",
    },
}


def rows(page: str, heading: str) -> Iterator[list[str]]:
    """Yield the rows of the table whose head begins with `heading`."""
    _, _, after = page.partition(f"| {heading} |")
    for line in after.split("\n")[2:]:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


async def test_rules_decide_as_the_page_says(snapshot: Snapshot) -> None:
    """Each row of the table is a request that is decided."""
    table = list(rows(PAGES["rules"], "request"))
    group = snapshot.groups["ruled"]

    async with opened(snapshot, "ruled") as policy:
        found = []
        for request, _, _ in table:
            order, label = await decided(policy, asked(group, **REQUESTS[request]))
            written = ", ".join(f"`{each}`" for each in order)
            found.append([request, written, f"`{label}`" if label else ""])

    assert len(table) == len(REQUESTS)
    assert found == table


def test_the_expressions_of_the_page_compile() -> None:
    """What stands in the table can be written in a rule."""
    from smart_llmrouter.config.expressions import Expression  # noqa: PLC0415 - large

    cells = [row[1] for row in rows(PAGES["rules"], "to say")]
    expressions = [
        each.replace("\\|", "|")
        for cell in cells
        for each in re.findall("`(.+?)`", cell)
    ]

    assert len(expressions) > len(cells)
    for expression in expressions:
        assert Expression(expression).names, expression


async def test_the_script_decides_as_the_page_says(snapshot: Snapshot) -> None:
    """Short requests to the cheapest target, long ones to the widest."""
    group = snapshot.groups["scripted"]

    async with opened(snapshot, "scripted") as policy:
        short = await decided(policy, asked(group, tokens=812))
        long = await decided(policy, asked(group, tokens=30_000))

    assert short == ([MINI, LARGE, CODER], "short")
    assert long == ([LARGE, MINI, CODER], "long")


def test_the_script_can_be_tried_without_a_router() -> None:
    """The snippet of the page runs beside the file."""
    (snippet,) = (
        each
        for each in re.findall(r"```python\n(.+?)```", PAGES["script"], re.DOTALL)
        if "import route" in each
    )

    run = subprocess.run(
        [sys.executable, "-B", "-c", snippet],
        cwd=EXAMPLES,
        capture_output=True,
        check=True,
        timeout=2 * PATIENCE_S,
    )

    assert run.stdout.decode().strip() == str(
        {"target": "acme/mini", "classLabel": "short"}
    )


@asynccontextmanager
async def service() -> AsyncGenerator[str]:
    """Run the policy service of the examples as the page does, on a free port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / "prompt_size_service.py"),
        "--port",
        str(free_port()),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        await process.wait()


async def test_the_service_decides_as_the_page_says(snapshot: Snapshot) -> None:
    """Light prompts to the cheapest target, heavy ones to the dearest."""
    group = snapshot.groups["asked"]
    assert isinstance(group.policy, External)

    async with service() as url:
        here = replace(group, policy=replace(group.policy, url=url))
        there = replace(snapshot, groups={"asked": here})
        async with opened(there, "asked") as policy:
            light = await decided(policy, asked(group, tokens=8_000))
            heavy = await decided(policy, asked(group, tokens=8_001))

    assert light == ([MINI, CODER, LARGE], "light")
    assert heavy == ([LARGE, MINI, CODER], "heavy")


async def test_the_service_can_be_asked_by_hand() -> None:
    """The question of the page has the answer of the page."""
    page = PAGES["external"]
    question = page.partition("-d '")[2].partition("'")[0]
    answer = page.partition("```json\n")[2].partition("```")[0]

    async with service() as url:
        posted = Request(url, data=question.encode())  # noqa: S310 - our own
        given = await asyncio.to_thread(
            lambda: urlopen(posted, timeout=PATIENCE_S).read()  # noqa: S310 - our own
        )

    assert json.loads(given) == json.loads(answer)


async def test_the_service_refuses_what_is_no_question() -> None:
    """It has a path of its own, and wants targets."""
    async with service() as url:
        statuses = [
            await _status(address, body)
            for address, body in [
                (url, b"{}"),
                (url, b"no JSON"),
                (url.replace("/route", "/elsewhere"), b"{}"),
            ]
        ]

    assert statuses == [400, 400, 404]


async def _status(url: str, body: bytes) -> int:
    import httpx2  # noqa: PLC0415 - for this test alone

    async with httpx2.AsyncClient(trust_env=False) as client:
        return (await client.post(url, content=body)).status_code


def test_the_examples_can_be_read_without_being_run() -> None:
    """Importing the service starts nothing."""
    names = runpy.run_path(str(EXAMPLES / "prompt_size_service.py"))

    assert callable(names["main"])


def test_each_fault_is_on_the_pages() -> None:
    """Whatever can stand in a record as a policy's fault is explained."""
    told = {
        name: {row[0].strip("`") for row in rows(page, "`error`")}
        for name, page in PAGES.items()
    }

    assert set().union(*told.values()) == set(get_args(FaultCode))
    assert told["rules"] == {"raised", "malformed"}
