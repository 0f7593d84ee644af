"""`smart-llmrouter config`: the command line as a person meets it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from smart_llmrouter.config.reader import read_file
from tests.support.configuration import ENVIRONMENT, KEY, SMALL, changed
from tests.support.repository import ROOT
from tests.support.wait import PATIENCE_S

EXAMPLE = ROOT / "examples" / "router.yaml"
PROGRAM = Path(sys.executable).with_name("smart-llmrouter")
TEN_MISTAKES = """\
server:
  keepalive_after_s: -1
  port: 8080
state:
  directory: ./state
  directory: ./other
providers:
  acme:
    dialect: openai
    base_url: https://api.acme.example/v1
    api_key: sk-canary-0123456789abcdefghij
    models: {mini: {}}
groups:
  chat:
    targets:
      - use: acme/minni
    max_attempts: many
users:
  - {id: alice, status: disabled}
projects:
  - {id: search}
project_memberships:
  - {user: alice, project: searhc}
callers:
  - id: alice-search-dev
    owner_user: alice
    project: search
    environment: dev
    token_sha256: REPLACE_WITH_SHA256_HEX
    allow: [chat]
"""


def config(*arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run `smart-llmrouter config` in a process of its own."""
    return subprocess.run(
        [PROGRAM, "config", *map(str, arguments)],
        env={"PATH": os.environ["PATH"], **ENVIRONMENT, **more},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a small, right configuration."""
    path = tmp_path / "router.yaml"
    path.write_text(SMALL)
    return path


def test_ten_mistakes_are_ten_lines_with_their_places(path: Path) -> None:
    """Each has file, line, column, severity and key path; the exit code is 1."""
    path.write_text(TEN_MISTAKES)

    done = config("check", path)

    lines = [line for line in done.stdout.splitlines() if line.startswith(str(path))]
    told = [line.removeprefix(f"{path}:").split(": ")[:3] for line in lines]
    assert told == [
        ["2:22", "error", "server.keepalive_after_s"],
        ["3:3", "error", "server.port"],
        ["6:3", "error", "state.directory"],
        ["9:14", "error", "providers.acme.dialect"],
        ["11:14", "error", "providers.acme.api_key"],
        ["16:14", "error", "groups.chat.targets[0].use"],
        ["17:19", "error", "groups.chat.max_attempts"],
        ["23:28", "error", "project_memberships[0].project"],
        ["26:17", "error", "callers[0].owner_user"],
        ["29:19", "error", "callers[0].token_sha256"],
    ]
    assert done.stdout.count("    → ") == 10
    assert done.stdout.endswith("10 errors, 0 warnings\n")
    assert done.returncode == 1
    assert KEY not in done.stdout + done.stderr


def test_a_right_file_passes(path: Path) -> None:
    """Nothing to say is said, with exit code 0."""
    done = config("check", path)

    assert (done.returncode, done.stdout) == (0, f"{path}: no errors, no warnings\n")


def test_warnings_fail_only_when_asked(path: Path) -> None:
    """`--strict` is for pipelines that want no warning either."""
    path.write_text(f"{SMALL}    limits: {{tpm: 10}}\n")

    relaxed, strict = config("check", path), config("check", path, "--strict")

    assert relaxed.stdout.endswith("0 errors, 1 warning\n")
    assert (relaxed.returncode, strict.returncode) == (0, 1)


def test_findings_can_be_read_by_programs(path: Path) -> None:
    """JSON holds the same facts as fields."""
    path.write_text(changed("strategy: failover", "strategy: failovr"))

    done = config("check", path, "--format", "json")

    assert json.loads(done.stdout) == {
        "file": str(path),
        "fingerprint": None,
        "errors": 1,
        "warnings": 0,
        "findings": [
            {
                "severity": "error",
                "file": str(path),
                "line": 13,
                "column": 15,
                "key_path": "groups.chat.strategy",
                "message": "`failovr` is not a known value",
                "remedy": (
                    "did you mean `failover`? Known: static, failover, weighted,"
                    " dynamic, rules, script, external"
                ),
                "awaits": None,
            }
        ],
    }
    assert done.returncode == 1


@pytest.mark.parametrize("way", ["argument", "option", "environment"])
def test_the_file_can_be_named_in_three_ways(path: Path, way: str) -> None:
    """As an argument, with --config, or by the environment."""
    arguments: dict[str, list[str | Path]] = {
        "argument": [path],
        "option": ["--config", path],
        "environment": [],
    }
    more = {"SMART_LLMROUTER_CONFIG": str(path)} if way == "environment" else {}

    done = config("check", *arguments[way], **more)

    assert (done.returncode, done.stdout) == (0, f"{path}: no errors, no warnings\n")


def test_a_file_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    """A wrong path is one clear line and exit code 1, not a traceback."""
    done = config("check", tmp_path / "none.yaml")

    assert done.returncode == 1
    assert "the file cannot be read: no such file or directory" in done.stdout
    assert "Traceback" not in done.stderr


def test_the_whole_example_is_accepted() -> None:
    """The example has every key; all that is said is what is not built yet."""
    done = config("check", EXAMPLE, "--format", "json")

    found = json.loads(done.stdout)
    messages = {each["message"].partition(":")[0] for each in found["findings"]}
    assert done.returncode == 0
    assert found["errors"] == 0
    assert found["fingerprint"].startswith("cfg_")
    assert messages == {"not built yet"}


def test_show_fills_in_defaults_and_masks_secrets(path: Path) -> None:
    """The source of a secret is shown, the secret and hashes are not."""
    done = config("show", path)

    assert done.returncode == 0
    assert 'api_key: "********"  # from ${ACME_API_KEY}' in done.stdout
    assert 'token_sha256: "********"' in done.stdout
    assert "  max_request_bytes: 33554432\n" in done.stdout
    assert "    bridges: best-effort\n" in done.stdout
    assert "  journal_sync: interval\n" in done.stdout
    assert "# fingerprint: cfg_" in done.stdout
    assert KEY not in done.stdout


def test_what_is_shown_is_yaml(tmp_path: Path) -> None:
    """The output of `show` can be read like any YAML file."""
    done = config("show", EXAMPLE)

    shown = tmp_path / "shown.yaml"
    shown.write_text(done.stdout)
    reading = read_file(shown)
    assert reading.findings == ()
    assert reading.document is not None
    assert list(reading.document.root) == [
        "server", "state", "upstream", "diagnostics", "retention", "providers",
        "groups", "users", "projects", "project_memberships", "callers",
        "reports", "cache",
    ]  # fmt: skip


def test_show_of_a_wrong_file_tells_the_mistakes(path: Path) -> None:
    """There is no effective configuration; standard output stays empty."""
    path.write_text(changed("strategy: failover", "strategy: failovr"))

    done = config("show", path)

    assert (done.returncode, done.stdout) == (1, "")
    assert "groups.chat.strategy" in done.stderr


def test_the_schema_knows_every_key() -> None:
    """Editors get a JSON Schema with descriptions, bounds and no unknown keys."""
    done = config("schema")

    schema = json.loads(done.stdout)
    server = schema["$defs"]["Server"]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["required"] == ["providers", "groups", "callers"]
    assert server["additionalProperties"] is False
    assert server["properties"]["workers"]["maximum"] == 256
    assert done.returncode == 0


def test_an_expired_caller_that_is_called_active_is_warned_about(
    tmp_path: Path,
) -> None:
    """The file is served all the same; a caller that is switched off is no news."""
    expired = changed("    token_id:", '    expires_at: "2026-01-01"\n    token_id:')
    path = tmp_path / "router.yaml"
    path.write_text(expired)
    warned = config("check", path)
    path.write_text(
        changed("    expires_at", "    status: expired\n    expires_at", expired)
    )
    quiet = config("check", path)

    assert (warned.returncode, quiet.returncode) == (0, 0)
    assert "warning: callers[0].expires_at: the caller is active" in warned.stdout
    assert "no errors, no warnings" in quiet.stdout


def test_a_database_without_its_driver_is_a_finding(tmp_path: Path) -> None:
    """As `serve` has it, with the place in the file and what to install."""
    path = tmp_path / "router.yaml"
    path.write_text("state:\n  database: ${USAGE_DATABASE}\n" + SMALL)
    url = "postgresql://router:hunter2@127.0.0.1:1/usage"
    program = (
        "import sys; sys.modules['psycopg'] = None; "
        "from smart_llmrouter.cli.main import app; app()"
    )

    without = subprocess.run(
        [sys.executable, "-c", program, "config", "check", str(path)],
        env={**os.environ, **ENVIRONMENT, "USAGE_DATABASE": url},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    there = config("check", path, USAGE_DATABASE=url)

    assert without.returncode == 1
    assert f"{path}:2:13: error: state.database: " in without.stdout
    assert "a driver that is not installed" in without.stdout
    assert "→ run pip install 'smart-llmrouter[postgres]'" in without.stdout
    assert "hunter2" not in without.stdout + without.stderr
    assert there.returncode == 0, there.stdout
