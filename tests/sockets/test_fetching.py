"""Fetching images that callers name: what is asked of whom, and what is refused."""

import asyncio
from base64 import b64encode
from typing import Final

import pytest

from smart_llmrouter.config.snapshot import Tls
from smart_llmrouter.core.errors import ImageNotFetched, ImageUrlForbidden
from smart_llmrouter.dialects.registry import DIALECTS
from smart_llmrouter.engine.images import MOST_IMAGES, ImageFetcher
from smart_llmrouter.upstream.fetching import NotFetched
from tests.support.fetching import IS_PNG, PNG, Resolver, asking, fetcher, home
from tests.support.upstream_server import (
    AUTHORITY,
    LAST_CHUNK,
    Peer,
    Script,
    answering,
    chunk,
    chunked,
    full_backlog,
    head,
    plain,
    refusing_port,
    running_upstream,
)
from tests.support.wait import PATIENCE_S

WEBP: Final = b"RIFF\x00\x00\x00\x00WEBPVP8 "
CHAT: Final = DIALECTS["openai-chat"]


async def reason(script: Script, *, resolver: Resolver | None = None) -> str:
    """Return why an image of a provider that plays `script` is not had."""
    async with running_upstream(script) as site:
        with pytest.raises(NotFetched) as failed:
            await fetcher(resolver or home()).fetch(
                f"http://images.example:{site.port}/a.png"
            )
    return failed.value.reason


async def test_an_image_is_asked_for_by_name_at_the_address_that_was_found() -> None:
    """The name is looked up once, and its host is told; nothing else is sent along."""
    resolver = home()
    async with running_upstream(answering(plain(PNG, IS_PNG))) as site:
        url = f"http://user:secret@images.example:{site.port}/a b/\u00e9.png?x=1&y=a b"
        image = await fetcher(resolver).fetch(url)

    assert image == ("image/png", PNG)
    assert resolver.asked == ["images.example"]
    (request,) = site.requests
    assert request.line == "GET /a%20b/%C3%A9.png?x=1&y=a%20b HTTP/1.1"
    assert dict(request.headers) == {
        "host": f"images.example:{site.port}",
        "accept": "image/*",
        "accept-encoding": "identity",
        "user-agent": "smart-llmrouter",
        "connection": "close",
        "content-length": "0",
    }


async def test_over_tls_the_server_must_prove_the_name() -> None:
    """The certificate is that of the name, whatever address it was found at."""
    tls = Tls(ca_file=str(AUTHORITY))
    async with running_upstream(
        answering(plain(PNG, IS_PNG)), certificate="good"
    ) as site:
        image = await fetcher(home(), tls=tls).fetch(f"https://localhost:{site.port}/")
        with pytest.raises(NotFetched, match="tls"):
            await fetcher(home(), tls=tls).fetch(f"https://other.example:{site.port}/")

    assert image.data == PNG


async def test_a_name_that_leads_home_is_refused() -> None:
    """A public name may have any address; nobody connects to one that is not public."""
    async with running_upstream(answering(plain(PNG, IS_PNG))) as site:
        for addresses in (["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["169.254.169.254"]):
            with pytest.raises(NotFetched, match="private-address"):
                await fetcher(Resolver(addresses), allow=False).fetch(
                    f"http://images.example:{site.port}/"
                )

    assert site.peers == []


async def test_a_name_that_changes_its_address_gains_nothing() -> None:
    """DNS rebinding: what a second look-up would say does not matter."""
    resolver = Resolver(["127.0.0.1"], ["127.0.0.2"])
    async with (
        running_upstream(answering(plain(PNG, IS_PNG))) as site,
        running_upstream(
            answering(plain(b"secret", IS_PNG)), host="127.0.0.2", port=site.port
        ) as inside,
    ):
        image = await fetcher(resolver).fetch(f"http://images.example:{site.port}/")

    assert image.data == PNG
    assert resolver.asked == ["images.example"]
    assert inside.peers == []


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect"])
async def test_no_redirect_is_followed(status: str) -> None:
    """What it leads to has not been judged."""
    async with running_upstream(answering(plain(PNG, IS_PNG))) as inside:
        where = f"Location: http://127.0.0.1:{inside.port}/"

        told = await reason(answering(plain(PNG, IS_PNG, where, status=status)))

    assert told == "redirect"
    assert inside.peers == []


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (plain(PNG, IS_PNG, status="404 Not Found"), "status"),
        (plain(PNG, "Content-Type: text/html"), "not-an-image"),
        (plain(PNG), "not-an-image"),
        (plain(b"<html>", IS_PNG), "not-an-image"),
        (plain(PNG, "Content-Type: image/jpeg"), "not-an-image"),
        (plain(b"GIF89a...", "Content-Type: image/gif"), "not-an-image"),
        (plain(b"<svg/>", "Content-Type: image/svg+xml"), "not-an-image"),
        (plain(PNG * 9, IS_PNG), "too-large"),
        (chunked(PNG, PNG * 9, headers=[IS_PNG]), "too-large"),
        (head("Content-Length: 99999999999", IS_PNG) + PNG * 9, "too-large"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "broken-off"),
        (plain(PNG, IS_PNG, "Content-Encoding: odd"), "broken-off"),
    ],
)
async def test_what_is_no_fitting_image_is_refused(answer: bytes, told: str) -> None:
    """Its status, type, first bytes and size must all be right."""
    assert await reason(answering(answer)) == told


async def test_an_image_that_never_ends_is_cut() -> None:
    """No more is read than is allowed."""

    async def pour(peer: Peer) -> None:
        await peer.request()
        await peer.send(head(IS_PNG, "Transfer-Encoding: chunked") + chunk(PNG))
        while True:
            await peer.send(chunk(b"x" * 4096))

    assert await reason(pour) == "too-large"


async def test_a_connection_that_is_cut_gives_no_image() -> None:
    """Half an image is none."""

    async def cut(peer: Peer) -> None:
        await peer.request()
        await peer.send(head(IS_PNG, "Content-Length: 500") + PNG)
        peer.reset()

    assert await reason(cut) == "broken-off"


async def test_images_may_come_in_pieces_and_be_of_any_kind() -> None:
    """A WebP is known by two marks; `image/jpg` is what some call a JPEG."""
    jpeg = b"\xff\xd8\xff\xe0jpeg"
    kinds = [
        (chunked(WEBP[:6], WEBP[6:], headers=["Content-Type: image/webp"]), WEBP),
        (plain(jpeg, "Content-Type: IMAGE/JPG; q=1"), jpeg),
    ]
    for answer, data in kinds:
        async with running_upstream(answering(answer)) as site:
            image = await fetcher(home()).fetch(f"http://images.example:{site.port}")

        assert image.data == data


async def test_an_unknown_or_silent_host_is_told() -> None:
    """A name that nobody has, and a port where nobody listens."""
    with pytest.raises(NotFetched, match="unresolved"):
        await fetcher(Resolver([])).fetch("http://images.example/")
    with refusing_port() as port, pytest.raises(NotFetched, match="unreachable"):
        await fetcher(home()).fetch(f"http://images.example:{port}/")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ftp://images.example/a.png", "not-http"),
        ("gs://bucket/a.png", "not-http"),
        ("images.example/a.png", "not-http"),
        ("http://images.example:99999/", "not-http"),
        ("http://images.example:0x50/", "not-http"),
        ("http://[::1/", "private-address"),
        ("http://10.0.0.1/", "private-address"),
        ("http://metadata.google.internal/", "private-address"),
        ("http://images.example\\@127.0.0.1/", "private-address"),
    ],
)
async def test_odd_urls_are_never_asked_for(url: str, told: str) -> None:
    """Not even a look-up is made for them."""
    resolver = home()

    with pytest.raises(NotFetched, match=told):
        await fetcher(resolver, allow=False).fetch(url)

    assert resolver.asked == []


async def test_a_host_with_odd_letters_in_it_is_no_host() -> None:
    """Nothing that a caller writes becomes a header of a request."""
    with pytest.raises(NotFetched, match="not-http"):
        await fetcher(home()).fetch("http://a b.example/")


async def test_a_name_in_another_script_is_looked_up_as_the_dns_has_it() -> None:
    """IDNA."""
    resolver = home()
    async with running_upstream(answering(plain(PNG, IS_PNG))) as site:
        await fetcher(resolver).fetch(f"http://b\u00fccher.example:{site.port}/")

    assert resolver.asked == ["xn--bcher-kva.example"]


async def test_a_call_gets_the_data_of_all_its_images() -> None:
    """Each URL is fetched once, and the request says data where it said URLs."""
    async with running_upstream(answering(plain(PNG, IS_PNG))) as site:
        one, two = (f"http://images.example:{site.port}/{name}" for name in "ab")
        peek = CHAT.peek(asking(one, two, one, "data:image/png;base64,AA=="))

        fetched = await ImageFetcher(
            fetcher(home()), timeout_s=PATIENCE_S
        ).with_fetched(CHAT, peek)

    assert len(site.requests) == 2
    assert CHAT.image_urls_in(fetched) == []
    data = b64encode(PNG)
    assert bytes(fetched.members["messages"]).count(data) == 3


async def test_a_request_without_urls_is_left_alone() -> None:
    """There is nothing to fetch."""
    peek = CHAT.peek(asking("data:image/png;base64,AA=="))

    assert await ImageFetcher(fetcher(home()), timeout_s=PATIENCE_S).with_fetched(
        CHAT, peek
    ) is (peek)


async def test_all_images_together_have_their_time() -> None:
    """A site that is slow, or does not even connect, holds nobody up for longer."""

    async def slow(peer: Peer) -> None:
        await peer.request()
        await peer.send(head(IS_PNG, "Transfer-Encoding: chunked") + chunk(PNG))
        await peer.gone()

    images = ImageFetcher(fetcher(home()), timeout_s=1.0)
    with full_backlog() as deaf:
        async with running_upstream(slow) as site:
            for port in (site.port, deaf):
                peek = CHAT.peek(asking(f"http://images.example:{port}/"))
                with pytest.raises(ImageNotFetched) as failed:
                    await images.with_fetched(CHAT, peek)

                assert failed.value.details == {
                    "field": "messages",
                    "reason": "timed-out",
                }
            (peer,) = site.peers
            await asyncio.wait_for(peer.over.wait(), PATIENCE_S)


async def test_no_more_than_a_few_are_fetched_at_once() -> None:
    """The router is no tool to flood others with."""
    most = busy = 0

    async def count(peer: Peer) -> None:
        nonlocal most, busy
        busy += 1
        most = max(most, busy)
        await peer.request()
        await peer.send(head(IS_PNG, "Transfer-Encoding: chunked") + chunk(PNG))
        busy -= 1
        await peer.send(LAST_CHUNK)

    async with running_upstream(count) as site:
        urls = [f"http://images.example:{site.port}/{n}" for n in range(MOST_IMAGES)]
        images = ImageFetcher(fetcher(home()), timeout_s=PATIENCE_S)
        await images.with_fetched(CHAT, CHAT.peek(asking(*urls)))

    assert len(site.requests) == MOST_IMAGES
    assert most <= 4


async def test_too_many_images_are_refused_before_any_is_fetched() -> None:
    """What a caller names must fit into memory."""
    urls = [f"http://images.example/{n}" for n in range(MOST_IMAGES + 1)]
    resolver = home()

    with pytest.raises(ImageNotFetched, match="too-many"):
        await ImageFetcher(fetcher(resolver), timeout_s=PATIENCE_S).with_fetched(
            CHAT, CHAT.peek(asking(*urls))
        )

    assert resolver.asked == []


async def test_an_image_inside_is_told_as_what_it_is() -> None:
    """A name that leads home is refused like an address that does."""
    images = ImageFetcher(fetcher(home(), allow=False), timeout_s=PATIENCE_S)

    with pytest.raises(ImageUrlForbidden):
        await images.with_fetched(CHAT, CHAT.peek(asking("http://images.example/")))


async def test_an_image_that_fails_is_told_without_its_url() -> None:
    """The reason is a word, and the URL may hold a secret."""
    images = ImageFetcher(fetcher(Resolver([])), timeout_s=PATIENCE_S)

    with pytest.raises(ImageNotFetched) as failed:
        await images.with_fetched(
            CHAT, CHAT.peek(asking("http://images.example/?key=secret"))
        )

    assert failed.value.details["reason"] == "unresolved"
    assert "images.example" not in failed.value.message
