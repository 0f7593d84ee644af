"""OpenAI Responses: what callers and providers of it say, in the router's terms.

`requests` and `streams` are the relay lane, where bytes stay as they are. `parse` and
`encoder` are for callers of this dialect, `render` and `decoder` for its providers.
"""
