"""No credential stands in the file, and none is ever printed."""

import copy
import pickle
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.config.credentials import (
    is_credential_header,
    looks_like_a_credential,
)
from smart_llmrouter.config.findings import ConfigurationError, dotted, quoted
from smart_llmrouter.config.load import load_snapshot
from smart_llmrouter.config.references import Unresolved, resolve
from smart_llmrouter.config.show import show
from tests.support.configuration import (
    ENVIRONMENT,
    HASH,
    KEY,
    SMALL,
    changed,
    loaded,
)

TOKEN = f"rtr_alice_search_dev_k1_{HASH}"
REFERENCE = "${ACME_API_KEY}"


def with_headers(*lines: str) -> str:
    """Return the small configuration with these headers instead of a key."""
    block = "\n".join(f"      {line}" for line in lines)
    return changed(f"    api_key: {REFERENCE}\n", f"    headers:\n{block}\n")


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        TOKEN,
        f"Bearer {KEY}",
        "ghp_0123456789abcdefghijABCDEFGHIJ012345",
        "AIzaSyA0123456789abcdefghijklmnopqrstuv",
        "AKIAIOSFODNN7EXAMPLE",
        "xoxb-123456789012-abcdefghijkl",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "dGhpcyBpcyBub3QgYSBzZWNyZXQ0MjQyNDI=",
        "-----BEGIN PRIVATE KEY-----",
    ],
)
def test_what_may_be_a_credential_is_recognised(text: str) -> None:
    """Vendors' forms and long random runs are never quoted."""
    shown = quoted(text)

    assert looks_like_a_credential(text)
    assert shown == "a value that is not shown here"


@pytest.mark.parametrize(
    "text",
    [
        "claude-sonnet-4-5-20250929",
        "acme-mini-2026",
        "https://acme.example/pricing/models/2026",
        "failover",
        "rtr_alice_search_dev_k1",
        "meta-llama/Llama-3.3-70B-Instruct-Turbo-Free",
        "alice-search-production-eu-west-1",
    ],
)
def test_names_are_not_taken_for_credentials(text: str) -> None:
    """Model names, ids and addresses may be quoted."""
    assert not looks_like_a_credential(text)


@pytest.mark.parametrize(
    "name", ["sk-bratislava-production", "key-account-management-eu", "token-counting"]
)
def test_a_name_that_only_begins_like_a_credential_may_be_used(name: str) -> None:
    """It is not quoted in messages, but it is no mistake either."""
    text = SMALL.replace("project: search", f"project: {name}")

    found = loaded(text.replace("- id: search", f"- id: {name}")).findings

    assert found == ()


@pytest.mark.parametrize(
    "name",
    ["Authorization", "x-api-key", "API-Key", "X-Auth", "x-goog-api-key", "Cookie",
     "x-amz-security-token", "ocp-apim-subscription-key", "X-Client-Secret"],
)  # fmt: skip
def test_headers_that_carry_credentials_are_known(name: str) -> None:
    """Their values must be references."""
    assert is_credential_header(name)


@pytest.mark.parametrize("name", ["x-team", "OpenAI-Organization", "user-agent"])
def test_other_headers_may_be_literal(name: str) -> None:
    """What is no credential may stand in the file."""
    assert not is_credential_header(name)


PLACES = {
    "api_key": changed(REFERENCE, KEY),
    "header": with_headers(f"authorization: Bearer {KEY}"),
    "harmless header": with_headers(f"x-team: {KEY}"),
    "beside a reference": with_headers(f"x-api-key: {KEY}{REFERENCE}"),
    "header name": with_headers(f"{KEY}: platform"),
    "url password": changed("https://api", f"https://user:{KEY}@api"),
    "url query": changed("/v1\n", f"/v1?key={KEY}\n"),
    "url path": changed("/v1\n", f"/{KEY}/v1\n"),
    "model": changed("acme-mini-2026", KEY),
    "strategy": changed("failover", KEY),
    "user name": changed("- id: alice\n", f"- id: alice\n    name: {KEY}\n"),
    "unknown key": f"{KEY}: 1\n{SMALL}",
    "unknown value": f"secret: {KEY}\n{SMALL}",
    "database": f"state: {{database: 'postgresql://u:{KEY}@db/x'}}\n{SMALL}",
    "counters": f"state: {{counters: 'valkey://:{KEY}@host:6379'}}\n{SMALL}",
    "listen": f"server: {{listen: {KEY}}}\n{SMALL}",
    "token instead of its hash": changed(HASH, TOKEN),
    "token instead of its id": changed("dev_k1\n", f"dev_k1_{HASH}\n"),
    "allow": changed("allow: [chat]", f"allow: [{KEY}]"),
    "duplicate": f"server: {{listen: {KEY}, listen: {KEY}}}\n{SMALL}",
    "alias": changed("use: acme/mini", f"use: *{KEY}"),
    "syntax error": f"{SMALL}x: [{KEY}\n",
    "control character": f"{SMALL}x: {KEY}\x07\n",
}


@pytest.mark.parametrize("place", PLACES)
def test_a_literal_credential_is_an_error_that_does_not_show_it(
    place: str, tmp_path: Path
) -> None:
    """Wherever it is put, the report, its repr and the traceback are clean."""
    path = tmp_path / "router.yaml"
    path.write_text(PLACES[place])

    with pytest.raises(ConfigurationError) as raised:
        load_snapshot(path, environment=ENVIRONMENT)

    findings = raised.value.findings
    told = [
        str(raised.value),
        repr(findings),
        *traceback.format_exception(raised.value),
    ]
    secrets = (KEY, HASH) if "token" in place else (KEY,)
    assert any(finding.is_error for finding in findings)
    assert [text for text in told for secret in secrets if secret in text] == []


def test_references_are_kept_secret_to_the_end() -> None:
    """Snapshot, settings and `show` name the source and never the text."""
    text = with_headers(f"authorization: Bearer {REFERENCE}", "x-team: platform")

    outcome = loaded(text)

    assert outcome.snapshot is not None
    assert outcome.settings is not None
    provider = outcome.snapshot.groups["chat"].targets[0].provider
    headers = dict(provider.headers)
    assert headers["x-team"] == "platform"
    assert not isinstance(headers["authorization"], str)
    assert headers["authorization"].reveal() == f"Bearer {KEY}"
    shown = show(outcome.settings, file="router.yaml")
    assert f'authorization: "********"  # from Bearer {REFERENCE}' in shown
    assert 'token_sha256: "********"' in shown
    told = (repr(outcome), str(outcome.snapshot), repr(provider), shown)
    assert [one for one in told if KEY in one] == []
    assert HASH not in shown
    for leak in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be serialised"):
            leak(headers["authorization"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Host: x", "the router sets this header itself"),
        ("content-length: '3'", "the router sets this header itself"),
        ("Proxy-Authorization: ${ACME_API_KEY}", "the router sets this header itself"),
        ("'x y': z", "this is not a valid header name"),
        ("x-team: 'a\\tb'", None),
        (
            'x-team: "a\\r\\nb: c"',
            "the value holds characters that no header can carry",
        ),
        ("x-token: literal", "a literal credential must not stand in the file"),
        ("x-team: 5", "a text is expected, not a number"),
    ],
)
def test_headers_that_must_not_be_sent_are_refused(
    line: str, message: str | None
) -> None:
    """Reserved names, broken names and values, and literal credentials."""
    found = loaded(with_headers(line)).findings

    assert [finding.message for finding in found] == ([message] if message else [])


def test_header_names_ignore_case() -> None:
    """The second spelling of one header is a mistake."""
    found = loaded(with_headers("x-team: a", "X-Team: b")).findings

    assert [finding.message for finding in found] == ["this header is listed twice"]


def test_two_ways_to_authorise_are_one_too_many() -> None:
    """`api_key` becomes the authorization header; another one contradicts it."""
    text = changed(
        f"    api_key: {REFERENCE}\n",
        f"    api_key: {REFERENCE}\n    headers: {{Authorization: '{REFERENCE}'}}\n",
    )

    found = loaded(text).findings

    assert [finding.message for finding in found] == [
        "both api_key and this header would authorise the call"
    ]


def test_a_reference_where_none_can_be_is_an_error() -> None:
    """Only secrets may come from elsewhere."""
    found = loaded(changed("acme-mini-2026", "${MODEL}")).findings

    assert [(each.key_path, each.message) for each in found] == [
        (
            "providers.acme.models.mini.model",
            "a reference to a secret has no meaning here",
        )
    ]


def test_a_secret_file_is_read_beside_the_configuration(tmp_path: Path) -> None:
    """`file:` paths may be relative; the line end is not part of the secret."""
    (tmp_path / "key").write_text(f"{KEY}\n")

    secret = resolve("file:key", environment={}, beside=tmp_path)

    assert secret.reveal() == KEY
    assert repr(secret) == "Secret(file:key)"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "the secret file cannot be read: no such file or directory"),
        (b"", "the secret file is empty"),
        (b"\n", "the secret file is empty"),
        (b" key", "the secret file begins or ends with a space"),
        (b"a\nb", "the secret file holds characters that no header can carry"),
        (b"\xff", "the secret file holds characters that no header can carry"),
        (b"x" * 70_000, "the secret file holds characters that no header can carry"),
    ],
)
def test_a_secret_file_without_a_usable_secret_is_told(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    """The message says what is wrong and shows nothing of the content."""
    if content is not None:
        (tmp_path / "key").write_bytes(content)

    with pytest.raises(Unresolved) as raised:
        resolve("file:key", environment={}, beside=tmp_path)

    assert raised.value.message == message


@pytest.mark.parametrize("value", ["", " x", "a\nb", "ключ"])
def test_a_variable_without_a_usable_secret_is_told(value: str) -> None:
    """The message names the variable and not its value."""
    with pytest.raises(Unresolved, match="ACME_API_KEY") as raised:
        resolve(REFERENCE, environment={"ACME_API_KEY": value}, beside=Path())

    assert raised.value.awaits == "ACME_API_KEY"
    assert not value or value not in raised.value.message


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://u:geheim@db/x", None),
        ("geheim", "the reference leads to no URL of a database that can be used"),
    ],
)
def test_a_database_reference_must_lead_to_a_database(
    url: str, message: str | None
) -> None:
    """A URL of PostgreSQL is accepted, with a warning while it is not built."""
    text = f"state: {{database: '${{DB}}'}}\n{SMALL}"

    outcome = loaded(text, environment={**ENVIRONMENT, "DB": url})

    messages = [found.message for found in outcome.findings if found.is_error]
    assert messages == ([message] if message else [])
    assert "geheim" not in repr(outcome)


@given(
    st.lists(st.one_of(st.integers(0, 99), st.text(min_size=1, max_size=8)), max_size=5)
)
def test_key_paths_are_one_printable_line(path: list[str | int]) -> None:
    """Whatever a key is, a finding shows it without control characters."""
    shown = dotted(tuple(path))

    assert shown.isprintable()
