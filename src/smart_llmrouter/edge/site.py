"""Everything but inference: models, health, metrics, version, documentation.

None of it is hot, so it is ordinary Starlette.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Final, cast

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.core.build_info import BuildInfo
from smart_llmrouter.core.errors import (
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    MetricsForbidden,
    RouterError,
    UnknownPath,
)
from smart_llmrouter.core.identity import Caller
from smart_llmrouter.edge.asgi import (
    EXCHANGE,
    REQUEST_ID,
    Receive,
    Scope,
    Send,
    hostless,
)
from smart_llmrouter.edge.docs_site import docs_mount
from smart_llmrouter.edge.door import Door
from smart_llmrouter.edge.exchange import Exchange
from smart_llmrouter.edge.metrics import Metrics
from smart_llmrouter.edge.models import (
    anthropic_models_for,
    catalogue_for,
    model_for,
    models_for,
)
from smart_llmrouter.edge.readiness import Readiness
from smart_llmrouter.edge.surfaces import remedy_for, speaks_anthropic, surface_of
from smart_llmrouter.edge.usage import UsageReports
from smart_llmrouter.engine.refusals import (
    dialect_headers,
    error_headers,
    render_refusal,
)

_TAG_DIGITS: Final = 32
_VARY: Final = "authorization, x-api-key, anthropic-version"
METRICS_CONTENT_TYPE: Final = "text/plain; version=1.0.0; charset=utf-8"
Endpoint = Callable[[Request], Awaitable[Response]]

log = structlog.get_logger()


class Site:
    """The endpoints that are not hot, as one ASGI application."""

    def __init__(
        self,
        snapshot: Snapshot,
        door: Door,
        *,
        readiness: Readiness,
        metrics: Metrics,
        usage: UsageReports,
        build: BuildInfo,
    ) -> None:
        """Serve what `snapshot` allows to whom `door` lets in."""
        self._snapshot = snapshot
        self._door = door
        self._readiness = readiness
        self._metrics = metrics
        self._usage = usage
        self._build = build
        self._app = Starlette(
            routes=[
                Route("/", _to_docs),
                Route("/api/hello", _hello),
                Route("/v1/models", self._models),
                Route("/v1/models/{name:path}", self._model),
                Route("/v1/codex/models.json", self._catalogue),
                Route("/anthropic/v1/models", self._models),
                Route("/anthropic/v1/models/{name:path}", self._model),
                Route("/v1/usage", self._tell_usage),
                Route("/healthz", _alive),
                Route("/readyz", self._ready),
                Route("/metrics", self._show_metrics),
                Route("/version", self._version),
                docs_mount(build),
            ],
            exception_handlers={
                RouterError: _render_known,
                HTTPException: _render_http,
                Exception: _render_unknown,
            },
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._app(hostless(scope), receive, send)

    def _caller(self, request: Request) -> Caller:
        exchange: Exchange = request.scope[EXCHANGE]
        return self._door.active_caller(exchange)

    async def _models(self, request: Request) -> Response:
        caller, groups = self._caller(request), self._snapshot.groups
        list_for = anthropic_models_for if _is_anthropic(request) else models_for
        return _tagged(request, list_for(caller, groups, request.query_params))

    async def _model(self, request: Request) -> Response:
        model = model_for(
            self._caller(request),
            self._snapshot.groups,
            name=request.path_params["name"],
            anthropic=_is_anthropic(request),
        )
        return _tagged(request, model)

    async def _catalogue(self, request: Request) -> Response:
        caller = self._caller(request)
        return _tagged(request, catalogue_for(caller, self._snapshot.groups))

    async def _tell_usage(self, request: Request) -> Response:
        told = await self._usage.of(self._caller(request), request.query_params)
        headers = {"cache-control": "private, no-store"}
        return JSONResponse(told, headers=headers | _dialect_headers(request))

    async def _show_metrics(self, request: Request) -> Response:
        caller = self._caller(request)
        if not caller.metrics_admin:
            exchange: Exchange = request.scope[EXCHANGE]
            raise self._door.forbid(MetricsForbidden(), exchange, caller=caller)
        return Response(await self._metrics.render(), media_type=METRICS_CONTENT_TYPE)

    async def _ready(self, request: Request) -> Response:
        status, report = await self._readiness.report()
        code = (
            HTTPStatus.SERVICE_UNAVAILABLE if status == "not-ready" else HTTPStatus.OK
        )
        return JSONResponse(report, status_code=code)

    async def _version(self, request: Request) -> Response:
        return JSONResponse(asdict(self._build))


async def _to_docs(request: Request) -> Response:
    if request.method == "HEAD":
        # Who asks like this only wants to know whether anybody is there.
        return Response()
    return RedirectResponse("/docs/")


async def _hello(request: Request) -> Response:
    """Let Claude Code warm its connection up."""
    return JSONResponse({"status": "ok"})


async def _alive(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


def _is_anthropic(request: Request) -> bool:
    scope = request.scope
    return speaks_anthropic(scope["path"], dict(scope["headers"]))


def _tagged(request: Request, document: Mapping[str, object]) -> Response:
    """Return a document with a tag by which a client can keep it."""
    body = msgspec.json.encode(document)
    tag = f'"{hashlib.sha256(body).hexdigest()[:_TAG_DIGITS]}"'
    headers = {"etag": tag, "cache-control": "private, no-cache", "vary": _VARY}
    known = request.headers.get("if-none-match", "")
    if tag in (each.strip().removeprefix("W/") for each in known.split(",")):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    headers |= _dialect_headers(request)
    return Response(body, media_type="application/json", headers=headers)


def _dialect_headers(request: Request) -> dict[str, str]:
    dialect = surface_of(request.scope["raw_path"], dict(request.scope["headers"]))[0]
    said = dialect_headers(dialect, request_id=request.scope[REQUEST_ID])
    return {name.decode(): value.decode() for name, value in said}


def _rendered(request: Request, error: RouterError) -> Response:
    scope = request.scope
    surface = surface_of(scope["raw_path"], dict(scope["headers"]))
    request_id = scope[REQUEST_ID]
    answer = Response(
        render_refusal(error, dialect=surface.dialect, request_id=request_id),
        status_code=error.status,
    )
    answer.raw_headers.extend(
        error_headers(error, dialect=surface.dialect, request_id=request_id)
    )
    return answer


async def _render_known(request: Request, error: Exception) -> Response:
    return _rendered(request, cast("RouterError", error))


async def _render_http(request: Request, error: Exception) -> Response:
    """Say what Starlette's router found wrong in our own words."""
    refusal = cast("HTTPException", error)
    if refusal.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (refusal.headers or {}).get("Allow", "")
        methods = tuple(sorted(each.strip() for each in allowed.split(",")))
        return _rendered(request, MethodNotAllowed(methods))
    if refusal.status_code == HTTPStatus.NOT_FOUND:
        return _rendered(request, UnknownPath(remedy_for(request.scope["path"])))
    return _rendered(request, InvalidRequest("the request cannot be read"))


async def _render_unknown(request: Request, error: Exception) -> Response:
    log.error(
        "request failed",
        request_id=request.scope[REQUEST_ID],
        exc_info=(type(error), error, error.__traceback__),
    )
    return _rendered(request, InternalError())
