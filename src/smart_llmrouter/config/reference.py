"""The Configuration page of the documentation, made from the models.

`python -m smart_llmrouter.config.reference` prints it.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from smart_llmrouter.config.jsonschema import json_schema
from smart_llmrouter.config.schema import Settings
from smart_llmrouter.config.schema.kinds import (
    ID_PATTERN,
    NAME_PATTERN,
    WORD_PATTERN,
)
from smart_llmrouter.config.schema.tree import Key, keys_of
from smart_llmrouter.config.yamltext import flow_list, scalar

# A JSON Schema is a wire format: its values have any type.
_Node = Mapping[str, Any]

_HEAD: Final = """\
# Configuration

One YAML file says everything. It is read, checked and compiled when the router starts;
every mistake in it is reported at once, with line, column, key path and what to do.

```console
$ smart-llmrouter config check router.yaml     # every mistake at once
$ smart-llmrouter config show router.yaml      # what is in force, secrets masked
$ smart-llmrouter config schema > schema.json  # JSON Schema, for editors
```

Every command takes the file with `--config`, from `$SMART_LLMROUTER_CONFIG`, or as
`./router.yaml`.

Two variables of the environment are about the machine rather than the service, and
are no settings of the file:

- `SMART_LLMROUTER_CONFIG` names the configuration file, where `--config` does not.
- `SMART_LLMROUTER_INGESTER_CPUS`, such as `1` or `0,2-3`, says on which processors
  `serve` keeps its [ingester](usage-records.md#the-ingester-yields); any, where it is
  not set.

## Rules of the file

- **Everything is optional** except one provider, one group and one caller, with the
  user, the project and the membership that an active caller needs.
- **Unknown keys are errors**, and so is a key that is there twice.
- **Secrets are never in the file.** `${ENV_NAME}` stands for a variable and
  `file:/run/secrets/name` for a file; a header may have `${ENV_NAME}` within its value,
  as in `Bearer ${ENV_NAME}`. References are for `api_key`, `headers`, `state.database`
  and `state.counters`. What looks like a key in clear text is an error, and no message
  ever shows it.
- **Relative paths** (`state.directory`, `file:`, `unix_socket`, those of `tls`, and of
  scripts) start at the directory of the file.
- **Ids** of providers, users, projects, environments, keys and callers are
  `[a-z0-9][a-z0-9-]{0,62}`. Group names, aliases and model keys are
  `[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}`.
- **YAML 1.2**: `yes`, `no`, `on` and `off` are texts; a decimal keeps its digits, and
  no price is ever rounded through a float. Anchors and aliases stand for whole values;
  merge keys (`<<`), tags and several documents are refused.
- **Every active caller** needs an active owner, an active project and an active
  membership of the one in the other. Ids, token ids and token hashes are unique, as are
  group names and aliases together.
- **Not built yet** marks settings that are accepted and checked, but have no effect in
  this version; `config check` warns where a file sets one.
- **The fingerprint** (`cfg_…`, first line of `config show`, in every usage record) is
  made from all effective settings. Comments, layout and the order of keys do not change
  it, and neither does the value of a secret.

## A whole file

```yaml
--8<-- "examples/router.yaml"
```
"""

_PATTERNS: Final[Mapping[str, str]] = {
    ID_PATTERN: "id",
    NAME_PATTERN: "name",
    WORD_PATTERN: "word",
}
_FORMATS: Final = {"date": "date", "date-time": "time"}
_UNMARKED: Final = ("$ref", "anyOf", "enum", "pattern", "type")


def configuration_page() -> str:
    """Return the whole page as Markdown."""
    parts = [_HEAD]
    definitions = json_schema()["$defs"]
    for title, path, section in _sections():
        node = json_schema() if section is Settings else definitions[section.__name__]
        parts += [f"## {title}\n", f"{_sentence(section)}\n"]
        if path:
            parts.append(f"Stands at {path}.\n")
        parts += [
            "| key | value | default | what it does |",
            "| --- | --- | --- | --- |",
        ]
        parts += [_row(key, node["properties"][key.name]) for key in keys_of(section)]
        parts.append("")
    return "\n".join(parts)


def _sections() -> Iterator[tuple[str, str, type[BaseModel]]]:
    """Yield each section once: its title, the paths where it stands, and its model."""
    places: dict[type[BaseModel], list[str]] = {}
    _visit(Settings, "", places)
    for section, paths in places.items():
        written = ", ".join(f"`{path}`" for path in paths if path)
        yield _title(section), written, section


def _visit(
    section: type[BaseModel], path: str, places: dict[type[BaseModel], list[str]]
) -> None:
    known = section in places
    places.setdefault(section, []).append(path)
    if known:
        return
    for key in keys_of(section):
        if key.inner is not None:
            ending = {"list": "[]", "mapping": ".*"}.get(key.holds, "")
            prefix = f"{path}." if path else ""
            _visit(key.inner, f"{prefix}{key.name}{ending}", places)


def _title(section: type[BaseModel]) -> str:
    if section is Settings:
        return "The top of the file"
    name = section.__name__
    words = "".join(
        f" {letter.lower()}" if letter.isupper() else letter for letter in name
    )
    return words.strip().capitalize()


def _sentence(section: type[BaseModel]) -> str:
    text = (section.__doc__ or "").strip()
    return "\n".join(line.strip() for line in text.splitlines())


def _row(key: Key, node: _Node) -> str:
    text = node.get("description", key.field.description or "")
    if key.not_built is not None:
        scope = "not built yet"
        if key.not_built.applies is not None:
            scope = f"not built yet: {key.not_built.capability}"
        text = f"{text} **({scope})**"
    cells = (f"`{key.name}`", _value(key, node), _default(key), text)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(key: Key) -> str:
    if key.field.is_required():
        return "required"
    default = key.field.get_default(call_default_factory=True)
    if default is None or isinstance(default, BaseModel):
        return ""
    if isinstance(default, tuple):
        return f"`{flow_list(default)}`"
    return "`{}`" if isinstance(default, dict) else f"`{scalar(default)}`"


def _value(key: Key, node: _Node) -> str:
    if key.inner is not None:
        title = _title(key.inner)
        link = f"[{title.lower()}](#{title.lower().replace(' ', '-')})"
        return {
            "list": f"list of {link}",
            "mapping": f"mapping of names to {link}",
            "one-or-list": f"{link}, or a list of them",
        }.get(key.holds, link)
    return _kind(node)


def _kind(node: _Node) -> str:
    """Say in words what a JSON Schema node accepts."""
    for sign in _UNMARKED:
        if sign in node:
            return _KINDS[sign](node)
    return "text"


def _any_of(node: _Node) -> str:
    kinds = [_kind(part) for part in node["anyOf"] if part.get("type") != "null"]
    return " or ".join(dict.fromkeys(kinds))


def _typed(node: _Node) -> str:
    kind = str(node["type"])
    if kind == "array":
        return f"list of {_kind(node.get('items', {}))}"
    if kind == "object":
        return f"mapping of names to {_kind(node.get('additionalProperties', {}))}"
    if kind == "string":
        return _FORMATS.get(node.get("format", ""), "text")
    if kind == "boolean":
        return "`true` or `false`"
    return f"{'whole number' if kind == 'integer' else 'number'}{_bounds(node)}"


def _bounds(node: _Node) -> str:
    low = node.get("minimum", node.get("exclusiveMinimum"))
    high = node.get("maximum")
    if low is None or high is None:
        return ""
    above = "above " if "exclusiveMinimum" in node else "from "
    return f", {above}{low:g} to {high:.0f}"


_KINDS: Final[Mapping[str, Callable[[_Node], str]]] = {
    "$ref": lambda node: str(node["$ref"]).rpartition("/")[2],
    "anyOf": _any_of,
    "enum": lambda node: " or ".join(f"`{value}`" for value in node["enum"]),
    "pattern": lambda node: _PATTERNS.get(node["pattern"], "text"),
    "type": _typed,
}


if __name__ == "__main__":
    sys.stdout.write(configuration_page())
