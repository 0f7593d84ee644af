"""OpenAI Chat Completions: what the router reads of it, and what it writes in it.

On the relay lane bytes pass through untouched. `requests` reads and replaces single
top-level values of a request, `answers` and `streams` read usage from an answer on its
way past, and `errors` renders our errors in this dialect's shape.
"""
