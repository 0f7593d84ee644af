"""The documentation, served at `/docs/` by the router itself.

The pages were built into the package and load nothing from any other host. Here live
their delivery and the page that stands in where a checkout has not built them.
"""

import mimetypes
from http import HTTPStatus
from pathlib import Path
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smart_llmrouter.core.build_info import UNKNOWN, BuildInfo, read_baked
from smart_llmrouter.edge.asgi import hostless

SITE_DIRECTORY: Final = Path(__file__).resolve().parent.parent / "_site"

# The theme's own files carry a digest in their names and may be kept; pages and the
# search index are asked for again, and answered with 304 where they have not changed.
_ASSET_CACHING: Final = "public, max-age=86400"
_PAGE_CACHING: Final = "no-cache"
_CONTENT_POLICY: Final = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; "
    "script-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
)

_NOT_BUILT: Final = """\
<!doctype html><html lang="en"><title>smart-llmrouter: no documentation here</title>
<h1>The documentation has not been built</h1>
<p>This router runs from a checkout. <code>make docs</code> builds the pages into it;
an installed package brings them along.</p>
"""

_NO_SUCH_PAGE: Final = """\
<!doctype html><html lang="en"><title>smart-llmrouter: no such page</title>
<h1>No such page</h1><p><a href="{root}/">All pages of the documentation</a></p>
"""

_ONLY_READ: Final = """\
<!doctype html><html lang="en"><title>smart-llmrouter: only for reading</title>
<h1>Only for reading</h1><p>The documentation takes GET and HEAD only.</p>
"""


def docs_mount(build: BuildInfo, *, directory: Path = SITE_DIRECTORY) -> Mount:
    """Return the route that serves the pages in `directory` at `/docs/`.

    Every answer names the version and the time of the build in
    `X-Smart-LLMRouter-Version` and `X-Smart-LLMRouter-Build-Date`.
    """
    # Content types are looked up in files of the system: now, not while serving, and
    # not once more for each edition of the configuration.
    if not mimetypes.inited:
        mimetypes.init()
    baked = read_baked(directory / "build.json")
    built_at = baked.built_at if baked else build.built_at
    pages: ASGIApp = _not_built if baked is None else _Pages(directory)
    return Mount(
        "/docs",
        app=_Stamped(pages, version=build.version, built_at=built_at or UNKNOWN),
        name="docs",
    )


class _Pages:
    """Static files, and a page of our own where there is none."""

    def __init__(self, directory: Path) -> None:
        self._files = StaticFiles(directory=directory, html=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._files(hostless(scope), receive, send)
        except HTTPException as refusal:
            root = scope.get("root_path", "")
            page = HTMLResponse(
                _ONLY_READ
                if refusal.status_code == HTTPStatus.METHOD_NOT_ALLOWED
                else _NO_SUCH_PAGE.format(root=root),
                status_code=refusal.status_code,
                headers=refusal.headers,
            )
            await page(scope, receive, send)


async def _not_built(scope: Scope, receive: Receive, send: Send) -> None:
    """Say which command builds the documentation."""
    await HTMLResponse(_NOT_BUILT, status_code=404)(scope, receive, send)


class _Stamped:
    """Adds the headers that every page carries."""

    def __init__(self, pages: ASGIApp, *, version: str, built_at: str) -> None:
        self._pages = pages
        self._stamp = {
            "X-Smart-LLMRouter-Version": version,
            "X-Smart-LLMRouter-Build-Date": built_at,
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": _CONTENT_POLICY,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caching = _ASSET_CACHING if "/assets/" in scope["path"] else _PAGE_CACHING

        async def send_stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update({**self._stamp, "Cache-Control": caching})
            await send(message)

        await self._pages(scope, receive, send_stamped)
