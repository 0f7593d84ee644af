"""The Configuration page and the JSON Schema say what the models say."""

from collections.abc import Iterator

from pydantic import BaseModel

from smart_llmrouter.config.document import Document
from smart_llmrouter.config.jsonschema import json_schema
from smart_llmrouter.config.reader import read_file
from smart_llmrouter.config.reference import configuration_page
from smart_llmrouter.config.schema import Settings
from smart_llmrouter.config.schema.tree import keys_of, unbuilt
from tests.support.repository import ROOT


def sections(section: type[BaseModel] = Settings) -> Iterator[type[BaseModel]]:
    """Yield every section that a file may hold, some of them more than once."""
    yield section
    for key in keys_of(section):
        if key.inner is not None:
            yield from sections(key.inner)


EXAMPLE = ROOT / "examples" / "router.yaml"


def example() -> Document:
    """Read the example configuration."""
    document = read_file(EXAMPLE).document
    assert document is not None
    return document


def test_the_page_is_fresh() -> None:
    """The committed page is what the models give."""
    written = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")

    assert written == configuration_page(), (
        "docs/configuration.md is stale:"
        " python -m smart_llmrouter.config.reference > docs/configuration.md"
    )


def test_every_key_is_explained() -> None:
    """No setting is without a description, and each is on the page."""
    page = configuration_page()
    keys = [(section, key) for section in set(sections()) for key in keys_of(section)]

    silent = [
        f"{section.__name__}.{key.name}"
        for section, key in keys
        if not key.field.description or f"| `{key.name}` |" not in page
    ]

    assert len(keys) > 100
    assert silent == []


def test_the_example_shows_every_section() -> None:
    """Each key at the top, and of the sections there, stands in the example.

    A section that cannot be empty may stand there as a comment.
    """
    root = example().root
    comments = EXAMPLE.read_text(encoding="utf-8")

    missing = [
        f"{top.name}.{key.name}"
        for top in keys_of(Settings)
        if top.holds == "section" and top.inner is not None
        for key in keys_of(top.inner)
        if key.name not in str(root[top.name]) and f"\n  # {key.name}:" not in comments
    ]

    assert [key.name for key in keys_of(Settings) if key.name not in root] == []
    assert missing == []


def test_a_marked_section_is_found_once() -> None:
    """What is not built is told by section, not by each key within it."""
    paths = [path for path, _ in unbuilt(example().root)]

    assert ("groups", "chat", "contract", "quality") in paths
    assert ("groups", "chat", "contract", "quality", "gate") not in paths
    assert ("callers", 0, "limits") not in paths
    assert ("server", "workers") not in paths
    assert ("upstream", "transport") not in paths


def test_the_schema_has_bounds_patterns_and_marks() -> None:
    """Editors can tell a wrong number, a wrong name and what has no effect."""
    definitions = json_schema()["$defs"]

    assert definitions["Server"]["properties"]["keepalive_after_s"] == {
        "default": 15.0,
        "description": "Silence after which a stream is opened and kept alive.",
        "exclusiveMinimum": 0,
        "maximum": 86400,
        "title": "Keepalive After S",
        "type": "number",
    }
    assert definitions["User"]["properties"]["id"]["pattern"] == (
        "^[a-z0-9][a-z0-9-]{0,62}$"
    )
    assert definitions["Contract"]["properties"]["quality"]["x-not-built"] == (
        "outcome gates"
    )
