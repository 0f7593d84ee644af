"""The documentation as a browser gets it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from starlette.applications import Starlette
from yarl import URL

from smart_llmrouter.core.build_info import BuildInfo
from smart_llmrouter.edge.asgi import AsgiRoute
from smart_llmrouter.edge.docs_site import docs_mount
from tests.support.edge import serving_edge

BUILD = BuildInfo(
    version="9.8.7", commit="abc", built_at=None, python="3.11.0", platform="Linux"
)
FACTS = {"version": "9.8.7", "commit": "abc", "built_at": "2026-01-02T03:04:05Z"}


@asynccontextmanager
async def served(directory: Path) -> AsyncIterator[URL]:
    """Serve the documentation in `directory` on a free port."""
    app = Starlette(routes=[docs_mount(BUILD, directory=directory)])
    async with serving_edge(routes=lambda _: ({}, AsgiRoute(app))) as edge:
        yield URL(f"http://127.0.0.1:{edge.port}")
        assert edge.failures == []


async def fetch(
    browser: aiohttp.ClientSession,
    path: str | URL,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
) -> tuple[aiohttp.ClientResponse, str]:
    """Ask for a page and read all of it."""
    async with browser.request(method, path, headers=headers) as answer:
        return answer, await answer.text()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a directory with a small built site, and a secret beside it."""
    directory = tmp_path / "_site"
    (directory / "errors").mkdir(parents=True)
    (directory / "assets").mkdir()
    (directory / "index.html").write_text("<h1>home</h1>")
    (directory / "errors" / "index.html").write_text("<h1>errors</h1>")
    (directory / "assets" / "main.0123.css").write_text("h1 {color: red}")
    (directory / "build.json").write_text(json.dumps(FACTS))
    (tmp_path / "secret.txt").write_text("canary")
    return directory


@pytest.mark.parametrize(
    ("path", "kind", "caching", "text"),
    [
        ("/docs/", "text/html", "no-cache", "<h1>home</h1>"),
        ("/docs/errors/", "text/html", "no-cache", "<h1>errors</h1>"),
        (
            "/docs/assets/main.0123.css",
            "text/css",
            "public, max-age=86400",
            "h1 {color: red}",
        ),
    ],
    ids=["home", "page", "asset"],
)
async def test_pages_come_with_type_caching_and_build(
    site: Path, path: str, kind: str, caching: str, text: str
) -> None:
    """Each answer is typed, cached as it deserves, and names the build."""
    async with served(site) as origin, aiohttp.ClientSession(origin) as browser:
        answer, body = await fetch(browser, path)

    assert (answer.status, body) == (200, text)
    assert answer.content_type == kind
    assert answer.headers["Cache-Control"] == caching
    assert answer.headers["X-Smart-LLMRouter-Version"] == "9.8.7"
    assert answer.headers["X-Smart-LLMRouter-Build-Date"] == "2026-01-02T03:04:05Z"
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]


async def test_the_bare_path_leads_to_the_first_page(site: Path) -> None:
    """`/docs` and a page without its slash are redirected."""
    async with served(site) as origin, aiohttp.ClientSession(origin) as browser:
        home, _ = await fetch(browser, "/docs")
        page, _ = await fetch(browser, "/docs/errors")

    assert (home.status, home.url.path) == (200, "/docs/")
    assert (page.status, page.url.path) == (200, "/docs/errors/")


async def test_a_redirect_names_no_host(site: Path) -> None:
    """Behind a proxy the router knows neither its name nor its scheme."""
    async with (
        served(site) as origin,
        aiohttp.ClientSession(origin) as browser,
        browser.get(
            "/docs/errors?q=a%20b",
            headers={"Host": "elsewhere.example"},
            allow_redirects=False,
        ) as answer,
    ):
        location = answer.headers["Location"]

    assert (answer.status, location) == (307, "/docs/errors/?q=a%20b")


async def test_an_unchanged_page_is_not_sent_again(site: Path) -> None:
    """A browser that shows its copy's tag is told to keep the copy."""
    async with served(site) as origin, aiohttp.ClientSession(origin) as browser:
        first, _ = await fetch(browser, "/docs/")
        tag = {"If-None-Match": first.headers["ETag"]}
        again, _ = await fetch(browser, "/docs/", headers=tag)

    assert again.status == 304


@pytest.mark.parametrize(
    "path",
    [
        "/docs/../secret.txt",
        "/docs/%2e%2e/secret.txt",
        "/docs/..%2fsecret.txt",
        "/docs/errors/..%2f..%2f..%2fsecret.txt",
        "/docs//etc/passwd",
        "/docs/nothing-here/",
        "/docs/%00",
    ],
)
async def test_nothing_outside_of_the_site_is_served(site: Path, path: str) -> None:
    """A path that climbs out, or leads nowhere, gets a page that says so."""
    async with served(site) as origin, aiohttp.ClientSession() as browser:
        answer, body = await fetch(browser, URL(f"{origin}{path}", encoded=True))

    assert answer.status == 404
    assert "canary" not in body
    assert "No such page" in body or body == "Not Found"


async def test_pages_are_only_for_reading(site: Path) -> None:
    """Another method than GET and HEAD is refused."""
    async with served(site) as origin, aiohttp.ClientSession(origin) as browser:
        answer, body = await fetch(browser, "/docs/", method="POST")
        head, _ = await fetch(browser, "/docs/", method="HEAD")

    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert "takes GET and HEAD only" in body
    assert head.status == 200


async def test_a_checkout_without_pages_says_how_to_build_them(tmp_path: Path) -> None:
    """Where nothing was built, the page names the command, and no date is made up."""
    missing = tmp_path / "_site"

    async with served(missing) as origin, aiohttp.ClientSession(origin) as browser:
        answer, body = await fetch(browser, "/docs/")

    assert answer.status == 404
    assert "<code>make docs</code>" in body
    assert answer.headers["X-Smart-LLMRouter-Build-Date"] == "unknown"
