"""`python -m smart_llmrouter`: the same as the command `smart-llmrouter`."""

from smart_llmrouter.cli.main import app

app()
