"""The whole public surface as one ASGI function: hot routes first, then the site."""

from collections.abc import Mapping

from smart_llmrouter.edge.asgi import AsgiApp, Receive, Scope, Send


class Edge:
    """Send each request to the route that serves it, by its exact path."""

    def __init__(self, hot: Mapping[str, AsgiApp], site: AsgiApp) -> None:
        """Serve the paths in `hot` without a framework, and all others by `site`."""
        self._hot = hot
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        route = self._hot.get(scope["path"], self._site)
        await route(scope, receive, send)
