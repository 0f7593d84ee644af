"""Whatever becomes of the attempts, a caller sees one whole answer, or one error."""

import json
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smart_llmrouter.mockprovider.script import Raw, Step, StreamError
from tests.conftest import SOAK
from tests.support.gateway import configuration, provider, token
from tests.support.mock import Mock, running_mock
from tests.support.router import Router, on_its_own_loop, serving
from tests.support.wait import PATIENCE_S, eventually_sync

MOST_ATTEMPTS: Final = 4
_NO_REST: Final = {"min_s": 0.001, "max_s": 0.001}
_BACKOFF: Final = {
    "on_429": _NO_REST,
    "on_quota": _NO_REST,
    "on_failure": {"failures": 1000, **_NO_REST},
}
_HTML: Final = Raw(headers={"content-type": "text/event-stream"}, body="data: <p>\n\n")
SAID: Final = [{"role": "user", "content": "hi"}]


class Surface(NamedTuple):
    """How a dialect is asked, and what its streams end with."""

    path: str
    body: dict[str, Any]
    whole: tuple[bytes, ...]
    broken: tuple[bytes, ...]


SURFACES: Final = {
    "openai-chat": Surface(
        "/v1/chat/completions", {"messages": SAID}, (b"data: [DONE]",), (b'"error":{',)
    ),
    "openai-responses": Surface(
        "/v1/responses",
        {"input": "hi"},
        (b"event: response.completed", b"event: response.incomplete"),
        (b"event: response.failed", b"event: error"),
    ),
    "anthropic-messages": Surface(
        "/v1/messages",
        {"messages": SAID, "max_tokens": 64},
        (b"event: message_stop",),
        (b"event: error",),
    ),
}

outcomes = st.one_of(
    st.just(Step()),
    st.sampled_from([400, 401, 402, 403, 404, 408, 413, 500, 503, 504, 529]).map(
        lambda status: Step(status=status)
    ),
    st.sampled_from([None, 0, 5]).map(lambda wait: Step(status=429, retry_after=wait)),
    st.builds(Step, hang_up_at_byte=st.sampled_from([0, 20]), rst=st.booleans()),
    st.builds(Step, hang_up_after_events=st.integers(0, 6), rst=st.booleans()),
    st.integers(0, 6).map(
        lambda at: Step(error_in_stream=StreamError(after_events=at))
    ),
    st.integers(0, 6).map(lambda at: Step(end_after_events=at, no_done=True)),
    st.just(Step(malformed_json=True)),
    st.just(Step(malformed_http="status-line")),
    st.just(Step(raw=_HTML)),
)


class Scene(NamedTuple):
    """A router with two targets of different dialects, which one mock plays."""

    router: Router
    mock: Mock
    client: httpx2.Client


@contextmanager
def scene_in(directory: Path) -> Generator[Scene]:
    """Run mock and router on loops of their own."""
    with ExitStack() as opened:
        mock = opened.enter_context(on_its_own_loop(running_mock()))
        providers = {
            name: provider(mock.base_url, dialect=dialect, backoff=_BACKOFF)
            for name, dialect in (
                ("one", "openai-chat"),
                ("two", "anthropic-messages"),
            )
        }
        configured = configuration(providers)
        configured["groups"]["chat"] |= {
            "same_target_retries": 1,
            "max_attempts": MOST_ATTEMPTS,
        }
        router = opened.enter_context(on_its_own_loop(serving(directory, configured)))
        headers = {"authorization": f"Bearer {token()}"}
        client = opened.enter_context(
            httpx2.Client(base_url=router.url, headers=headers, timeout=PATIENCE_S)
        )
        yield Scene(router, mock, client)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Generator[Scene]:
    """Return the scene of all examples."""
    with scene_in(tmp_path_factory.mktemp("attempts")) as running:
        yield running


def ends_of(stream: bytes, marks: tuple[bytes, ...]) -> int:
    """Count the events of a stream that begin with one of `marks`, or hold one."""
    events = stream.split(b"\n\n")
    return sum(any(mark in event for mark in marks) for event in events)


def is_whole(answer: httpx2.Response, surface: Surface, *, stream: bool) -> bool:
    """Say whether an answer is a whole one; it must be that, or one error."""
    if not stream or answer.status_code != 200:
        told = json.loads(answer.content)
        assert ("error" in told and told["error"] is not None) == (
            answer.status_code != 200
        )
        return answer.status_code == 200
    whole = ends_of(answer.content, surface.whole)
    broken = ends_of(answer.content, surface.broken)
    assert (whole, broken) in {(1, 0), (0, 1)}, answer.text
    last = answer.content.rstrip().rsplit(b"\n\n", 1)[-1]
    assert any(mark in last for mark in (*surface.whole, *surface.broken))
    return whole == 1


@pytest.mark.timeout(900 if SOAK else 300)
@settings(
    max_examples=2000 if SOAK else 60,
    deadline=None,
)
@given(
    dialect=st.sampled_from(sorted(SURFACES)),
    stream=st.booleans(),
    planned=st.lists(outcomes, max_size=5),
)
def test_one_whole_answer_or_one_error(
    scene: Scene, dialect: str, *, stream: bool, planned: list[Step]
) -> None:
    """In the caller's dialect; one row, and as many attempts as it says."""
    surface = SURFACES[dialect]
    scene.mock.server.provider.script.clear()
    scene.mock.will(*planned)
    asked_before = len(scene.mock.received)
    rows_before = len(scene.router.records())

    answer = scene.client.post(
        surface.path, json={"model": "chat", "stream": stream, **surface.body}
    )
    eventually_sync(lambda: len(scene.router.records()) > rows_before)

    (record,) = scene.router.records()[rows_before:]
    whole = is_whole(answer, surface, stream=stream)
    assert whole == (record.status == 200)
    assert answer.status_code in {record.status, 200}
    asked = len(scene.mock.received) - asked_before
    # A pooled connection that ends before any byte is no attempt of its own.
    sent_again = sum(step.hang_up_at_byte == 0 for step in planned)
    assert record.attempts <= asked <= record.attempts + sent_again
    assert record.attempts <= MOST_ATTEMPTS
    assert answer.headers.get("x-router-attempts", "0") == str(record.attempts)
    assert (record.error_code is None) == whole
