"""Images and other files that a caller names by URLs: which may be named at all.

Where a call needs none, nothing is read.
"""

from typing import Final

from smart_llmrouter.core.errors import ImageUrlForbidden
from smart_llmrouter.core.imageurls import is_private_url
from smart_llmrouter.core.requirements import Requirements
from smart_llmrouter.dialects.base import Dialect, Peek

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
