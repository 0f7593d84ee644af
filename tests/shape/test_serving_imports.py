"""What a serving router has loaded: each module costs start-up time and memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.gateway import configuration, free_port, provider
from tests.support.wait import PATIENCE_S

NOT_NEEDED = {
    "aiohttp",
    "alembic",
    "cel_expr_python",
    "genai_prices",
    "mkdocs",
    "pygments",
    "rich",
    "ruamel",
    "smart_llmrouter.catalog",
    "smart_llmrouter.mockprovider",
    "sqlalchemy",
    "uvicorn",
}

SERVE_AND_TELL = """
import http.client, json, os, signal, sys, threading, time

def tell():
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                break
        except OSError:
            time.sleep(0.05)
    sys.stdout.write(json.dumps(sorted(sys.modules)))
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=tell, daemon=True).start()
from smart_llmrouter.cli.main import app
app(["serve"])
"""


def test_a_serving_router_loads_only_what_it_needs(tmp_path: Path) -> None:
    """On defaults, ready and asked, it has none of what other commands are for."""
    port = free_port()
    settings = configuration(
        {"acme": provider("http://127.0.0.1:9/v1")},
        server={"listen": f"127.0.0.1:{port}"},
    )
    (tmp_path / "router.yaml").write_text(json.dumps(settings))

    served = subprocess.run(
        [sys.executable, "-P", "-c", SERVE_AND_TELL, str(port)],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
    )

    assert served.returncode == 0, served.stderr
    loaded = set(json.loads(served.stdout))
    assert "smart_llmrouter.bootstrap" in loaded
    assert loaded & NOT_NEEDED == set()
