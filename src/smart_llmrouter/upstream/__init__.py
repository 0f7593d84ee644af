"""Providers as the router reaches them: endpoints, one HTTP transport, and failures."""
