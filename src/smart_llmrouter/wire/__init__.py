"""Bytes and their grammar: server-sent events, and JSON objects kept as written."""
