"""`server.tls`: what the router shows to callers, and what is wrong with it."""

import os
import shutil
from pathlib import Path

import pytest

from smart_llmrouter.config.show import show
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


@pytest.mark.parametrize("name", ["cert_file", "key_file"])
def test_a_named_pipe_is_no_certificate(tmp_path: Path, name: str) -> None:
    """To open it would be to wait for somebody who writes to it."""
    os.mkfifo(tmp_path / "pipe.pem")
    names = {"cert_file": str(GOOD), "key_file": str(KEY_FILE), name: "pipe.pem"}

    [finding] = loaded(
        with_tls(names["cert_file"], names["key_file"]), beside=tmp_path
    ).findings

    line = 3 if name == "cert_file" else 4
    message = "the file cannot be read: not a regular file"
    assert brief(finding) == (line, f"server.tls.{name}", message)


def test_a_directory_is_no_certificate(tmp_path: Path) -> None:
    """It is told by its name."""
    [finding] = loaded(with_tls(tmp_path, KEY_FILE), beside=tmp_path).findings

    assert finding.message == "the file cannot be read: is a directory"


@pytest.mark.parametrize("nothing", ["", " null", " ~"])
def test_an_empty_section_is_worth_a_warning(nothing: str) -> None:
    """Whoever began to configure TLS does not expect plain HTTP."""
    outcome = loaded(f"server:\n  tls:{nothing}\n{SMALL}", beside=NOWHERE)

    [finding] = outcome.findings
    assert outcome.snapshot is not None
    assert not finding.is_error
    assert brief(finding) == (
        2,
        "server.tls",
        "nothing is set below it, and so callers are served plain HTTP",
    )


def test_the_tls_of_a_provider_may_not_be_empty_either() -> None:
    """The same, wherever such a section stands."""
    text = SMALL.replace("dialect:", "tls:\n    dialect:", 1)

    [finding] = loaded(text, beside=NOWHERE).findings

    assert finding.key_path.endswith(".tls")
    assert finding.message == "nothing is set below it"


def test_what_is_shown_leaves_out_what_is_not_set(tmp_path: Path) -> None:
    """So what is shown of a sound configuration has no empty section in it."""
    file = tmp_path / "router.yaml"
    outcome = loaded(f"server:\n  tls:\n{SMALL}", beside=tmp_path)

    assert outcome.settings is not None
    assert "tls:" not in show(outcome.settings, file=str(file))
