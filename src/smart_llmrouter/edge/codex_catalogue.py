"""The models of a caller as Codex reads them: what it may do with each.

Codex behaves towards a model as its entry says: which tools it offers, when it sums a
conversation up, and with which instructions it begins. An entry without instructions
would leave the model without any, so each has some. What the configuration says of a
group's targets is taken from there, and the least of them counts; where it says
nothing, an entry says what Codex assumes of a model that it does not know.

Versions differ in the fields that they insist on; each entry has them all, and values
that the oldest of them knows. One that cannot be read would void the whole list.
"""

from collections.abc import Iterable
from typing import Final

from smart_llmrouter.config.snapshot import Group
from smart_llmrouter.edge.facts import Facts, facts_of

_ASSUMED_CONTEXT_TOKENS: Final = 272_000
_USABLE_PERCENT: Final = 95
_MOST_TOOL_OUTPUT_TOKENS: Final = 10_000
_EFFORTS: Final = {
    "none": "No reasoning",
    "minimal": "Hardly any reasoning",
    "low": "Quick answers with a little reasoning",
    "medium": "A balance of speed and depth",
    "high": "Deep reasoning for hard problems",
    "xhigh": "The deepest reasoning",
}
"""The levels that every version can read."""

INSTRUCTIONS: Final = """\
You are a coding agent. You work in a terminal on the user's computer, most often \
inside a repository, together with the user who gives you tasks.

# How to work

- Go on until the task is done. Look at the files before you change them, and find \
things out with the tools you have instead of asking or guessing.
- Obey the `AGENTS.md` files: each holds for the directory that it lies in and for all \
below, and a deeper one goes before. What the user says goes before all of them.
- Change what the task needs and nothing else, in the style of the code around it. \
Mend causes instead of symptoms.
- Never undo changes that are not yours, and make no commits or branches unless you \
are asked to.
- When you have changed something, run what shows whether it works: the tests, the \
build, the program itself. Say so if you could not.

# Tools

- Search with `rg` where it is installed.
- Call tools only with arguments that they declare. Calls that do not depend on each \
other may be made at once.
- Edit files with `apply_patch` where you have it, and otherwise with the shell.
- Some commands are only allowed in a sandbox or after approval. If one is refused, \
say what you wanted with it, or find another way.

# What you say

Before a longer piece of work, tell in a sentence what you are about to do. At the \
end, tell what you did and what the user should know, shortly, with paths such as \
`src/app.py:12`. Do not repeat whole files.
"""


def codex_models(groups: Iterable[Group]) -> list[dict[str, object]]:
    """Return the entries for `groups`, each under all its names.

    Only the names of groups are offered for choice; aliases can be asked for.
    """
    named = [(group, name) for group in groups for name in (group.name, *group.aliases)]
    return [
        _entry(name, facts_of(group), offered=name == group.name, priority=at)
        for at, (group, name) in enumerate(named)
    ]


def _entry(
    name: str, facts: Facts, *, offered: bool, priority: int
) -> dict[str, object]:
    context_tokens = facts.context_tokens or _ASSUMED_CONTEXT_TOKENS
    levels = [level for level in _EFFORTS if level in facts.reasoning_levels]
    images = "image" in facts.input
    return {
        "slug": name,
        "display_name": name,
        "description": f"The model group {name} of this router",
        "visibility": "list" if offered else "hide",
        "supported_in_api": True,
        "priority": priority,
        "availability_nux": None,
        "upgrade": None,
        "base_instructions": INSTRUCTIONS,
        "model_messages": {"instructions_template": INSTRUCTIONS},
        "context_window": context_tokens,
        "max_context_window": context_tokens,
        "auto_compact_token_limit": None,
        "effective_context_window_percent": _USABLE_PERCENT,
        "truncation_policy": {"mode": "tokens", "limit": _MOST_TOOL_OUTPUT_TOKENS},
        "input_modalities": ["text", "image"] if images else ["text"],
        "supports_image_detail_original": False,
        **_tools(facts),
        **_reasoning(levels),
    }


def _tools(facts: Facts) -> dict[str, object]:
    """Say which tools are offered; a patch is free text, which only some know."""
    return {
        "shell_type": "unified_exec",
        "apply_patch_tool_type": "freeform" if facts.native_responses else None,
        "web_search_tool_type": "text",
        "supports_parallel_tool_calls": "parallel" in facts.tools,
        "supports_search_tool": False,
        "experimental_supported_tools": [],
        "use_responses_lite": False,
    }


def _reasoning(levels: list[str]) -> dict[str, object]:
    entry: dict[str, object] = {
        "supported_reasoning_levels": [
            {"effort": level, "description": _EFFORTS[level]} for level in levels
        ],
        "supports_reasoning_summaries": bool(levels),
        "supports_reasoning_summary_parameter": bool(levels),
        "default_reasoning_summary": "auto" if levels else "none",
        "support_verbosity": False,
        "default_verbosity": None,
    }
    if levels:
        usual = "medium" if "medium" in levels else levels[(len(levels) - 1) // 2]
        entry["default_reasoning_level"] = usual
    return entry
