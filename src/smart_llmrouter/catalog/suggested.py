"""Prices to paste into a configuration, and how sure they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from smart_llmrouter.catalog.priced import Used
from smart_llmrouter.catalog.published import (
    MEANINGS,
    Catalog,
    Found,
    Parts,
    Published,
    Tiers,
)
from smart_llmrouter.config.yamltext import text

_MOST: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What was found for one model."""

    used: Used
    found: Found


def suggest(models: Sequence[Used], catalog: Catalog) -> list[Suggestion]:
    """Look each of the models up."""
    return [
        Suggestion(
            used=used,
            found=catalog.find(
                provider=used.provider, base_url=used.base_url, model=used.name
            ),
        )
        for used in models
    ]


def as_yaml(suggestions: Sequence[Suggestion], catalog: Catalog) -> str:
    """Write them as the configuration has them, with comments on how sure they are.

    Where several candidates differ, they are listed and none is chosen.
    """
    lines = [
        f"# Published prices, from {catalog.name}. Compare them with what the provider",
        "# says before you paste them: a contract, a region or a tier may differ.",
    ]
    if catalog.as_of is not None:
        lines.append(f"# The figures are of {catalog.as_of}, or newer.")
    lines.append("providers:")
    for provider in dict.fromkeys(each.used.provider for each in suggestions):
        lines += [f"  {text(provider)}:", "    models:"]
        for each in suggestions:
            if each.used.provider == provider:
                lines += _model(each, catalog)
    return "\n".join(lines) + "\n"


def _model(suggestion: Suggestion, catalog: Catalog) -> Iterator[str]:
    used, found = suggestion.used, suggestion.found
    key = used.use.partition("/")[2]
    chosen = found.agreed
    if not found.candidates:
        yield f"      # {key}: no published price of {used.name!r} is known here"
        return
    if chosen is None:
        yield f"      # {key}: several have published a price of {used.name!r}, and"
        yield "      # nothing says which it is:"
        for each in found.candidates[:_MOST]:
            yield f"      #   {_name(each)}: {_listed(each.parts)}"
        if len(found.candidates) > _MOST:
            yield f"      #   and {len(found.candidates) - _MOST} more"
        return
    yield f"      {text(key)}:"
    yield f"        # {found.sureness}: {_name(chosen)}; {MEANINGS[found.sureness]}"
    for caveat in chosen.caveats:
        yield f"        # {caveat}"
    if chosen.uncounted:
        yield f"        # what is not counted: {', '.join(chosen.uncounted)}"
    yield from _prices(chosen, catalog)


def _prices(chosen: Published, catalog: Catalog) -> Iterator[str]:
    source = f"{chosen.url or chosen.provider} ({catalog.name})"
    read_on = [] if catalog.as_of is None else [f"as_of: {catalog.as_of}"]
    said = [f"source: {text(source)}", *read_on]
    if not chosen.later:
        yield "        price:"
        lines = [*_lines(chosen.parts, chosen.above), *said]
        yield from (f"          {line}" for line in lines)
        return
    yield "        price:"
    first = [*_lines(chosen.parts, chosen.above), *said]
    dated = [
        [f"effective_from: {begins}", *_lines(parts, above), *said]
        for begins, parts, above in chosen.later
    ]
    for lines in [first, *dated]:
        for at, line in enumerate(lines):
            yield f"          {'  ' if at else '- '}{line}"


def as_json(suggestions: Sequence[Suggestion], catalog: Catalog) -> dict[str, object]:
    """Return them for a program; `price` is empty where nothing was chosen."""
    read_on = catalog.as_of
    return {
        "source": catalog.name,
        "as_of": None if read_on is None else read_on.isoformat(),
        "models": [
            {
                "use": each.used.use,
                "model": each.used.name,
                "sureness": each.found.sureness if each.found.candidates else None,
                "price": _json_of(each.found.agreed),
                "candidates": [_json_of(one) for one in each.found.candidates],
            }
            for each in suggestions
        ],
    }


def _json_of(published: Published | None) -> dict[str, object] | None:
    if published is None:
        return None
    return {
        "provider": published.provider,
        "model": published.model,
        "url": published.url,
        "parts": _texts(published.parts),
        "above": _tiers(published.above),
        "later": [
            {
                "effective_from": begins.isoformat(),
                "parts": _texts(parts),
                "above": _tiers(above),
            }
            for begins, parts, above in published.later
        ],
        "caveats": list(published.caveats),
        "uncounted": list(published.uncounted),
    }


def _texts(parts: Parts) -> dict[str, str]:
    return {key: f"{value.normalize():f}" for key, value in parts.items()}


def _tiers(above: Tiers) -> list[dict[str, object]]:
    return [{"input_tokens": tokens, **_texts(parts)} for tokens, parts in above]


def _lines(parts: Parts, above: Tiers) -> list[str]:
    lines = [f"{key}: {value}" for key, value in _texts(parts).items()]
    if above:
        lines.append("above:")
    for tier in _tiers(above):
        told = ", ".join(f"{key}: {value}" for key, value in tier.items())
        lines.append(f"  - {{{told}}}")
    return lines


def _listed(parts: Parts) -> str:
    return ", ".join(f"{key} {value}" for key, value in _texts(parts).items())


def _name(published: Published) -> str:
    return f"{published.model} of {published.provider}"
