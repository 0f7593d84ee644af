"""What is said about the policies of groups."""

from pathlib import Path
from typing import Final

import pytest

from smart_llmrouter.config.findings import Finding
from smart_llmrouter.config.policies import External, Rule, Rules, Script
from smart_llmrouter.core.secrets import Secret
from tests.support.configuration import ENVIRONMENT, SMALL, changed, loaded

STRATEGY_LINE: Final = SMALL.split("\n").index("    strategy: failover") + 1


def with_group(strategy: str, *lines: str) -> str:
    """Return the small configuration with more keys of its group."""
    block = "".join(f"    {line}\n" for line in lines)
    return changed("    strategy: failover\n", f"    strategy: {strategy}\n{block}")


def said(text: str, beside: Path = Path("/nowhere")) -> list[Finding]:
    """Return what is said about a configuration."""
    environment = {**ENVIRONMENT, "POLICY_KEY": "sk-canary-0123456789abcdefghij"}
    return list(loaded(text, environment=environment, beside=beside).findings)


def told(text: str, beside: Path = Path("/nowhere")) -> list[tuple[int, str, str, str]]:
    """Return each finding's line (from that of the strategy), key, words and remedy."""
    return [
        (
            finding.line - STRATEGY_LINE,
            finding.key_path.removeprefix("groups.chat."),
            finding.message,
            finding.remedy,
        )
        for finding in said(text, beside)
    ]


@pytest.mark.parametrize("strategy", ["rules", "script", "external"])
@pytest.mark.parametrize("empty", [False, True], ids=["absent", "empty"])
def test_a_strategy_needs_its_section(strategy: str, *, empty: bool) -> None:
    """Without it nobody could decide."""
    text = with_group(strategy, f"{strategy}:") if empty else with_group(strategy)

    findings = [finding for finding in said(text) if finding.is_error]

    (finding,) = findings
    assert finding.key_path == "groups.chat.strategy"
    assert finding.line == STRATEGY_LINE
    assert finding.message == (
        f"the strategy `{strategy}` needs the section `{strategy}`"
    )
    assert finding.remedy == (
        f"write `{strategy}:` below the group, or another strategy"
    )


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("dynamic", "{explore: 0.1}"),
        ("rules", "{rules: [{when: 'true', use: [acme/mini]}]}"),
        ("external", "{url: 'https://p.example/r', allow_hosts: [p.example]}"),
    ],
)
def test_a_section_for_another_strategy_is_warned_about(
    section: str, value: str
) -> None:
    """It does nothing, and the file goes on being used."""
    text = with_group("failover", f"{section}: {value}")

    (finding,) = said(text)

    assert not finding.is_error
    assert (finding.line - STRATEGY_LINE, finding.key_path) == (
        1,
        f"groups.chat.{section}",
    )
    assert finding.message == ("the setting has no effect: the strategy is `failover`")
    assert finding.remedy == f"write `strategy: {section}`, or remove it"


def test_dynamic_needs_no_section() -> None:
    """It has defaults for everything."""
    assert said(with_group("dynamic")) == []


def test_rules_are_compiled_with_the_configuration() -> None:
    """A right section is in the snapshot."""
    text = with_group(
        "rules",
        "rules:",
        "  rules:",
        "    - {when: stream, use: [acme/mini], only: true, label: streams}",
        "  on_error: fallback",
    )

    outcome = loaded(text)

    assert outcome.findings == ()
    assert outcome.snapshot is not None
    assert outcome.snapshot.groups["chat"].policy == Rules(
        rules=(Rule(when="stream", use=("acme/mini",), only=True, label="streams"),),
        on_error="fallback",
    )


def test_a_rule_names_targets_of_its_group() -> None:
    """Another model, even one that exists, is none of them."""
    text = with_group(
        "rules",
        "rules:",
        "  rules:",
        "    - when: 'true'",
        "      use: [acme/mimi, acme/mini, elsewhere]",
    )

    assert told(text) == [
        (
            4,
            "rules.rules[0].use[0]",
            "the group has no target `acme/mimi`",
            "did you mean `acme/mini`?",
        ),
        (
            4,
            "rules.rules[0].use[2]",
            "the group has no target `elsewhere`",
            "add it to the group's `targets`, or name one of them",
        ),
    ]


@pytest.mark.parametrize(
    ("when", "message", "remedy"),
    [
        (
            "tool_cont > 3",
            "line 1, column 1 of the expression: undeclared reference to 'tool_cont'",
            "did you mean `tool_count`?",
        ),
        (
            "temperature > 1",
            "line 1, column 1 of the expression: undeclared reference to 'temperature'",
            "use the features of requests; the page routing-features lists them",
        ),
        (
            "stream &&",
            (
                "line 1, column 10 of the expression: Syntax error: mismatched input"
                " '<EOF>'"
            ),
            "write a CEL expression that is true or false; see the page on rules",
        ),
        (
            "tool_count",
            (
                "line 1, column 1 of the expression: its value is of the type int, and"
                " never true or false"
            ),
            "write a CEL expression that is true or false; see the page on rules",
        ),
    ],
)
def test_an_expression_must_compile(when: str, message: str, remedy: str) -> None:
    """Where in it the mistake is stands in the message."""
    text = with_group(
        "rules",
        "rules:",
        "  rules:",
        "    - {when: stream, use: [acme/mini]}",
        f"    - when: {when}",
        "      use: [acme/mini]",
    )

    assert told(text) == [(4, "rules.rules[1].when", message, remedy)]


def test_rules_that_the_schema_refuses_are_passed_over() -> None:
    """What is no rule, or no text, has findings of its own, and only these."""
    text = with_group(
        "rules",
        "rules:",
        "  rules: [7, {when: true, use: [acme/mini]}, {when: stream, use: 3}]",
    )

    keys = {finding.key_path for finding in said(text)}

    assert keys == {
        "groups.chat.rules.rules[0]",
        "groups.chat.rules.rules[1].when",
        "groups.chat.rules.rules[2].use",
    }


GOOD: Final = "def route(ctx):\n    return ctx['targets'][0]['label']\n"
DEFINE: Final = "write `def route(ctx):` at the top level of the script"


def scripted(tmp_path: Path, source: str | bytes | None) -> str:
    """Return a configuration with a script of this text beside it."""
    if source is not None:
        data = source if isinstance(source, bytes) else source.encode()
        (tmp_path / "policy.py").write_bytes(data)
    return with_group("script", "script:", "  file: policy.py")


@pytest.mark.parametrize(
    "source",
    [
        GOOD,
        "from rules import route\n",
        "import rules as route\n",
        "route = lambda ctx: 'acme/mini'\n",
        "def route(ctx, more=1, *, less=2): ...\n",
        "def route(*arguments): ...\n",
        "def route(ctx, /): ...\n",
        "if True:\n    def route(ctx): ...\n",
        "def route(ctx): return '\\d'\n",
    ],
)
def test_a_script_defines_route(tmp_path: Path, source: str) -> None:
    """By itself, or from elsewhere."""
    outcome = loaded(scripted(tmp_path, source), beside=tmp_path)

    assert outcome.findings == ()
    assert outcome.snapshot is not None
    assert outcome.snapshot.groups["chat"].policy == Script(file=tmp_path / "policy.py")


@pytest.mark.parametrize(
    ("source", "message", "remedy"),
    [
        (
            None,
            "the script cannot be read: no such file or directory",
            "name an existing file that the router may read",
        ),
        ("x = 1\n", "the script defines no `route`", DEFINE),
        (
            "class Route:\n    def route(ctx): ...\n",
            "the script defines no `route`",
            DEFINE,
        ),
        (
            "def helper():\n    route = 1\n",
            "the script defines no `route`",
            DEFINE,
        ),
        (
            "async def route(ctx): ...\n",
            "`route` is a coroutine function, and nobody awaits it",
            DEFINE,
        ),
        ("def route(): ...\n", "`route` does not take one argument", DEFINE),
        ("def route(a, b): ...\n", "`route` does not take one argument", DEFINE),
        ("def route(a, *, b): ...\n", "`route` does not take one argument", DEFINE),
        (
            "x = 1\nx = = 2\n",
            "the script is no Python: line 2: invalid syntax",
            "correct the script",
        ),
        (b"\xff\xfe", "the script is no Python", "name a Python file, in UTF-8"),
        (
            "#" * (1024 * 1024 + 1),
            "the script is larger than 1 MiB",
            "name a Python file with `route(ctx)`",
        ),
    ],
)
def test_a_script_that_cannot_decide(
    tmp_path: Path, source: str | bytes | None, message: str, remedy: str
) -> None:
    """It is read and never run: what it would do is another matter."""
    text = scripted(tmp_path, source)

    assert told(text, tmp_path) == [(2, "script.file", message, remedy)]


def test_a_missing_script_may_be_there_where_the_router_runs(tmp_path: Path) -> None:
    """The finding says what it waits for."""
    (finding,) = said(scripted(tmp_path, None), tmp_path)

    assert finding.awaits == "policy.py"


def test_a_script_is_not_run(tmp_path: Path) -> None:
    """Checking a file does nothing that the file says."""
    done = tmp_path / "done"
    text = scripted(tmp_path, f"open({str(done)!r}, 'w')\n{GOOD}")

    assert told(text, tmp_path) == []
    assert not done.exists()


def asked(url: str, *lines: str, hosts: str = "[p.example]") -> str:
    """Return a configuration with a policy service."""
    return with_group(
        "external",
        "external:",
        f"  url: {url}",
        f"  allow_hosts: {hosts}",
        *(f"  {line}" for line in lines),
    )


@pytest.mark.parametrize(
    "text",
    [
        asked("https://p.example/route?v=1"),
        asked("https://P.Example:8443/", hosts="[p.EXAMPLE]"),
        asked("http://localhost:9000/r", hosts="[localhost]"),
        asked("http://127.0.0.1:9000/r", hosts="[127.0.0.1]"),
        asked("'http://[::1]:9000/r'", hosts="['::1']"),
        asked("'http://[::1]:9000/r'", hosts="['[::1]']"),
        asked("http://p.example/r", "allow_http: true"),
    ],
)
def test_a_service_that_may_be_asked(text: str) -> None:
    """Over https; over http on this machine, or where that was said."""
    assert said(text) == []


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        (
            asked("https://q.example/r"),
            (
                2,
                "external.url",
                "the host `q.example` is not in `allow_hosts`",
                "list exactly this host, or correct the URL",
            ),
        ),
        (
            asked("https://sub.p.example/r"),
            (
                2,
                "external.url",
                "the host `sub.p.example` is not in `allow_hosts`",
                "list exactly this host, or correct the URL",
            ),
        ),
        (
            asked("http://p.example/r"),
            (
                2,
                "external.url",
                "the connection is not encrypted",
                (
                    "use https, or set `allow_http: true` on a network that nobody else"
                    " reads"
                ),
            ),
        ),
        *(
            (
                asked(url),
                (
                    2,
                    "external.url",
                    "this is no URL of a service",
                    "write https://host/path",
                ),
            )
            for url in (
                "ftp://p.example/r",
                "p.example/route",
                "https:///route",
                "https://p.example:x/",
                "'https://p.example/a b'",
                "https://[::1/route",
            )
        ),
        *(
            (
                asked(url),
                (
                    2,
                    "external.url",
                    "the URL holds more than a host, a path and a query",
                    "put credentials into `headers`, by reference",
                ),
            )
            for url in ("https://me:pw@p.example/r", "'https://p.example/r#top'")
        ),
        *(
            (
                asked("https://p.example/r", hosts=f"[p.example, '{host}']"),
                (
                    3,
                    "external.allow_hosts[1]",
                    f"`{host}` is no host",
                    (
                        "write one host as it stands in the URL, without scheme, port"
                        " or wildcards"
                    ),
                ),
            )
            for host in ("*.example", "https://p.example", "p.example:443", "")
        ),
    ],
)
def test_a_service_that_must_not_be_asked(
    text: str, finding: tuple[int, str, str, str]
) -> None:
    """Each with its line, key and remedy."""
    assert told(text) == [finding]


def test_headers_of_a_service_may_hold_secrets_by_reference() -> None:
    """As those of providers do."""
    text = asked(
        "https://p.example/r",
        "headers:",
        "  Authorization: Bearer ${POLICY_KEY}",
        "  X-Zone: eu",
    )

    outcome = loaded(text, environment={**ENVIRONMENT, "POLICY_KEY": "k"})

    assert outcome.findings == ()
    assert outcome.snapshot is not None
    policy = outcome.snapshot.groups["chat"].policy
    assert isinstance(policy, External)
    assert policy.headers == (
        ("Authorization", Secret("Bearer k", source="tests")),
        ("X-Zone", "eu"),
    )


@pytest.mark.parametrize(
    ("line", "key", "message"),
    [
        (
            "Authorization: Bearer sk-canary-0123456789abcdefghij",
            "external.headers.Authorization",
            "a literal credential must not stand in the file",
        ),
        (
            "X-Zone: ${NOWHERE}",
            "external.headers.X-Zone",
            "the environment variable NOWHERE is not set",
        ),
        (
            "Host: q.example",
            "external.headers.Host",
            "the router sets this header itself",
        ),
    ],
)
def test_headers_of_a_service_are_checked(line: str, key: str, message: str) -> None:
    """No credential stands in the file, and no header breaks the request."""
    text = asked("https://p.example/r", "headers:", f"  {line}")

    ((_, found_key, found_message, _),) = told(text)

    assert (found_key, found_message) == (key, message)


def test_dynamic_says_how_far_back_thresholds_look() -> None:
    """It has an effect beside them, whatever the strategy is."""
    text = with_group(
        "failover", "dynamic: {window_s: 60}", "thresholds: {max_error_rate: 0.1}"
    )

    assert said(text) == []


def test_a_target_twice_in_a_rule() -> None:
    """The second one could never be tried."""
    rule = "{when: has_tools, use: [acme/mini, acme/mini]}"

    ((_, key, message, _),) = told(with_group("rules", f"rules: {{rules: [{rule}]}}"))

    assert key == "rules.rules[0].use[1]"
    assert message == "the target `acme/mini` is listed twice"


def test_a_rule_behind_one_that_always_holds() -> None:
    """It is never looked at, and the finding stands at the one before it."""
    always = "{when: 'true', use: [acme/mini]}"
    never = "{when: has_tools, use: [acme/mini]}"
    text = with_group("rules", f"rules: {{rules: [{always}, {never}, {always}]}}")

    (finding,) = said(text)

    assert not finding.is_error
    assert finding.key_path == "groups.chat.rules.rules[0].when"


@pytest.mark.parametrize(
    ("when", "warned"),
    [
        ("caller.team == 'x'", True),
        ("100 / images > 3", True),
        ("tools[0] == 'function'", True),
        ("dyn(images)", True),
        ("group.matches('(')", True),
        ("images > 0 && 100 / images > 3", False),
        ("caller.tokenId != '' && caller.project == 'search'", False),
        ("targets[0] == 'acme/mini' && input_modalities[0] == 'text'", False),
    ],
)
def test_a_rule_that_fails_over_the_plainest_request(
    when: str, *, warned: bool
) -> None:
    """It would fail nearly every call, and is told before one is made."""
    rule = f'{{when: "{when}", use: [acme/mini]}}'

    found = said(with_group("rules", f"rules: {{rules: [{rule}]}}"))

    assert [(each.is_error, each.key_path) for each in found] == (
        [(False, "groups.chat.rules.rules[0].when")] if warned else []
    )
