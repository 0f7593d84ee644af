"""Every mistake is found at once, with its place and a remedy."""

import pytest

from tests.support.configuration import (
    ENVIRONMENT,
    HASH,
    KEY,
    SMALL,
    brief,
    changed,
    errors,
    loaded,
)

OTHER_HASH = HASH[::-1]
TEN_MISTAKES = f"""\
server:
  listen: 8080
  wrokers: 2
upstream:
  idle_timeout_s: soon
providers:
  acme:
    dialect: openai-chat
    base_url: https://api.acme.example/v1
    api_key: {KEY}
    models:
      mini: {{price: {{output_per_million: -2}}}}
groups:
  chat:
    strategy: failovr
    targets:
      - use: acme/minni
users:
  - {{id: alice}}
  - {{id: alice, name: Again}}
projects:
  - {{id: search}}
project_memberships:
  - {{user: alice, project: search}}
callers:
  - id: alice-search-dev
    owner_user: alice
    project: search
    environment: dev
    token_sha256: {HASH}
    token_sha256: {HASH}
    allow: [chta]
"""


def test_ten_mistakes_are_ten_findings() -> None:
    """Syntax, schema, references and secrets are reported together, by line."""
    found = errors(TEN_MISTAKES)

    assert found == [
        (2, "server.listen", "a text is expected, not a number"),
        (3, "server.wrokers", "the key wrokers is not known"),
        (5, "upstream.idle_timeout_s", "a number is expected"),
        (
            10,
            "providers.acme.api_key",
            "a literal key must not stand in the file",
        ),
        (
            12,
            "providers.acme.models.mini.price.output_per_million",
            "the amount is out of range",
        ),
        (15, "groups.chat.strategy", "`failovr` is not a known value"),
        (
            17,
            "groups.chat.targets[0].use",
            "the provider `acme` has no model `minni`",
        ),
        (20, "users[1].id", "the user `alice` is listed twice (first on line 19)"),
        (
            31,
            "callers[0].token_sha256",
            "the key token_sha256 is here a second time (first on line 30)",
        ),
        (32, "callers[0].allow[0]", "no group is called `chta`"),
    ]


def test_remedies_name_what_was_meant() -> None:
    """A name that is nearly right is answered with the right one."""
    remedies = {
        finding.key_path: finding.remedy for finding in loaded(TEN_MISTAKES).findings
    }

    assert remedies["server.wrokers"] == "did you mean `workers`?"
    assert remedies["groups.chat.targets[0].use"] == "did you mean `acme/mini`?"
    assert remedies["callers[0].allow[0]"] == "did you mean `chat`?"
    assert "did you mean `failover`?" in remedies["groups.chat.strategy"]


def test_a_small_configuration_has_no_findings() -> None:
    """One provider, group and caller, with what the caller needs, is enough."""
    outcome = loaded(SMALL)

    assert outcome.findings == ()
    assert outcome.snapshot is not None


NO_MEMBERSHIP = (
    "the caller is active, but there is no membership of user `alice` in project"
    " `search`"
)
MEMBERSHIP_IS_NOT = (
    "the caller is active, but the membership of user `alice` in project `search`"
    " is not"
)
CASES: list[tuple[str, str, list[tuple[int, str, str]]]] = [
    (
        "providers:\n",
        "state: {directory: ~/state}\nproviders:\n",
        [(1, "state.directory", "`~` is not expanded in paths")],
    ),
    (
        "providers:\n",
        "state: {directory: $HOME/state}\nproviders:\n",
        [(1, "state.directory", "variables are not expanded in paths")],
    ),
    (
        "${ACME_API_KEY}",
        "file:~/secrets/acme",
        [(5, "providers.acme.api_key", "`~` is not expanded in paths")],
    ),
    (
        "${ACME_API_KEY}",
        "file:$SECRETS/acme",
        [(5, "providers.acme.api_key", "variables are not expanded in paths")],
    ),
    (
        "    allow: [chat]",
        "    alow: [chat]",
        [(29, "callers[0].alow", "the key alow is not known")],
    ),
    (
        "    environment: dev\n",
        "    enviroment: dev\n",
        [(26, "callers[0].enviroment", "the key enviroment is not known")],
    ),
    (
        "    environment: dev\n",
        "",
        [(23, "callers[0].environment", "the key environment is missing")],
    ),
    (
        "    environment: dev\n",
        "    environment: Dev\n",
        [
            (26, "callers[0].environment", "`Dev` is not a valid name here"),
        ],
    ),
    (
        "project: search\n    environment",
        "project: serach\n    environment",
        [(25, "callers[0].project", "no project has the id `serach`")],
    ),
    (
        "  - {user: alice, project: search}\n",
        "  - {user: alice, project: search, status: suspended}\n",
        [
            (
                25,
                "callers[0].project",
                MEMBERSHIP_IS_NOT,
            )
        ],
    ),
    (
        "project_memberships:\n  - {user: alice, project: search}\n",
        "",
        [
            (
                23,
                "callers[0].project",
                NO_MEMBERSHIP,
            )
        ],
    ),
    (
        "  - id: alice\n",
        "  - id: alice\n    status: disabled\n",
        [
            (
                25,
                "callers[0].owner_user",
                "the caller is active, but its user `alice` is not",
            )
        ],
    ),
    (
        "  - id: search\n",
        "  - id: search\n    status: archived\n",
        [
            (
                26,
                "callers[0].project",
                "the caller is active, but its project `search` is not",
            )
        ],
    ),
    (
        "  - {user: alice, project: search}",
        "  - {user: alice, project: search}\n  - {user: bob, project: search}",
        [(22, "project_memberships[1].user", "no user has the id `bob`")],
    ),
    (
        "  - {user: alice, project: search}",
        "  - {user: alice, project: search}\n  - {project: search, user: alice}",
        [
            (
                22,
                "project_memberships[1].user",
                "this membership is listed twice (first on line 21)",
            )
        ],
    ),
    (
        "    strategy: failover\n",
        "    strategy: static\n",
        [],
    ),
    (
        "      - use: acme/mini\n",
        "      - use: acme\n",
        [(15, "groups.chat.targets[0].use", "`acme` names no provider and model")],
    ),
    (
        "      - use: acme/mini\n",
        "      - use: acne/mini\n",
        [(15, "groups.chat.targets[0].use", "no provider is called `acne`")],
    ),
    (
        "    targets:\n      - use: acme/mini\n",
        "    targets: []\n",
        [(14, "groups.chat.targets", "nothing is listed")],
    ),
    (
        "    targets:\n      - use: acme/mini\n",
        "    targets:\n",
        [(14, "groups.chat.targets", "a list is expected, but there is no value")],
    ),
    (
        "    targets:\n      - use: acme/mini\n",
        "",
        [(12, "groups.chat.targets", "the key targets is missing")],
    ),
    (
        "    strategy: failover\n",
        "    aliases: [fast, chat, fast]\n",
        [
            (
                13,
                "groups.chat.aliases[1]",
                "the alias `chat` is also the name of a group",
            ),
            (
                13,
                "groups.chat.aliases[2]",
                "the alias `fast` is already an alias of the group `chat`",
            ),
        ],
    ),
    (
        "providers:\n",
        "server: {default_group: fast}\nproviders:\n",
        [(1, "server.default_group", "no group is called `fast`")],
    ),
    (
        "    allow: [chat]\n",
        "    allow: chat\n",
        [(29, "callers[0].allow", "a list is expected, not a text")],
    ),
    (
        "    allow: [chat]\n",
        "    allow: [chat]\n    metrics_admin: yes\n",
        [(30, "callers[0].metrics_admin", "a yes or no is expected, not a text")],
    ),
    (
        "    allow: [chat]\n",
        "    allow: [chat]\n    expires_at: 2027-02-30\n",
        [(30, "callers[0].expires_at", "a date is expected")],
    ),
    (
        HASH,
        "REPLACE_WITH_SHA256_HEX_OF_TOKEN",
        [
            (
                28,
                "callers[0].token_sha256",
                "a SHA-256 hash of 64 hex digits is expected",
            )
        ],
    ),
    (
        HASH,
        "0" * 64,
        [(28, "callers[0].token_sha256", "this hash is a placeholder")],
    ),
    (
        HASH,
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        [(28, "callers[0].token_sha256", "this hash is a placeholder")],
    ),
    (
        "      mini:\n",
        "      12:\n",
        [(15, "groups.chat.targets[0].use", "the provider `acme` has no model `mini`")],
    ),
    (
        "output_per_million: 2.00",
        "output_per_million: free",
        [
            (
                9,
                "providers.acme.models.mini.price.output_per_million",
                "an amount in US dollars is expected",
            )
        ],
    ),
    (
        "output_per_million: 2.00",
        "output_per_million: .inf",
        [
            (
                9,
                "providers.acme.models.mini.price.output_per_million",
                "an amount in US dollars is expected",
            )
        ],
    ),
    (
        "    strategy: failover\n",
        "    max_attempts: 0\n",
        [(13, "groups.chat.max_attempts", "the number must be at least 1")],
    ),
    (
        "    strategy: failover\n",
        "    attempt_timeout_s: 0\n",
        [(13, "groups.chat.attempt_timeout_s", "the number must be greater than 0")],
    ),
    (
        "  acme:\n",
        "  Acme!:\n",
        [
            (2, 'providers."Acme!"', "`Acme!` is not a valid name here"),
            (15, "groups.chat.targets[0].use", "no provider is called `acme`"),
        ],
    ),
    (
        "providers:\n",
        "providers: [acme]\nproviderz:\n",
        [
            (1, "providers", "a mapping is expected, not a list"),
            (2, "providerz", "the key providerz is not known"),
            (16, "groups.chat.targets[0].use", "no provider is called `acme`"),
        ],
    ),
]


@pytest.mark.parametrize(("old", "new", "expected"), CASES)
def test_a_mistake_is_told_once_and_where_it_is(
    old: str, new: str, expected: list[tuple[int, str, str]]
) -> None:
    """One change to a right configuration gives exactly the findings that it earns."""
    found = errors(changed(old, new))

    assert found == expected


def test_two_targets_are_one_too_many_for_a_static_group() -> None:
    """`static` means one exact target."""
    text = changed("    strategy: failover\n", "    strategy: static\n")
    text = changed("      - use: acme/mini\n", "      - use: acme/mini\n" * 2, text)

    found = errors(text)

    assert found == [
        (
            13,
            "groups.chat.strategy",
            "a static group has one target, and this one has 2",
        ),
        (
            16,
            "groups.chat.targets[1].use",
            "the target `acme/mini` is listed twice (first on line 15)",
        ),
    ]


def test_callers_with_one_hash_are_named_and_the_hash_is_not() -> None:
    """The finding says whose tokens are the same, in whatever case they are written."""
    second = f"""\
  - id: alice-search-prod
    owner_user: alice
    project: search
    environment: prod
    token_id: rtr_alice_search_dev_k1
    token_sha256: {HASH.upper()}
"""

    found = loaded(SMALL + second).findings

    names = "the callers `alice-search-dev` and `alice-search-prod` have the same token"
    assert [brief(finding) for finding in found] == [
        (34, "callers[1].token_id", f"{names} id"),
        (35, "callers[1].token_sha256", f"{names} hash"),
    ]
    assert HASH not in str(found).lower()


def test_callers_that_are_not_active_need_nobody() -> None:
    """An entry of the past may name users and projects that are gone."""
    past = f"""\
  - id: bob-old
    owner_user: bob
    project: gone
    environment: dev
    status: removed
    token_sha256: {OTHER_HASH}
"""

    found = errors(SMALL + past)

    assert found == []


def test_an_alias_in_allow_is_answered_with_its_group() -> None:
    """Aliases are allowed through their group."""
    text = changed("    strategy: failover\n", "    aliases: [fast]\n")
    text = changed("allow: [chat]", "allow: [fast]", text)

    found = [finding for finding in loaded(text).findings if finding.is_error]

    assert [(finding.message, finding.remedy) for finding in found] == [
        ("`fast` is an alias, not a group", "allow its group, `chat`")
    ]


def test_the_default_group_may_be_an_alias() -> None:
    """Requests that name no model may go to any name that callers can send."""
    text = changed("    strategy: failover\n", "    aliases: [fast]\n")

    found = errors(f"server: {{default_group: fast}}\n{text}")

    assert found == []


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("localhost:1", ("localhost", 1)),
        ('"[::1]:8080"', ("::1", 8080)),
        ('":65535"', ("", 65535)),
    ],
)
def test_listen_addresses_are_understood(listen: str, address: tuple[str, int]) -> None:
    """Host and port, IPv6 in brackets, or a port on all interfaces."""
    snapshot = loaded(f"server: {{listen: {listen}}}\n{SMALL}").snapshot

    assert snapshot is not None
    assert (snapshot.server.host, snapshot.server.port) == address


@pytest.mark.parametrize(
    "listen", ["8080x", "host", "host:0", "host:65536", "::1:80", "'[zz]:80'", "a b:80"]
)
def test_other_listen_addresses_are_refused(listen: str) -> None:
    """What is no address is one finding at its place."""
    found = errors(f"server:\n  listen: {listen}\n{SMALL}")

    assert [each[:2] for each in found] == [(2, "server.listen")]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://api.acme.example",
        "api.acme.example",
        "https://",
        "https://host:port/v1",
        "https://user:geheim@api.acme.example/v1",
        "https://api.acme.example/v1?key=geheim",
        "https://api.acme.example/v1#geheim",
        "'https://api.acme.example/v1/ geheim'",
        "'http://[::1'",
        "https://äcme.example/v1",
    ],
)
def test_base_urls_that_cannot_be_are_refused_unseen(url: str) -> None:
    """Only http(s) URLs without credentials or query; the URL is never quoted."""
    found = loaded(changed("https://api.acme.example/v1", url)).findings

    assert [finding.key_path for finding in found] == ["providers.acme.base_url"]
    assert "geheim" not in str(found)


@pytest.mark.parametrize(
    ("url", "warnings"),
    [
        ("http://127.0.0.1:9000/v1", 0),
        ("http://localhost/v1", 0),
        ("http://[::1]:9000/v1", 0),
        ("https://10.0.0.7/v1", 0),
        ("http://10.0.0.7/v1", 1),
        ("http://127.example/v1", 1),
    ],
)
def test_plain_http_beyond_this_machine_is_warned_about(
    url: str, warnings: int
) -> None:
    """It works, for a network that nobody else reads."""
    outcome = loaded(changed("https://api.acme.example/v1", f"'{url}'"))

    assert outcome.snapshot is not None
    assert [finding.severity for finding in outcome.findings] == ["warning"] * warnings


def test_time_outs_that_are_never_reached_are_warned_about() -> None:
    """A part of the call cannot be given longer than the whole."""
    text = changed("    strategy: failover\n", "    attempt_timeout_s: 90\n")
    upstream = "upstream: {total_timeout_s: 60, idle_timeout_s: 30}\n"

    found = loaded(upstream + text).findings

    assert [(each.severity, each.line, each.key_path) for each in found] == [
        ("warning", 1, "upstream.first_event_timeout_s"),
        ("warning", 14, "groups.chat.attempt_timeout_s"),
    ]


LIMITED = SMALL.replace(
    "    allow: [chat]\n", "    allow: [chat]\n    limits: {rpm: 60}\n"
)


@pytest.mark.parametrize(
    "limited",
    [
        LIMITED,
        SMALL.replace(
            "    targets:", "    per_caller: {limits: {concurrent: 2}}\n    targets:"
        ),
        SMALL.replace("- id: search\n", "- id: search\n    budgets: {day: {usd: 5}}\n"),
        SMALL.replace(
            "- id: alice\n",
            "- id: alice\n    shaping: {requests_per_second: 1, burst: 1}\n",
        ),
    ],
)
def test_several_workers_must_share_what_they_count(limited: str) -> None:
    """Each of them alone would let all of it pass."""
    (found,) = loaded(f"server: {{workers: 4}}\n{limited}").findings

    assert found.is_error
    assert (found.line, found.key_path) == (1, "server.workers")
    assert "4 times" in found.message
    assert "embedded-valkey" in found.remedy


@pytest.mark.parametrize(
    "text",
    [
        f"server: {{workers: 4}}\n{SMALL}",
        f"server: {{workers: 1}}\n{LIMITED}",
        f"server: {{workers: 4}}\nstate: {{counters: embedded-valkey}}\n{LIMITED}",
        f"server: {{workers: 4}}\nstate: {{counters: 'valkey://host'}}\n{LIMITED}",
        f"server: {{workers: 4}}\n{LIMITED.replace('rpm: 60', 'rpm: 0')}",
    ],
)
def test_where_nothing_is_counted_apart_there_is_nothing_to_say(text: str) -> None:
    """Nothing is limited, one counts, or they share."""
    found = loaded(text)

    assert found.snapshot is not None
    assert [each for each in found.findings if each.key_path == "server.workers"] == []


def test_what_is_not_built_is_warned_about_where_it_is_set() -> None:
    """A marked section is one warning; defaults and built values are none."""
    text = changed(
        "strategy: failover",
        "strategy: failover\n    contract: {quality: {gate: a.yaml, max_age_days: 3}}",
    )

    found = loaded(f"server: {{workers: 1}}\nstate: {{counters: memory}}\n{text}")

    assert found.snapshot is not None
    assert [(each.severity, each.line, each.key_path) for each in found.findings] == [
        ("warning", 16, "groups.chat.contract.quality"),
    ]


def test_what_is_wrong_is_not_also_called_unbuilt() -> None:
    """A misspelt strategy is an error, and only that."""
    found = loaded(changed("strategy: failover", "strategy: weihgted")).findings

    assert [(each.severity, each.key_path) for each in found] == [
        ("error", "groups.chat.strategy")
    ]


def test_a_list_in_the_place_of_a_word_is_told() -> None:
    """Also where the mark of what is not built depends on the value."""
    found = errors(changed("strategy: failover", "strategy: []"))

    assert [path for _, path, _ in found] == ["groups.chat.strategy"]


def test_an_environment_without_the_variable_is_told_by_name() -> None:
    """The finding names the variable, and says that it waits for it."""
    found = loaded(SMALL, environment={}).findings

    assert [(each.line, each.message, each.awaits) for each in found] == [
        (5, "the environment variable ACME_API_KEY is not set", "ACME_API_KEY")
    ]


def test_the_environment_of_these_tests_is_enough() -> None:
    """The small configuration needs one variable only."""
    outcome = loaded(SMALL, environment={"ACME_API_KEY": ENVIRONMENT["ACME_API_KEY"]})

    assert outcome.findings == ()


@pytest.mark.parametrize("path", ["/chat/completions", "/responses", "/messages/"])
def test_a_base_url_with_the_path_of_its_dialect(path: str) -> None:
    """The router appends it, and would do so twice."""
    found = errors(
        changed("https://api.acme.example/v1", "https://api.acme.example/v1" + path)
    )

    assert found == [
        (
            4,
            "providers.acme.base_url",
            f"the URL ends with {path.rstrip('/')}, which the router appends by itself",
        )
    ]


def test_a_base_url_that_is_no_text() -> None:
    """It is refused for that, and looked at no further."""
    found = errors(changed("base_url: https://api.acme.example/v1", "base_url: 5"))

    assert [path for _, path, _ in found] == ["providers.acme.base_url"]


@pytest.mark.parametrize(
    "dialect", ["openai-chat", "openai-responses", "anthropic-messages"]
)
def test_every_dialect_is_built(dialect: str) -> None:
    """Nothing is said about a provider for what it speaks."""
    found = loaded(changed("dialect: openai-chat", f"dialect: {dialect}")).findings

    assert found == ()
