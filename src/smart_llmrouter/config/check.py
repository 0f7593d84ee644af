"""Checks a document: the schema, the rules across the file, and what is not built.

All findings are made at once, in the order of the file. The rules across the file
look at what can be read, also when the schema refuses other parts.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from smart_llmrouter.config.document import Document
from smart_llmrouter.config.findings import Finding, in_reading_order
from smart_llmrouter.config.outline import Outline, outline
from smart_llmrouter.config.rules import (
    allowances,
    connections,
    dialects,
    graph,
    identities,
    names,
    policies,
    prices,
    proxies,
    queues,
    reports,
    retention,
    scripts,
    secrecy,
    sections,
    services,
    sharing,
    timing,
)
from smart_llmrouter.config.schema import Settings
from smart_llmrouter.config.schema.tree import unbuilt
from smart_llmrouter.config.schemacheck import check_schema

_ACROSS: Final[tuple[Callable[[Document, Outline], Iterator[Finding]], ...]] = (
    names.names_are_declared,
    names.names_are_unique,
    names.static_groups_have_one_target,
    identities.identities_are_unique,
    identities.memberships_are_known,
    identities.active_callers_are_backed,
    policies.sections_fit_strategies,
    policies.rules_name_targets,
)
_WITHIN: Final[tuple[Callable[[Document], Iterator[Finding]], ...]] = (
    secrecy.no_literal_credentials,
    secrecy.no_credentials_as_keys,
    secrecy.headers_are_sound,
    secrecy.base_urls_are_private,
    dialects.base_urls_end_before_the_path,
    policies.expressions_compile,
    policies.rules_are_reached,
    services.services_may_be_asked,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The outcome: `settings` is `None` as soon as there is one error."""

    settings: Settings | None
    findings: tuple[Finding, ...]


def check(
    document: Document,
    *,
    environment: Mapping[str, str],
    beside: Path,
    today: date | None = None,
) -> Checked:
    """Check everything; secrets and proxies are looked up in `environment` and files.

    Relative paths start at the directory `beside`. Where `today` (UTC) is
    given, active callers whose token has expired by then are warned about, and models
    of which no price is in force then.
    """
    schema = check_schema(document)
    sketch = outline(document)
    findings = [
        *schema.findings,
        *(found for rule in _ACROSS for found in rule(document, sketch)),
        *(found for rule in _WITHIN for found in rule(document)),
        *secrecy.references_resolve(document, environment=environment, beside=beside),
        *connections.tls_files_are_usable(document, beside),
        *connections.server_tls_is_usable(document, beside),
        *connections.sockets_are_sockets(document, beside),
        *scripts.scripts_define_route(document, beside),
    ]
    if schema.settings is not None:
        findings += sections.sections_say_something(document)
        findings += timing.timeouts_make_sense(document, schema.settings)
        findings += proxies.proxies_are_not_everybody(document, schema.settings)
        findings += allowances.allowances_have_an_effect(document, schema.settings)
        findings += retention.classes_fit_together(document, schema.settings)
        findings += retention.running_months_are_known(document, schema.settings)
        findings += sharing.counters_are_shared(document, schema.settings)
        findings += sharing.answers_can_be_kept(document, schema.settings)
        findings += queues.queues_have_an_effect(document, schema.settings)
        findings += graph.groups_can_serve(document, schema.settings)
        findings += graph.models_say_what_they_can(document, schema.settings)
        findings += graph.rests_have_an_order(document, schema.settings)
        findings += reports.baselines_have_prices(document, schema.settings)
        findings += prices.prices_follow_one_another(document, schema.settings)
        findings += connections.tls_is_spoken(document, schema.settings)
        findings += connections.proxies_are_usable(
            document, schema.settings, environment
        )
    if today is not None and schema.settings is not None:
        findings += prices.prices_are_in_force(document, schema.settings, today)
    if today is not None:
        findings += identities.active_callers_are_current(document, sketch, today)
    wrong = {found.key_path for found in findings if found.is_error}
    findings += (found for found in not_built(document) if found.key_path not in wrong)
    return Checked(
        settings=None if wrong else schema.settings,
        findings=in_reading_order(findings),
    )


def not_built(document: Document) -> Iterator[Finding]:
    """Yield a warning for each key of the file whose capability is not built yet."""
    for path, mark in unbuilt(document.root):
        yield document.warning(
            path,
            f"not built yet: {mark.capability}; the setting has no effect",
            "keep it for a later version, or remove it to silence this warning",
        )
