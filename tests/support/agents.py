"""Codex CLI and Claude Code, told to do one task without anybody to ask."""

import json
from collections.abc import Sequence
from typing import Any, Final

from tests.support.scene import Scene, npm_program
from tests.support.stage import Ended

_CODEX: Final = (".bin", "codex")
_CLAUDE: Final = ("@anthropic-ai", "claude-code-linux-x64", "claude")
_QUIET: Final = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_AUTOUPDATER": "1",
    "IS_SANDBOX": "1",
}


def codex(
    scene: Scene,
    prompt: str,
    *,
    model: str = "chat",
    images: Sequence[str] = (),
    settings: Sequence[str] = (),
    within_s: float = 120,
) -> Ended:
    """Let Codex CLI do a task; `settings` are more of its `key=value` settings."""
    home = scene.stage.home / "codex"
    home.mkdir(exist_ok=True)
    own = (
        "analytics.enabled=false",
        f'model="{model}"',
        'model_provider="router"',
        'model_providers.router.name="router"',
        f'model_providers.router.base_url="{scene.url}/v1"',
        'model_providers.router.env_key="ROUTER_TOKEN"',
        'model_providers.router.wire_api="responses"',
        *settings,
    )
    return scene.run(
        npm_program(*_CODEX),
        "exec",
        *("--json", "--ignore-user-config", "--ephemeral", "--ignore-rules"),
        *("--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"),
        *("--disable", "plugins", "-o", str(scene.directory / "last.txt")),
        *(word for setting in own for word in ("-c", setting)),
        *(word for image in images for word in ("-i", image)),
        *("--", prompt),
        environment={"CODEX_HOME": str(home), "ROUTER_TOKEN": scene.token},
        within_s=within_s,
    )


def codex_said(scene: Scene) -> str:
    """Return the last thing that Codex CLI said to its user."""
    file = scene.directory / "last.txt"
    return file.read_text() if file.exists() else ""


def claude(
    scene: Scene,
    prompt: str,
    *,
    model: str = "chat",
    tools: str = "Bash,Read,Write,Edit",
    options: Sequence[str] = (),
    within_s: float = 120,
) -> Ended:
    """Let Claude Code do a task."""
    return scene.run(
        npm_program(*_CLAUDE),
        *("--print", "--model", model, "--output-format", "json"),
        *("--permission-mode", "acceptEdits", f"--allowedTools={tools}"),
        *options,
        *("--", prompt),
        environment={
            "ANTHROPIC_BASE_URL": scene.url,
            "ANTHROPIC_AUTH_TOKEN": scene.token,
            **_QUIET,
        },
        within_s=within_s,
    )


def claude_said(ended: Ended) -> str:
    """Return the last thing that Claude Code said to its user."""
    try:
        result: Any = json.loads(ended.stdout)
    except ValueError:
        return ""
    return str(result.get("result", ""))
