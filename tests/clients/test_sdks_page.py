"""The page about SDKs and frameworks holds programs that run."""

import re
from collections.abc import Callable
from typing import Final

from tests.support.repository import ROOT
from tests.support.scene import Scene

BLOCK: Final = re.compile(
    r"^```(python|javascript)\n(.*?)^```$", re.DOTALL | re.MULTILINE
)
PREFIX: Final = {
    "python": "import os\n"
    "os.environ['ROUTER_URL'] = os.environ['BASE_URL']\n"
    "os.environ['ROUTER_TOKEN'] = os.environ['TOKEN']\n",
    "javascript": "process.env.ROUTER_URL = process.env.BASE_URL;\n"
    "process.env.ROUTER_TOKEN = process.env.TOKEN;\n",
}


def test_the_examples_of_the_page_run(set_scene: Callable[..., Scene]) -> None:
    """Each block runs as it stands there, and those that ask print what was said."""
    blocks = BLOCK.findall((ROOT / "docs/clients-sdks.md").read_text())
    scene = set_scene("openai-chat")
    # Those in Python are run as one program: each import takes a second or two.
    python = "\n".join(code for language, code in blocks if language == "python")
    node = [code for language, code in blocks if language == "javascript"]

    ended = [scene.script(PREFIX["python"] + python)]
    ended += [
        scene.script(PREFIX["javascript"] + each, language="node") for each in node
    ]

    assert [each.code for each in ended] == [0, 0, 0, 0], ended
    said = [each.stdout.count('You said: "Hello."') for each in ended]
    assert said == [2, 1, 1, 1], ended
