"""Images and other files that a caller names by URLs: which may be named, and fetched.

Where a call needs none, nothing is read. Nothing is fetched unless that is configured,
and then only for a target that takes no URLs.
"""

import asyncio
from base64 import b64encode
from typing import Final

from smart_llmrouter.core.errors import (
    ImageNotFetched,
    ImageUrlForbidden,
    RouterError,
)
from smart_llmrouter.core.imageurls import is_private_url
from smart_llmrouter.core.requirements import Requirements
from smart_llmrouter.dialects.base import Dialect, Peek
from smart_llmrouter.upstream.fetching import FetchedImage, Fetcher, NotFetched

MOST_IMAGES: Final = 20
"""How many images of a call are fetched: what a caller names must fit into memory."""
_AT_ONCE: Final = 4
FIELDS: Final = {
    "openai-chat": "messages",
    "openai-responses": "input",
    "anthropic-messages": "messages",
}
"""Where images stand in a request of each dialect."""


def refuse_private_urls(dialect: Dialect, peek: Peek, needs: Requirements) -> None:
    """Raise `ImageUrlForbidden` for a URL that leads to somewhere not public."""
    if not needs.image_urls and not needs.other_urls:
        return
    urls = (*dialect.image_urls_in(peek), *dialect.other_urls_in(peek))
    if any(map(is_private_url, urls)):
        raise ImageUrlForbidden(FIELDS[dialect.name])


class ImageFetcher:
    """Fetches what a call names by URLs, for targets that take only data.

    All images of a call together may take `timeout_s` seconds.
    """

    def __init__(self, fetcher: Fetcher, *, timeout_s: float) -> None:
        """Fetch through `fetcher`, a few at a time."""
        self._fetcher = fetcher
        self._timeout_s = timeout_s

    async def with_fetched(self, dialect: Dialect, peek: Peek) -> Peek:
        """Return the request with the data of all images that it names by URLs.

        Raises `ImageNotFetched`, and `ImageUrlForbidden` for an image that is found at
        an address that is not public.
        """
        field = FIELDS[dialect.name]
        urls = list(dict.fromkeys(dialect.image_urls_in(peek)))
        if len(urls) > MOST_IMAGES:
            raise ImageNotFetched(field, "too-many")
        if not urls:
            return peek
        turns = asyncio.Semaphore(_AT_ONCE)
        try:
            async with asyncio.timeout(self._timeout_s):
                found = await asyncio.gather(
                    *(self._fetched(url, turns) for url in urls)
                )
        except TimeoutError:
            raise ImageNotFetched(field, "timed-out") from None
        images: dict[str, str] = {}
        for url, image in zip(urls, found, strict=True):
            if isinstance(image, NotFetched):
                raise _told(image, field)
            images[url] = _data_url(image)
        return dialect.with_images(peek, images)

    async def _fetched(
        self, url: str, turns: asyncio.Semaphore
    ) -> FetchedImage | NotFetched:
        """Fetch one image when it is its turn; a failure is returned."""
        async with turns:
            try:
                return await self._fetcher.fetch(url)
            except NotFetched as failed:
                return failed


def _told(failed: NotFetched, field: str) -> RouterError:
    if failed.reason == "private-address":
        return ImageUrlForbidden(field)
    return ImageNotFetched(field, failed.reason)


def _data_url(image: FetchedImage) -> str:
    return f"data:{image.media_type};base64,{b64encode(image.data).decode()}"
