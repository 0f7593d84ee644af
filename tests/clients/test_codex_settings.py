"""Codex CLI with its own provider, with the router's catalogue, and out of room."""

import json
import sys
from collections.abc import Callable

import pytest

from tests.support.agents import codex, codex_said
from tests.support.scene import DIALECTS, Scene

SetScene = Callable[..., Scene]

UNKNOWN = "Model metadata for `chat` not found"


@pytest.mark.parametrize("upstream", ["openai-chat", "openai-responses"])
def test_the_built_in_provider_falls_back_to_http_at_once(
    set_scene: SetScene, upstream: str
) -> None:
    """The WebSocket that Codex wants is declined once, and each turn is one call."""
    scene = set_scene(upstream)

    ended = codex(scene, "MOCK: run printf 1 > one.txt", built_in=True)

    assert (scene.work / "one.txt").read_text() == "1", ended
    assert ended.code == 0
    assert "econnect" not in ended.stdout
    assert scene.rows("status, client", at_least=2) == 2 * [(200, "codex")]


def test_a_catalogue_tells_codex_what_a_group_can_do(set_scene: SetScene) -> None:
    """With the catalogue as a file, Codex offers its patch tool for a group."""
    scene = set_scene("openai-responses")
    (scene.work / "edited.txt").write_text("first\nsecond\n")
    got = scene.script(
        "import os, urllib.request as web\n"
        "url = os.environ['BASE_URL'] + '/v1/codex/models.json'\n"
        "headers = {'Authorization': 'Bearer ' + os.environ['TOKEN']}\n"
        "print(web.urlopen(web.Request(url, headers=headers)).read().decode())\n"
    )
    catalogue = scene.directory / "models.json"
    catalogue.write_text(got.stdout)

    ended = codex(
        scene,
        "MOCK: edit edited.txt second => 2nd",
        settings=[f'model_catalog_json="{catalogue}"'],
    )

    assert (scene.work / "edited.txt").read_text() == "first\n2nd\n", ended
    assert '"type":"file_change"' in ended.stdout
    assert UNKNOWN not in ended.stdout
    assert [each["slug"] for each in json.loads(got.stdout)["models"]] == ["chat"]


def test_codex_reads_the_catalogue_itself(set_scene: SetScene) -> None:
    """With a command that gives the token, Codex asks for the catalogue."""
    scene = set_scene("openai-responses")
    (scene.work / "edited.txt").write_text("first\nsecond\n")
    teller = scene.directory / "token.py"
    teller.write_text(f"print({scene.token!r})")

    ended = codex(
        scene,
        "MOCK: edit edited.txt second => 2nd",
        settings=[
            'model_provider="asking"',
            'model_providers.asking.name="asking"',
            f'model_providers.asking.base_url="{scene.url}/v1"',
            f'model_providers.asking.auth.command="{sys.executable}"',
            f'model_providers.asking.auth.args=["{teller}"]',
            'web_search="disabled"',
        ],
    )

    assert (scene.work / "edited.txt").read_text() == "first\n2nd\n", ended
    assert UNKNOWN not in ended.stdout
    assert "web_search" not in str(scene.seen()[0].body["tools"])


@pytest.mark.parametrize("upstream", DIALECTS)
def test_codex_compacts_a_conversation(set_scene: SetScene, upstream: str) -> None:
    """A provider that cannot compact is asked for a summary, and Codex goes on."""
    scene = set_scene(upstream, amend={"aliases": ["gpt-5.5"]})

    # After the summary the mock may begin anew, and must not fill the room again.
    ended = codex(
        scene,
        "MOCK: run test -e long.txt || seq 1 4000 | tee long.txt\n"
        "MOCK: run printf 2 > two.txt\nMOCK: say done",
        model="gpt-5.5",
        settings=["model_auto_compact_token_limit=12000"],
        built_in=True,
    )

    assert (scene.work / "two.txt").read_text() == "2", f"{ended}\n{scene.log}"
    assert codex_said(scene) == "done"
    lengths = [len(str(each.body)) for each in scene.seen()]
    assert lengths[1] > lengths[0] + 10_000
    assert lengths[2] < lengths[0] + 10_000
