"""Coding agents, told to do one task without anybody to ask."""

import json
import struct
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.support.repository import ROOT
from tests.support.scene import Scene, npm_program
from tests.support.stage import Ended
from tools.clients import python_home

_TOY_SERVER: Final = ROOT / "tests/clients/toy_mcp.py"
_CODEX: Final = (".bin", "codex")
_CLAUDE: Final = ("@anthropic-ai", "claude-code-linux-x64", "claude")
_OPENCODE: Final = ("opencode-linux-x64", "bin", "opencode")
_OPENCODE_ALONE: Final = {
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
}
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
    built_in: bool = False,
    within_s: float = 120,
) -> Ended:
    """Let Codex CLI do a task; `settings` are more of its `key=value` settings.

    With `built_in` it uses its own provider, pointed here, and not one of ours.
    """
    home = scene.stage.home / "codex"
    home.mkdir(exist_ok=True)
    provider = (
        (f'openai_base_url="{scene.url}/v1"',)
        if built_in
        else (
            'model_provider="router"',
            'model_providers.router.name="router"',
            f'model_providers.router.base_url="{scene.url}/v1"',
            'model_providers.router.env_key="ROUTER_TOKEN"',
            'model_providers.router.wire_api="responses"',
        )
    )
    own = ("analytics.enabled=false", f'model="{model}"', *provider, *settings)
    return scene.run(
        npm_program(*_CODEX),
        "exec",
        *("--json", "--ignore-user-config", "--ephemeral", "--ignore-rules"),
        *("--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"),
        *("--disable", "plugins", "-o", str(scene.directory / "last.txt")),
        *(word for setting in own for word in ("-c", setting)),
        *(word for image in images for word in ("-i", image)),
        *("--", prompt),
        environment={
            "CODEX_HOME": str(home),
            "CODEX_API_KEY" if built_in else "ROUTER_TOKEN": scene.token,
        },
        within_s=within_s,
    )


def codex_toy(scene: Scene) -> Sequence[str]:
    """Return settings that give Codex CLI the server `toy`; see `sums`."""
    return (
        f'mcp_servers.toy.command="{sys.executable}"',
        f'mcp_servers.toy.args=["{_TOY_SERVER}", "{_sums(scene)}"]',
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
    environment: Mapping[str, str] | None = None,
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
            **(environment or {}),
        },
        within_s=within_s,
    )


def claude_toy(scene: Scene) -> Sequence[str]:
    """Return options that give Claude Code the server `toy`; see `sums`."""
    toy = {"command": sys.executable, "args": [str(_TOY_SERVER), str(_sums(scene))]}
    return ("--mcp-config", json.dumps({"mcpServers": {"toy": toy}}))


def claude_said(ended: Ended) -> str:
    """Return the last thing that Claude Code said to its user."""
    try:
        result: Any = json.loads(ended.stdout)
    except ValueError:
        return ""
    return str(result.get("result", ""))


def opencode(
    scene: Scene, prompt: str, *, package: str, within_s: float = 150
) -> Ended:
    """Let opencode do a task through one of its provider packages."""
    provider = {
        "npm": package,
        "name": "router",
        "options": {"baseURL": f"{scene.url}/v1", "apiKey": "{env:ROUTER_TOKEN}"},
        "models": {"chat": {"name": "chat"}},
    }
    settings = {"share": "disabled", "provider": {"router": provider}}
    (scene.work / "opencode.json").write_text(json.dumps(settings))
    return scene.run(
        npm_program(*_OPENCODE),
        *("run", "-m", "router/chat", prompt),
        environment={"ROUTER_TOKEN": scene.token, **_OPENCODE_ALONE},
        within_s=within_s,
    )


def aider(
    scene: Scene,
    prompt: str,
    *files: str,
    model: str,
    environment: Mapping[str, str],
    within_s: float = 150,
) -> Ended:
    """Let aider edit files in its folder."""
    return scene.run(
        str(python_home("aider") / "bin/aider"),
        *("--model", model, "--edit-format", "diff", "--no-git", "--yes-always"),
        *("--no-check-update", "--analytics-disable", "--no-show-model-warnings"),
        *("--no-show-release-notes", "--no-pretty", "--map-tokens", "0"),
        *("--message", prompt, *files),
        environment={"LITELLM_LOCAL_MODEL_COST_MAP": "True", **environment},
        within_s=within_s,
    )


def sums(scene: Scene) -> list[str]:
    """Return the sums that the tool `add` of the server `toy` made."""
    file = _sums(scene)
    return file.read_text().split() if file.exists() else []


def _sums(scene: Scene) -> Path:
    return scene.directory / "sums.txt"


def red_png(scene: Scene) -> Path:
    """Put a small picture into the folder where the agent works."""
    side = 16
    lines = side * (b"\0" + side * b"\xff\0\0")
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    file = scene.work / "red.png"
    file.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
            for kind, content in chunks
        )
    )
    return file
