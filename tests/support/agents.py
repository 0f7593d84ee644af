"""Coding agents, told to do one task without anybody to ask."""

import json
import re
import struct
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from tests.support.repository import ROOT
from tests.support.scene import Scene, npm_program
from tests.support.stage import Ended
from tools.clients import python_home

_TOY_SERVER: Final = ROOT / "tests/clients/toy_mcp.py"
_BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EXPORT: Final = re.compile(r"^export (\w+)=(.*)$", re.MULTILINE)
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
    "DISABLE_TELEMETRY": "1",
    "DISABLE_AUTOUPDATER": "1",
    "IS_SANDBOX": "1",
}


def told(scene: Scene, page: str, language: str, *, at: int = 0) -> str:
    """Return a block of a page of the documentation, with the router's own address.

    What users are told is what is tried.
    """
    text = (ROOT / "docs" / page).read_text("utf-8")
    blocks = [block for kind, block in _BLOCK.findall(text) if kind == language]
    return str(blocks[at]).replace("https://router.example", scene.url)


def exported(scene: Scene, page: str, *, at: int = 0) -> dict[str, str]:
    """Return the variables that a page says to export, with the caller's token."""
    return {
        name: scene.token if value.startswith("rtr_") else value
        for name, value in _EXPORT.findall(told(scene, page, "sh", at=at))
    }


def codex(
    scene: Scene,
    prompt: str,
    *,
    model: str = "chat",
    images: Sequence[str] = (),
    settings: Sequence[str] = (),
    built_in: bool = False,
    within_s: float = 240,
) -> Ended:
    """Let Codex CLI do a task; `settings` are more of its `key=value` settings.

    With `built_in` it uses its own provider, pointed here, and not one of ours.
    """
    home = scene.stage.home / "codex"
    home.mkdir(exist_ok=True)
    page = told(scene, "clients-codex.md", "toml", at=2 if built_in else 0)
    (home / "config.toml").write_text(page)
    own = ("analytics.enabled=false", f'model="{model}"', *settings)
    return scene.run(
        npm_program(*_CODEX),
        *("exec", "--json", "--ephemeral", "--ignore-rules"),
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
    within_s: float = 240,
) -> Ended:
    """Let Claude Code do a task."""
    return scene.run(
        npm_program(*_CLAUDE),
        *("--print", "--model", model, "--output-format", "json"),
        *("--permission-mode", "acceptEdits", f"--allowedTools={tools}"),
        *options,
        *("--", prompt),
        environment={
            **exported(scene, "clients-claude-code.md"),
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
    scene: Scene, prompt: str, *, provider: str, within_s: float = 240
) -> Ended:
    """Let opencode do a task through one of the providers that its page has."""
    settings = told(scene, "clients-opencode.md", "json")
    (scene.work / "opencode.json").write_text(settings)
    return scene.run(
        npm_program(*_OPENCODE),
        *("run", "-m", f"{provider}/chat", prompt),
        environment={"ROUTER_TOKEN": scene.token, **_OPENCODE_ALONE},
        within_s=within_s,
    )


def aider(
    scene: Scene,
    prompt: str,
    *files: str,
    kind: Literal["openai", "anthropic"],
    within_s: float = 240,
) -> Ended:
    """Let aider edit files in its folder, through a provider of this kind."""
    environment = exported(
        scene, "clients-aider.md", at=("openai", "anthropic").index(kind)
    )
    return scene.run(
        str(python_home("aider") / "bin/aider"),
        *(
            "--model",
            f"{kind}/chat",
            "--edit-format",
            "diff",
            "--no-git",
            "--yes-always",
        ),
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
