"""`POST /v1/route/explain`: the one path that takes requests of every dialect.

The dialect is what `?dialect=` says, or Anthropic's where the header
`anthropic-version` is sent; otherwise the body shows it.
"""

from collections.abc import Coroutine, Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from smart_llmrouter.core.errors import InvalidRequest, RouterError
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.edge.exchange import Exchange, Route
from smart_llmrouter.edge.heads import split_target
from smart_llmrouter.edge.hub import refuse

EXPLAIN_PATH: Final = "/v1/route/explain"


class ExplainRoute:
    """Shows a request to the route of its dialect."""

    def __init__(
        self, routes: Mapping[DialectName, Route], *, max_body_bytes: int
    ) -> None:
        """Choose among `routes`."""
        self._routes = routes
        self.max_body_bytes = max_body_bytes

    def open(self, exchange: Exchange) -> None:
        """Find the dialect, and look at the head as its route does."""
        named = _named(exchange.target)
        if named is not None and named not in self._routes:
            raise InvalidRequest(
                f"`dialect` must be one of {', '.join(self._routes)}",
                details={"field": "dialect"},
            )
        self._route_of(exchange).open(exchange)

    def serve(self, exchange: Exchange) -> Coroutine[Any, Any, None]:
        """Explain the request."""
        return self._route_of(exchange).serve(exchange)

    def refuse(self, exchange: Exchange, error: RouterError) -> None:
        """Refuse it, as the route of its dialect does."""
        if _named(exchange.target) in {None, *self._routes}:
            self._route_of(exchange).refuse(exchange, error)
        else:
            refuse(exchange, error)

    def _route_of(self, exchange: Exchange) -> Route:
        named = _named(exchange.target)
        for dialect, route in self._routes.items():
            if dialect == named:
                return route
        anthropic = named is None and b"anthropic-version" in exchange.headers
        return self._routes["anthropic-messages" if anthropic else "openai-chat"]


def _named(target: bytes) -> str | None:
    """Return the dialect that a target names."""
    query = (split_target(target) or (b"", b""))[1]
    found = parse_qs(query.decode("latin-1")).get("dialect")
    return found[-1] if found else None
