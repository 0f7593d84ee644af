"""A provider that compresses although nobody asked, through the whole router."""

import json
from pathlib import Path

from backports import zstd

from tests.support.gateway import configuration, provider, running_gateway
from tests.support.process import children
from tests.support.puppet import completion
from tests.support.upstream_server import Peer, plain, running_upstream


def mapped(pid: int) -> set[str]:
    """Return the files that a process and its children have in their memory."""
    found: set[str] = set()
    for each in (pid, *children(pid)):
        lines = Path(f"/proc/{each}/maps").read_text().splitlines()
        found |= {line.split()[-1] for line in lines if "/" in line}
    return found


async def test_zstd_is_loaded_when_the_first_such_answer_comes(tmp_path: Path) -> None:
    """A router on its defaults does without the library until it needs it."""
    head, _, body = completion("hello").partition(b"\r\n\r\n")
    small = plain(
        zstd.compress(body), "Content-Type: application/json", "Content-Encoding: zstd"
    )
    answers = iter([head + b"\r\n\r\n" + body, small])

    async def play(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(next(answers))

    async with (
        running_upstream(play) as upstream,
        running_gateway(
            tmp_path,
            configuration({"acme": provider(f"http://127.0.0.1:{upstream.port}/v1")}),
        ) as gateway,
    ):
        request = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}
        async with gateway.http() as http:
            first = await http.post("/v1/chat/completions", json=request)
            before = mapped(gateway.pid)
            second = await http.post("/v1/chat/completions", json=request)
            after = mapped(gateway.pid)

        assert [first.status_code, second.status_code] == [200, 200]
        assert second.json()["choices"] == json.loads(body)["choices"]
        assert [each for each in before if "_zstd." in each] == []
        assert [each for each in after if "_zstd." in each]
