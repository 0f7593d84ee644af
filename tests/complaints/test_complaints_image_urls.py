"""How the guards of others against images inside of their network are beaten."""

import json

import pytest

from smart_llmrouter.core.errors import ImageNotFetched, ImageUrlForbidden
from smart_llmrouter.dialects.registry import DIALECTS
from smart_llmrouter.engine.images import ImageFetcher, refuse_private_urls
from tests.support.bridge import CHAT, NAMES, RESPONSES
from tests.support.fetching import IS_PNG, PNG, Resolver, asking, fetcher, home
from tests.support.upstream_server import answering, plain, running_upstream
from tests.support.wait import PATIENCE_S

SECRET = PNG + b"secret"


async def test_a_guard_of_image_urls_is_beaten_by_a_redirect() -> None:
    """The image is judged where it is named, and fetched where that points to."""
    chat = DIALECTS[CHAT]
    images = ImageFetcher(fetcher(home()), timeout_s=PATIENCE_S)
    async with running_upstream(answering(plain(SECRET, IS_PNG))) as inside:
        away = f"Location: http://127.0.0.1:{inside.port}/latest/meta-data/"
        moved = plain(b"", away, status="302 Found")
        async with running_upstream(answering(moved)) as site:
            peek = chat.peek(asking(f"http://images.example:{site.port}/a.png"))

            with pytest.raises(ImageNotFetched, match="redirect"):
                await images.with_fetched(chat, peek)

    assert inside.peers == []


async def test_a_guard_of_image_urls_is_beaten_by_a_second_look_up() -> None:
    """The name is judged by one answer of the DNS, and connected to by another."""
    chat = DIALECTS[CHAT]
    resolver = Resolver(["127.0.0.1"], ["127.0.0.2"])
    images = ImageFetcher(fetcher(resolver), timeout_s=PATIENCE_S)
    async with (
        running_upstream(answering(plain(PNG, IS_PNG))) as site,
        running_upstream(
            answering(plain(SECRET, IS_PNG)), host="127.0.0.2", port=site.port
        ) as inside,
    ):
        peek = chat.peek(asking(f"http://images.example:{site.port}/a.png"))

        await images.with_fetched(chat, peek)

    assert resolver.asked == ["images.example"]
    assert inside.peers == []


@pytest.mark.parametrize("dialect", NAMES)
@pytest.mark.parametrize("host", ["0x7f.1", "[::ffff:169.254.169.254]", "2130706433"])
def test_a_guard_of_image_urls_is_beaten_by_the_spelling(
    dialect: str, host: str
) -> None:
    """A list of forbidden prefixes knows one spelling of an address."""
    spoken = next(each for each in DIALECTS.values() if each.name == dialect)
    url = f"http://{host}/latest/meta-data/"
    body = asking(url)
    if dialect == RESPONSES:
        part = {"type": "input_image", "image_url": url}
        body = json.dumps({"input": [{"role": "user", "content": [part]}]}).encode()
    elif dialect != CHAT:
        block = {"type": "image", "source": {"type": "url", "url": url}}
        body = json.dumps({"messages": [{"content": [block]}]}).encode()
    peek = spoken.peek(body)

    with pytest.raises(ImageUrlForbidden):
        refuse_private_urls(spoken, peek, spoken.requirements_of(peek, body=body))
