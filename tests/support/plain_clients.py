"""Clients that never speak TLS: they do not read what they would trust.

To read the certificates of all authorities takes a client some thirty milliseconds of
the processor, which is more than most tests need for all the rest; and what runs here
is called by `http`. Everything else is as these clients are by themselves.
"""

from typing import Any

import anthropic
import httpx2
import openai


def without_tls(**options: Any) -> httpx2.AsyncClient:  # noqa: ANN401 - its own
    """Return a plain HTTP client with these options."""
    return httpx2.AsyncClient(verify=False, **options)


def openai_without_tls() -> httpx2.AsyncClient:
    """Return what the SDK of OpenAI is to send with; it closes that with itself."""
    return openai.DefaultAsyncHttpxClient(verify=False)


def anthropic_without_tls() -> httpx2.AsyncClient:
    """Return what the SDK of Anthropic is to send with; it closes that with itself."""
    return anthropic.DefaultAsyncHttpxClient(verify=False)
