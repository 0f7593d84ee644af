"""The files of a demo: its configuration, and tokens that are fresh at each start.

Only hashes of tokens are ever stored, so a token cannot be shown a second time. Each
start therefore makes new ones and puts their hashes in the place of the old.
"""

import fcntl
import os
import secrets
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from smart_llmrouter.cli.options import Llm
from smart_llmrouter.core.identity import token_digest

ORDINARY_CALLER: Final = "demo-app"
ADMIN_CALLER: Final = "demo-admin"
LOCAL_MODEL: Final = "gemma-3-270m"

_SECRET_BYTES: Final = 32
_TOKEN_IDS: Final[Mapping[str, str]] = {
    ORDINARY_CALLER: "rtr_app_demo_dev_k1",
    ADMIN_CALLER: "rtr_operator_demo_dev_k1",
}
_OUR_PROVIDERS: Final = ("first", "second", "local")
_FILE_NAMES: Final[Mapping[Llm, str]] = {
    "mock": "router.yaml",
    "local": "router-local.yaml",
}

_MOCK_PROVIDERS: Final = """\
providers:
  # Two providers, so that one can stand in for the other, though they speak different
  # dialects. Here both are the same mock; a real one has its own base_url, and a key
  # from the environment:
  #   api_key: $${ACME_API_KEY}
  first:
    dialect: openai-chat
    base_url: $base_url
    models:
      large:
        model: mock-large             # the provider's own name of the model
        input: [text, image]          # what it can do: what is not here is not there
        tools: [function, forced_choice, parallel]
        structured_outputs: true
        reasoning: {levels: [low, medium, high]}
        price: {input_per_million: 2.00, cached_input_per_million: 0.20, \
output_per_million: 8.00}
  second:
    dialect: anthropic-messages
    base_url: $base_url
    models:
      small:
        model: mock-small
        input: [text, image]
        tools: [function, forced_choice, parallel]
        structured_outputs: true
        reasoning: {levels: [low, medium, high]}
        price: {input_per_million: 0.25, cached_input_per_million: 0.025, \
output_per_million: 2.00}

groups:                               # what callers name as "model"
  chat:
    strategy: failover                # first/large; second/small where that fails
    targets:
      - use: first/large
      - use: second/small
    bridges: best-effort              # they speak different dialects
  fast:
    strategy: static
    targets:
      - use: second/small
"""

_LOCAL_PROVIDERS: Final = """\
providers:
  # llama.cpp with Gemma 3 270M, on this machine's CPU.
  local:
    dialect: openai-chat
    base_url: $base_url
    models:
      gemma:
        model: gemma-3-270m
        input: [text]
        price: {input_per_million: 0, output_per_million: 0}

groups:                               # what callers name as "model"
  chat:
    strategy: failover
    targets:
      - use: local/gemma
  fast:
    strategy: static
    targets:
      - use: local/gemma
"""

_CONFIGURATION: Final = """\
# The configuration of the demo. Change what you like; the next start keeps it, except
# for the addresses of the demo's own processes and the token hashes of the two demo
# callers, which are written anew.

server:
  listen: $listen
  default_group: chat                 # for requests that name no model

state:
  directory: $state
  database: sqlite

$providers
users:
  - {id: app, name: An application, status: active}
  - {id: operator, name: Whoever runs the router, status: active}
projects:
  - {id: demo, name: Demo, status: active}
project_memberships:
  - {user: app, project: demo, role: developer, status: active}
  - {user: operator, project: demo, role: admin, status: active}

callers:                              # one entry a token; only its SHA-256 is kept
  - id: demo-app
    owner_user: app
    project: demo
    environment: dev
    status: active
    token_id: rtr_app_demo_dev_k1
    token_sha256: "$app_sha256"
    allow: [chat, fast]
  - id: demo-admin
    owner_user: operator
    project: demo
    environment: dev
    status: active
    token_id: rtr_operator_demo_dev_k1
    token_sha256: "$admin_sha256"
    allow: [chat, fast]
    metrics_admin: true               # may read /metrics
"""


class UnusableDemo(Exception):
    """The demo directory holds a configuration that cannot be used; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoFiles:
    """What is in place now. `tokens` are those of the demo callers that are there."""

    configuration: Path
    state: Path
    tokens: Mapping[str, str]
    created: bool


@contextmanager
def only_demo_in(directory: Path) -> Generator[None]:
    """Hold `directory` (made if needed) against a second demo while the block runs.

    Raises `UnusableDemo` where another one has it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "demo.lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UnusableDemo(
                f"a demo is running in {directory} already; stop it first, or give "
                "this one another --directory"
            ) from error
        yield


def prepare(directory: Path, *, llm: Llm, listen: str, base_url: str) -> DemoFiles:
    """Write the configuration, or renew addresses and tokens of the one that is there.

    `directory` is there already.
    Raises `UnusableDemo` where the file there is not what it was made as, `OSError`
    where nothing can be written.
    """
    path = directory / _FILE_NAMES[llm]
    state = directory / "state"
    tokens = {
        caller: f"{token_id}_{secrets.token_hex(_SECRET_BYTES)}"
        for caller, token_id in _TOKEN_IDS.items()
    }
    created = not path.exists()
    if created:
        _write(directory / ".gitignore", "*\n")
        _write(path, _fresh(llm, state, listen, base_url, tokens))
    else:
        tokens = _renew(path, listen=listen, base_url=base_url, tokens=tokens)
    return DemoFiles(configuration=path, state=state, tokens=tokens, created=created)


def _fresh(
    llm: Llm, state: Path, listen: str, base_url: str, tokens: Mapping[str, str]
) -> str:
    providers = _MOCK_PROVIDERS if llm == "mock" else _LOCAL_PROVIDERS
    return Template(_CONFIGURATION).substitute(
        listen=listen,
        state=f"./{state.name}",
        providers=Template(providers).substitute(base_url=base_url),
        app_sha256=_sha256(tokens[ORDINARY_CALLER]),
        admin_sha256=_sha256(tokens[ADMIN_CALLER]),
    )


def _renew(
    path: Path, *, listen: str, base_url: str, tokens: Mapping[str, str]
) -> dict[str, str]:
    """Renew addresses and hashes in `path`; return the tokens that now count."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    try:
        document = yaml.load(path)
        document["server"]["listen"] = listen
        for name, provider in document["providers"].items():
            if name in _OUR_PROVIDERS:
                provider["base_url"] = base_url
        found = {}
        for caller in document["callers"]:
            if caller["id"] in tokens:
                found[caller["id"]] = tokens[caller["id"]]
                caller["token_sha256"] = _sha256(tokens[caller["id"]])
    except (
        YAMLError,
        KeyError,
        TypeError,
        AttributeError,
        UnicodeDecodeError,
    ) as error:
        raise UnusableDemo(
            f"{path} is not what a demo can start from: {error!r}; mend it, or "
            "remove the file for a fresh one"
        ) from error
    beside = path.with_name(path.name + ".new")
    with beside.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)
    beside.replace(path)
    return found


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _sha256(token: str) -> str:
    return token_digest(token.encode()).hex()
