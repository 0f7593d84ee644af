"""`server.tls`: what the router shows to callers, and what is wrong with it."""

import shutil
from pathlib import Path

import pytest

from smart_llmrouter.config.snapshot import ServerTls
from tests.support.configuration import SMALL, brief, loaded
from tests.support.upstream_server import CERTIFICATES, KEY_FILE

GOOD = CERTIFICATES / "good.pem"
NOWHERE = Path("/nowhere")


def with_tls(cert: object, key: object = None) -> str:
    """Return the small configuration with a certificate and a key."""
    lines = ["server:", "  tls:", f"    cert_file: {cert}"]
    if key is not None:
        lines.append(f"    key_file: {key}")
    return "\n".join(lines) + "\n" + SMALL


def test_paths_start_at_the_directory_of_the_file(tmp_path: Path) -> None:
    """The files may stand beside the configuration."""
    shutil.copy(GOOD, tmp_path / "router.pem")
    shutil.copy(KEY_FILE, tmp_path / "key.pem")

    outcome = loaded(with_tls("router.pem", "./key.pem"), beside=tmp_path)

    assert outcome.snapshot is not None, outcome.findings
    assert outcome.snapshot.server.tls == ServerTls(
        cert_file=f"{tmp_path}/router.pem", key_file=f"{tmp_path}/key.pem"
    )


def test_without_it_the_router_speaks_plain_http() -> None:
    """Nothing in the file, nothing in the snapshot."""
    outcome = loaded(SMALL, beside=NOWHERE)

    assert outcome.snapshot is not None
    assert outcome.snapshot.server.tls is None


@pytest.mark.parametrize(
    ("cert", "key", "line", "where", "message"),
    [
        (
            "gone.pem",
            KEY_FILE,
            3,
            "cert_file",
            "the file cannot be read: no such file or directory",
        ),
        (
            GOOD,
            "gone.pem",
            4,
            "key_file",
            "the file cannot be read: no such file or directory",
        ),
        (KEY_FILE, KEY_FILE, 3, "cert_file", "the file holds no certificate"),
        (
            GOOD,
            GOOD,
            4,
            "key_file",
            "the file holds no key that fits the certificate",
        ),
        (
            CERTIFICATES / "authority.pem",
            KEY_FILE,
            4,
            "key_file",
            "the file holds no key that fits the certificate",
        ),
        (
            GOOD,
            CERTIFICATES / "encrypted.test-key.pem",
            4,
            "key_file",
            "the file holds no key that fits the certificate",
        ),
        (
            GOOD,
            None,
            3,
            "cert_file",
            "the file holds no key that fits the certificate",
        ),
    ],
)
def test_what_cannot_be_shown_is_found_at_its_line(
    cert: object, key: object, line: int, where: str, message: str
) -> None:
    """Missing, no certificate, not its key, behind a passphrase: one finding each."""
    [finding] = loaded(with_tls(cert, key), beside=NOWHERE).findings

    assert brief(finding) == (line, f"server.tls.{where}", message)


def test_a_key_alone_is_refused() -> None:
    """Without a certificate there is nothing to show."""
    text = f"server:\n  tls:\n    key_file: {KEY_FILE}\n{SMALL}"

    findings = loaded(text, beside=NOWHERE).findings

    assert any(each.key_path.startswith("server.tls") for each in findings)
    assert all(each.is_error for each in findings)
