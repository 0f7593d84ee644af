"""What reports compare with must have a price."""

from collections.abc import Iterator

from smart_llmrouter.config.document import Document
from smart_llmrouter.config.findings import Finding, quoted, suggestion
from smart_llmrouter.config.schema import Settings


def baselines_have_prices(document: Document, settings: Settings) -> Iterator[Finding]:
    """Yield an error for each baseline that is no model, or that has no price."""
    models = {
        f"{provider}/{key}": model
        for provider, fields in settings.providers.items()
        for key, model in fields.models.items()
    }
    for index, name in enumerate(settings.reports.baselines):
        path = ("reports", "baselines", index)
        if name not in models:
            meant = suggestion(name, models)
            yield document.error(
                path,
                f"{quoted(name)} is no model of any provider",
                f"did you mean {quoted(meant)}?"
                if meant
                else "write `provider/model`, as under `providers`",
            )
        elif not models[name].prices:
            yield document.error(
                path,
                f"{quoted(name)} has no price to compare with",
                "give the model a price, or compare with another one",
            )
