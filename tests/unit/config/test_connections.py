"""How a provider is connected to: TLS, sockets, URLs; and what is wrong with them."""

import shutil
import socket
from pathlib import Path

import pytest

from smart_llmrouter.config.findings import Finding
from smart_llmrouter.config.snapshot import Provider, Tls
from tests.support.configuration import SMALL, brief, changed, loaded
from tests.support.upstream_server import AUTHORITY, CERTIFICATES, KEY_FILE

CLIENT = CERTIFICATES / "client.pem"
ENCRYPTED = CERTIFICATES / "encrypted.test-key.pem"


def with_keys(*lines: str, upstream: str = "") -> str:
    """Return the small configuration with more keys of its provider."""
    block = "".join(f"    {line}\n" for line in lines)
    text = changed("    api_key: ${ACME_API_KEY}\n", block)
    return text + (f"upstream: {upstream}\n" if upstream else "")


def found(text: str, beside: Path = Path("/nowhere")) -> list[Finding]:
    """Return what is said about a configuration."""
    return list(loaded(text, beside=beside).findings)


def told(text: str, beside: Path = Path("/nowhere")) -> list[tuple[str, str]]:
    """Return the key paths, without the provider's, and the messages."""
    return [
        (finding.key_path.removeprefix("providers.acme."), finding.message)
        for finding in found(text, beside)
    ]


def compiled(text: str, beside: Path) -> Provider:
    """Return the one provider of a right configuration."""
    outcome = loaded(text, beside=beside)
    assert outcome.snapshot is not None, outcome.findings
    (target,) = outcome.snapshot.groups["chat"].targets
    return target.provider


def test_paths_start_at_the_directory_of_the_file(tmp_path: Path) -> None:
    """Certificates and sockets may stand beside the configuration."""
    shutil.copy(AUTHORITY, tmp_path / "ca.pem")
    shutil.copy(CLIENT, tmp_path / "client.pem")
    shutil.copy(KEY_FILE, tmp_path / "key.pem")
    text = with_keys(
        "unix_socket: run/http.sock",
        "tls:",
        "  ca_file: ca.pem",
        "  client_cert_file: ./client.pem",
        f"  client_key_file: {tmp_path}/key.pem",
        "  server_name: llm.internal",
    )

    provider = compiled(text, tmp_path)

    assert provider.unix_socket == f"{tmp_path}/run/http.sock"
    assert provider.tls == Tls(
        ca_file=f"{tmp_path}/ca.pem",
        client_cert_file=f"{tmp_path}/client.pem",
        client_key_file=f"{tmp_path}/key.pem",
        server_name="llm.internal",
    )


def test_without_settings_the_system_is_trusted() -> None:
    """A provider says nothing of TLS, or nothing in it: the same."""
    plain = compiled(SMALL, Path("/nowhere"))
    empty = compiled(with_keys("tls: {}"), Path("/nowhere"))

    assert plain.tls == empty.tls == Tls()
    assert plain.unix_socket is None


@pytest.mark.parametrize("key", ["ca_file", "client_cert_file"])
def test_a_missing_file_is_found_at_its_line(key: str) -> None:
    """The line of the very key, and what to do; it may exist where the router runs."""
    [finding] = found(with_keys("tls:", f"  {key}: tls/gone.pem"))

    assert brief(finding) == (
        6,
        f"providers.acme.tls.{key}",
        "the file cannot be read: no such file or directory",
    )
    assert finding.awaits == "tls/gone.pem"


def test_every_file_is_looked_at(tmp_path: Path) -> None:
    """Three mistakes are three findings."""
    (tmp_path / "ca.pem").write_text("no certificate")
    text = with_keys(
        "tls:",
        "  ca_file: ca.pem",
        f"  client_cert_file: {tmp_path}",
        "  client_key_file: gone.pem",
    )

    assert told(text, tmp_path) == [
        ("tls.ca_file", "the file holds no certificate"),
        ("tls.client_cert_file", "the file cannot be read: is a directory"),
        ("tls.client_key_file", "the file cannot be read: no such file or directory"),
    ]


@pytest.mark.parametrize(
    ("certificate", "key", "at", "message"),
    [
        (KEY_FILE, KEY_FILE, "client_cert_file", "the file holds no certificate"),
        (
            CLIENT,
            CLIENT,
            "client_key_file",
            "the file holds no key that fits the certificate",
        ),
        (
            AUTHORITY,
            KEY_FILE,
            "client_key_file",
            "the file holds no key that fits the certificate",
        ),
        (
            CLIENT,
            ENCRYPTED,
            "client_key_file",
            "the file holds no key that fits the certificate",
        ),
        (
            CLIENT,
            None,
            "client_cert_file",
            "the file holds no key that fits the certificate",
        ),
    ],
)
def test_a_certificate_and_its_key_must_fit(
    certificate: Path, key: Path | None, at: str, message: str
) -> None:
    """What is no certificate, no key, another's key, or locked, is told apart."""
    lines = ["tls:", f"  client_cert_file: {certificate}"]
    if key is not None:
        lines.append(f"  client_key_file: {key}")

    assert told(with_keys(*lines)) == [(f"tls.{at}", message)]


@pytest.mark.parametrize(
    ("lines", "at", "message"),
    [
        (
            ["tls: {client_key_file: /k.pem}"],
            "tls",
            "there is a key, but no certificate to it",
        ),
        (
            ["tls: {server_name: 'a b'}"],
            "tls.server_name",
            "a host name or an address is expected",
        ),
        (
            ["tls: {server_name: https://a.example}"],
            "tls.server_name",
            "a host name or an address is expected",
        ),
        (["tls: {ca_file: ''}"], "tls.ca_file", "the text is empty"),
        (['tls: {ca_file: "a\\tb"}'], "tls.ca_file", "a path of a file is expected"),
        (["tls: {ca_file: ~/ca.pem}"], "tls.ca_file", "`~` is not expanded in paths"),
        (["tls: {verify: false}"], "tls.verify", "the key verify is not known"),
        (
            ["unix_socket: $HOME/x"],
            "unix_socket",
            "variables are not expanded in paths",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(
    lines: list[str], at: str, message: str
) -> None:
    """The schema knows what a path and a name are; checking cannot be switched off."""
    assert (at, message) in told(with_keys(*lines))


def test_tls_settings_without_tls_are_warned_about() -> None:
    """Somebody may believe in protection that is not there."""
    text = with_keys(f"tls: {{ca_file: {AUTHORITY}}}").replace("https:", "http:")

    assert told(text) == [
        (
            "base_url",
            "the connection is not encrypted: keys and prompts are readable on it",
        ),
        ("tls", "the setting has no effect: base_url is not https"),
    ]


def test_a_socket_must_be_one(tmp_path: Path) -> None:
    """A file is not a socket; what is not there yet may come."""
    (tmp_path / "file.sock").write_text("")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "real.sock"))
    names = {
        name: told(with_keys(f"unix_socket: {name}"), tmp_path)
        for name in ("file.sock", "real.sock", "later.sock", "x" * 120)
    }

    assert names == {
        "file.sock": [("unix_socket", "there is a file at this path, but no socket")],
        "real.sock": [],
        "later.sock": [],
        "x" * 120: [("unix_socket", "the path is longer than 107 bytes")],
    }


def test_aiohttp_speaks_no_tls_over_a_socket() -> None:
    """It would send the key in clear text, so it is not asked to."""
    over = "unix_socket: /run/acme.sock"

    assert told(with_keys(over, upstream="{transport: aiohttp}")) == [
        ("unix_socket", "the aiohttp transport speaks no TLS over a Unix socket")
    ]
    assert told(with_keys(over, upstream="{transport: lean}")) == []


@pytest.mark.parametrize(
    "url",
    [
        "https://api.acme.example/v1",
        "https://[2001:db8::1]:8443/v1",
        "https://api.acme.example/a%20b/~c/$(x);y=1,2!*'@:&",
    ],
)
def test_urls_go_out_as_they_are_written(url: str) -> None:
    """What RFC 3986 has in a path is accepted."""
    provider = compiled(changed("https://api.acme.example/v1", url), Path("/nowhere"))

    assert provider.base_url == url


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://api.acme.example/ä", "the URL holds spaces or special characters"),
        ("https://äpi.example/v1", "the URL holds spaces or special characters"),
        ("https://api.example/a b", "the URL holds spaces or special characters"),
        ("https://api.example/a\\tb", "the URL holds spaces or special characters"),
        ("https://api.example/a\\x7fb", "the URL holds spaces or special characters"),
        ("https://api.example/a^b", "the URL holds spaces or special characters"),
        ("https://api.example/{id}", "the URL holds spaces or special characters"),
        ("https://api.example/100%", "the URL holds spaces or special characters"),
        ("https://user:word@api.example", "the URL holds a user name or password"),
        ("https://user@api.example", "the URL holds a user name or password"),
        ("https://api.example/?a=b", "the URL holds a query or fragment"),
        ("https://api.example:0/", "an http or https URL is expected"),
        ("https://api.example:x/", "an http or https URL is expected"),
        ("https://[::1/", "an http or https URL is expected"),
        ("ftp://api.example/", "an http or https URL is expected"),
    ],
)
def test_urls_that_would_go_out_differently_are_refused(url: str, message: str) -> None:
    """Credentials, queries and what would have to be encoded have no place there."""
    text = changed("base_url: https://api.acme.example/v1", f'base_url: "{url}"')

    assert told(text) == [("base_url", message)]
