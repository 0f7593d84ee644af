"""Which kind of database a URL names, and what is needed for it."""

import subprocess
import sys

import pytest

from smart_llmrouter.stores.database_url import backend_of
from smart_llmrouter.stores.unusable import UnsupportedDatabase


@pytest.mark.parametrize(
    ("url", "backend"),
    [
        ("sqlite:////var/lib/usage.sqlite", "sqlite"),
        ("postgresql://router@db/usage", "postgresql"),
        ("postgres://router@db/usage", "postgresql"),
        ("postgresql+psycopg://router@db/usage", "postgresql"),
    ],
)
def test_the_scheme_tells(url: str, backend: str) -> None:
    """Also as other programs write it."""
    assert backend_of(url) == backend


@pytest.mark.parametrize(
    "url", ["mysql://u:hunter2@db/x", "hunter2", "", "://", "C:\\x"]
)
def test_other_schemes_are_refused_without_what_they_hold(url: str) -> None:
    """Nothing of the URL is repeated but its scheme."""
    with pytest.raises(UnsupportedDatabase) as caught:
        backend_of(url)

    assert "hunter2" not in str(caught.value)


def test_without_the_driver_it_is_said_what_to_install() -> None:
    """A router without the extra has no psycopg; SQLite goes on without it."""
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from smart_llmrouter.stores.backends import condition\n"
        "from smart_llmrouter.stores.unusable import UnsupportedDatabase\n"
        "print(condition('sqlite:////no/such/file'))\n"
        "try: condition('postgresql://u:hunter2@db/x')\n"
        "except UnsupportedDatabase as error: print(error)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    condition, refusal = done.stdout.splitlines()
    assert condition == "is missing"
    assert refusal.endswith("run pip install 'smart-llmrouter[postgres]'")


def test_the_driver_is_not_loaded_for_a_file() -> None:
    """Nor what describes tables: the router and its ingester start without both."""
    program = (
        "import sys\n"
        "import smart_llmrouter.cli.ingest_command\n"
        "from smart_llmrouter.stores.usage_store import open_store\n"
        "open_store('sqlite:////no/such/file')\n"
        "print([name for name in ('psycopg', 'sqlalchemy') if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
