"""Usage as Chat Completions tells it."""

from smart_llmrouter.core.usage import Usage


def usage_fields(usage: Usage) -> dict[str, object]:
    """Return the fields of `usage` that are known; none if nothing is.

    Input includes what was read from a cache and written to one.
    """
    writes = [
        tokens
        for tokens in (usage.cache_write_5m_tokens, usage.cache_write_1h_tokens)
        if tokens is not None
    ]
    prompt = _known(
        cached_tokens=usage.cached_input_tokens,
        cache_write_tokens=sum(writes) if writes else None,
    )
    completion = _known(reasoning_tokens=usage.reasoning_tokens)
    total = None
    if usage.input_tokens is not None and usage.output_tokens is not None:
        total = usage.input_tokens + usage.output_tokens
    return _known(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        total_tokens=total,
        prompt_tokens_details=prompt or None,
        completion_tokens_details=completion or None,
    )


def _known(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}
