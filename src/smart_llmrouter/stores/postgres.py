"""PostgreSQL: connections that give up in time, the schema, and faults in safe words.

Whatever goes wrong is told by its kind alone: what the server or its library say may
hold names, addresses and values.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.adapt import Buffer, Loader
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow

from smart_llmrouter.stores.postgres_schema import (
    OLDER_REVISIONS,
    RELATIONS_THERE,
    SCHEMA_LOCK,
    create_all,
    wanted_columns,
)
from smart_llmrouter.stores.sqlite import OK
from smart_llmrouter.stores.sqlite_schema import HEAD_REVISION
from smart_llmrouter.stores.unusable import (
    DatabaseUnusable,
    SchemaMismatch,
    UnsupportedDatabase,
)
from smart_llmrouter.stores.usage_store import DatabaseAway

CONNECT_TIMEOUT_S: Final = 5
STATEMENT_TIMEOUT_S: Final = 30.0
"""How long the server works on one statement of a writer or of a look."""

_LOCK_TIMEOUT_S: Final = 5.0
_IDLE_TIMEOUT_S: Final = 60.0
_LOOK_S: Final = 2.0
_SILENCE: Final = 1.2
"""How often the time that the server may work an answer is waited for."""

_NO_SCHEMA: Final = "of another program"
_URL_SCHEME: Final = re.compile(r"\Apostgres(?:ql)?(?:\+[a-z0-9_]+)?://")
_USUAL: Final[dict[str, str | int]] = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 40_000,
    "client_encoding": "UTF8",
    "fallback_application_name": "smart-llmrouter",
}
_SESSION: Final = """
SELECT set_config('statement_timeout', %s, false),
    set_config('lock_timeout', %s, false),
    set_config('idle_in_transaction_session_timeout', %s, false),
    set_config('synchronous_commit',
        CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'
        ELSE current_setting('synchronous_commit') END, false)
"""
_SIZE: Final = """
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class AS c
WHERE c.relkind = 'r' AND c.relnamespace =
    (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
"""
_COLUMNS: Final = """
SELECT c.relname, a.attname FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relname = ANY(%s) AND pg_table_is_visible(c.oid)
    AND a.attnum > 0 AND NOT a.attisdropped
"""
_REASONS: Final = {
    "08": "the connection broke",
    "22": "a value does not fit",
    "23": "a value breaks a rule of the tables",
    "25006": "the server is read-only",
    "28": "the server refuses the user or the password",
    "3D": "there is no such database on the server",
    "40": "somebody else's transaction is in the way",
    "42501": "the user lacks a privilege",
    "42": "the tables are not as they should be",
    "53100": "the server's disk is full",
    "53300": "the server has too many connections",
    "53": "the server is short of resources",
    "55P03": "a lock was waited for too long",
    "57014": "the server took too long",
    "57P03": "the server is starting or ending",
    "57": "the server ended the connection",
    "58": "the server's system has a fault",
    "XX": "the server has a fault",
}
"""By the beginning of the SQLSTATE; the longest that fits."""

_SAID: Final = (
    ("password authentication failed", _REASONS["28"]),
    ("no password supplied", _REASONS["28"]),
    ("no pg_hba.conf entry", _REASONS["28"]),
    ("does not exist", "there is no such database or user on the server"),
    ("starting up", _REASONS["57P03"]),
    ("shutting down", _REASONS["57P03"]),
    ("too many", _REASONS["53300"]),
    ("remaining connection slots", _REASONS["53300"]),
    ("certificate", "the server's certificate does not do"),
    ("SSL", "the server does not speak TLS as asked for"),
)
"""What the server says to who connects, of which the library tells no SQLSTATE."""

_FOR_GOOD: Final = frozenset(
    {
        _REASONS["28"],
        _REASONS["3D"],
        _REASONS["42501"],
        "there is no such database or user on the server",
        "the server's certificate does not do",
        "the server does not speak TLS as asked for",
    }
)
RV = TypeVar("RV")
Row = TupleRow


class Connection(psycopg.Connection[TupleRow]):
    """One that does not wait for ever, also where the server stands still."""

    longest_wait_s: float | None = STATEMENT_TIMEOUT_S * _SILENCE

    def wait(
        self,
        gen: PQGen[RV],
        interval: float = 0.1,
        timeout: float | None = None,
    ) -> RV:
        """Wait for an answer, at most so many seconds."""
        longest_s = self.longest_wait_s if timeout is None else timeout
        return super().wait(gen, interval=interval, timeout=longest_s)


class _SumLoader(Loader):
    """Reads a sum of whole numbers as the whole number that it is."""

    def load(self, data: Buffer) -> int | float:
        text = bytes(data)
        return int(text) if text.lstrip(b"-").isdigit() else float(text)


def connect(
    url: str, *, longest_s: float | None = STATEMENT_TIMEOUT_S, read_only: bool = False
) -> Connection:
    """Open a connection, on which each statement may take so long; `None`: for ever.

    Transactions begin when the caller says so. Raises `psycopg.Error`, and
    `UnsupportedDatabase` where the URL is none.
    """
    connection = Connection.connect(
        _parameters(url),
        autocommit=True,
        prepare_threshold=None,  # statements that poolers between us can pass on
    )
    connection.longest_wait_s = None if longest_s is None else longest_s * _SILENCE
    connection.adapters.register_loader("numeric", _SumLoader)
    try:
        limits_s = (longest_s or 0, _LOCK_TIMEOUT_S, _IDLE_TIMEOUT_S)
        connection.execute(_SESSION, [f"{int(each * 1000)}ms" for each in limits_s])
        if read_only:
            connection.execute("SET default_transaction_read_only = on")
    except BaseException:
        connection.close()
        raise
    return connection


def _parameters(url: str) -> str:
    """Return what the library is told: what the URL says, and where it is silent."""
    try:
        found = conninfo_to_dict(_URL_SCHEME.sub("postgresql://", url))
    except psycopg.Error:
        # What the library says of it repeats parts of it.
        raise UnsupportedDatabase(
            "`state.database` is no URL that PostgreSQL's library understands"
        ) from None
    said = {name: value for name, value in found.items() if value is not None}
    return make_conninfo("", **{**_USUAL, **said})


def reason_of(error: BaseException) -> str:
    """Say in safe words what went wrong."""
    state = getattr(error, "sqlstate", None) or ""
    for length in (5, 2):
        if state[:length] in _REASONS and len(state) >= length:
            return _REASONS[state[:length]]
    if isinstance(error, psycopg.errors.ConnectionTimeout):
        return "the server does not answer"
    if "Timeout" in type(error).__name__:
        return "the server does not answer"
    if isinstance(error, psycopg.OperationalError):
        said = (reason for words, reason in _SAID if words in str(error))
        return next(said, "the server cannot be reached")
    return f"PostgreSQL: {type(error).__name__}"


@contextmanager
def translated() -> Iterator[None]:
    """Raise `DatabaseAway` for what goes wrong with a database inside the block."""
    try:
        yield
    except psycopg.Error as error:
        # Its own text stays out of tracebacks, too.
        raise DatabaseAway(reason_of(error)) from None


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Commit what the block does, all of it or nothing."""
    connection.execute("BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(psycopg.Error):
            connection.execute("ROLLBACK")
        raise


def create_or_check_schema(url: str) -> None:
    """Create the schema where the database is empty, else check that it is ours.

    Raise `DatabaseUnusable` where waiting would help nobody.
    """
    try:
        with connect(url) as connection:
            create_where_empty(connection)
            check_schema(connection)
    except psycopg.Error as error:
        reason = reason_of(error)
        if reason in _FOR_GOOD:
            raise DatabaseUnusable(
                f"the usage database cannot be used: {reason}"
            ) from None
        raise DatabaseAway(reason) from None


def bytes_on_disk(url: str) -> int:
    """Return how large all tables of the schema are, with their indexes."""
    with translated(), connect(url, read_only=True) as connection:
        found = connection.execute(_SIZE).fetchone()
    return 0 if found is None else int(found[0])


def dumping_parameters(url: str) -> tuple[str, dict[str, str]]:
    """Return how a program reaches the database: what may be seen, and the password.

    The second is for its environment, which others of the machine do not see.
    """
    said = conninfo_to_dict(_parameters(url))
    password = said.pop("password", None)
    visible = {name: str(value) for name, value in said.items() if value is not None}
    return make_conninfo("", **visible), (
        {} if password is None else {"PGPASSWORD": str(password)}
    )


def condition(url: str) -> str:
    """Say `ok`, or in safe words why the database cannot be read now."""
    try:
        with connect(url, longest_s=_LOOK_S, read_only=True) as connection:
            check_schema(connection)
    except SchemaMismatch:
        return "has another schema than this version's"
    except (psycopg.Error, UnsupportedDatabase):
        return "cannot be read"
    return OK


def create_where_empty(connection: Connection) -> None:
    """Make our tables where there are none of anybody's.

    Of several routers that start at a time one makes them, and the others wait for it.
    """
    if not _is_empty(connection):
        return
    with transaction(connection):
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
        if _is_empty(connection):
            create_all(connection)


def _is_empty(connection: Connection) -> bool:
    return connection.execute(RELATIONS_THERE).fetchone() is None


def check_schema(connection: Connection) -> None:
    """Raise `SchemaMismatch` unless `connection` leads to exactly our schema."""
    found = revision_of(connection)
    if found == HEAD_REVISION and not _is_complete(connection):
        found = f"{found} with tables or columns missing"
    require_head(found)


def require_head(found: str | None) -> None:
    """Raise `SchemaMismatch` where a schema is not this version's, with what to do."""
    if found == HEAD_REVISION:
        return
    if found in OLDER_REVISIONS:
        remedy = "run `smart-llmrouter db upgrade`"
    else:
        remedy = (
            "run the version of the router that made it, or name a database or schema "
            "of the router's own"
        )
    raise SchemaMismatch(
        f"the usage database has schema {found or _NO_SCHEMA}, this "
        f"version needs {HEAD_REVISION}: {remedy}"
    )


def revision_of(connection: Connection) -> str | None:
    """Return which schema this is; `None` where it is none of any version of ours."""
    there = connection.execute("SELECT to_regclass('alembic_version')").fetchone()
    if there is None or there[0] is None:
        return None
    revisions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    return str(revisions[0][0]) if len(revisions) == 1 else "unknown"


def _is_complete(connection: Connection) -> bool:
    wanted = wanted_columns()
    found: dict[str, set[str]] = {name: set() for name in wanted}
    for relation, column in connection.execute(_COLUMNS, (list(wanted),)):
        found[relation].add(column)
    return all(found[name].issuperset(columns) for name, columns in wanted.items())
