"""From a file to a snapshot: read, check, compile."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from smart_llmrouter.config.check import check
from smart_llmrouter.config.compile import compile_snapshot
from smart_llmrouter.config.document import Reading
from smart_llmrouter.config.findings import (
    ConfigurationError,
    Finding,
    in_reading_order,
)
from smart_llmrouter.config.reader import read_file
from smart_llmrouter.config.schema import Settings
from smart_llmrouter.config.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The outcome of loading: without errors there are a snapshot and its settings."""

    snapshot: Snapshot | None
    settings: Settings | None
    findings: tuple[Finding, ...]


def load(
    path: Path, *, environment: Mapping[str, str], today: date | None = None
) -> Loaded:
    """Read and check the file, and compile it if there is no error in it.

    Secrets are looked up in `environment` and in files; relative paths in the file
    start at its own directory. Where `today` (UTC) is given, active callers whose
    token has expired by then are warned about.
    """
    return load_reading(
        read_file(path), environment=environment, beside=path.parent, today=today
    )


def load_reading(
    reading: Reading,
    *,
    environment: Mapping[str, str],
    beside: Path,
    today: date | None = None,
) -> Loaded:
    """Check what was read, and compile it if there is no error in it."""
    document = reading.document
    if document is None:
        return Loaded(
            snapshot=None, settings=None, findings=in_reading_order(reading.findings)
        )
    checked = check(document, environment=environment, beside=beside, today=today)
    findings = in_reading_order((*reading.findings, *checked.findings))
    settings = checked.settings
    if settings is None or any(finding.is_error for finding in findings):
        return Loaded(snapshot=None, settings=None, findings=findings)
    snapshot = compile_snapshot(settings, environment=environment, beside=beside)
    return Loaded(snapshot=snapshot, settings=settings, findings=findings)


def load_snapshot(path: Path, *, environment: Mapping[str, str]) -> Snapshot:
    """Return the snapshot of a file; raises `ConfigurationError` with all findings."""
    loaded = load(path, environment=environment)
    if loaded.snapshot is None:
        raise ConfigurationError(loaded.findings)
    return loaded.snapshot
