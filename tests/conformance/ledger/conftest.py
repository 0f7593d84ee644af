"""Each test of the ledger is run with each kind of database."""

from pathlib import Path

import pytest

from tests.support.databases import KINDS, state_with
from tests.support.ledger import StateDirectory


@pytest.fixture(params=KINDS)
def state(request: pytest.FixtureRequest, tmp_path: Path) -> StateDirectory:
    """Return a state directory with an empty database."""
    return state_with(request.param, tmp_path)
