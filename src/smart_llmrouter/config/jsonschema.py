"""The JSON Schema of the configuration file, made from the same models."""

from pydantic.json_schema import JsonSchemaValue

from smart_llmrouter.config.schema import Settings


def json_schema() -> JsonSchemaValue:
    """Return the JSON Schema (2020-12) that editors complete and check with."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Settings.model_json_schema(),
        "title": "smart-llmrouter configuration",
    }
