"""Connections to PostgreSQL: where the server is, how it is spoken to, and what its errors mean."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import psycopg
from attrs import field, frozen
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from memories_async._database.file import PATIENCE, DatabaseFailed, NotWritable
from memories_async._database.group_commit import Cursor

SCHEMA = "memories_async"
"""The schema that holds the tables, where the URL names none."""
SECRETS = ("password", "sslpassword")
# A server that is gone without a word is noticed in half a minute.
_DEFAULTS = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
    "application_name": "memories_async",
}
_SETTINGS = """
SELECT set_config('search_path', %s, false), set_config('lock_timeout', %s, false),
    set_config('idle_in_transaction_session_timeout', %s, false),
    set_config('synchronous_commit', CASE current_setting('synchronous_commit')
        WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)
"""
_OLDEST = 13
_ADVICE = {
    "55P03": f"another process has kept it locked for {PATIENCE:.0f} s",
    "53100": "the server's disk is full",
    "42501": "the user may not do this: grant it the schema, or name another one with ?schema=",
    "25006": "the server takes no writes: it is a standby, or read-only",
}
_NOT_WRITABLE = {"53100", "42501", "25006"}


@frozen
class PostgresUrl:
    """Where a database is. Its text and its pickle have no password."""

    parameters: dict[str, str] = field(repr=False)
    """Of libpq, without the password."""
    schema: str
    _secrets: dict[str, str] = field(factory=dict[str, str], repr=False, eq=False)

    @classmethod
    def parse(cls, url: str) -> PostgresUrl:
        """Read `postgresql://user:password@host:port/database?schema=name`.

        Raises `ValueError`, without the URL's text, for one that cannot be read.
        """
        base, _, query = url.partition("?")
        options = parse_qsl(query, keep_blank_values=True)
        schema = dict(options).get("schema", SCHEMA)
        rest = urlencode([pair for pair in options if pair[0] != "schema"], quote_via=quote)
        try:
            found = conninfo_to_dict(f"{base}?{rest}" if rest else base)
        except psycopg.Error:  # its text may hold the password
            raise ValueError(
                "the URL of the PostgreSQL database cannot be read: it must be like"
                " postgresql://user:password@host:5432/database, with %-escapes for what is special"
            ) from None
        if not schema.strip():
            raise ValueError("schema must be a name, not blank")
        parameters = {name: str(value) for name, value in found.items()}
        hidden = {name: parameters.pop(name) for name in SECRETS if name in parameters}
        return cls(parameters, schema, hidden)

    def connect(self) -> psycopg.Connection[Any]:
        """Open a connection on which every statement commits by itself until one begins more."""
        given = {**_DEFAULTS, **self.parameters, **self._secrets, "client_encoding": "utf8"}
        raw = psycopg.connect(**given, autocommit=True)  # type: ignore[arg-type]  # each is text
        try:
            self._check(raw.info)
            patience = f"{PATIENCE:.0f}s"
            raw.execute(_SETTINGS, (quote_name(self.schema), patience, patience))
        except BaseException:
            raw.close()
            raise
        return raw

    def _check(self, server: psycopg.ConnectionInfo) -> None:
        major, encoding = (
            server.server_version // 10_000,
            server.parameter_status("server_encoding"),
        )
        if major < _OLDEST:
            raise DatabaseFailed(f"{self}: PostgreSQL {major} is too old: use {_OLDEST} or newer")
        if encoding != "UTF8":
            raise DatabaseFailed(f"{self}: its encoding is {encoding}: create a database with UTF8")

    @property
    def lock_key(self) -> int:
        """The number of the advisory lock that whoever writes to the schema holds."""
        digest = blake2b(f"memories_async {self.schema}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big", signed=True)

    def explain(self, error: Exception) -> DatabaseFailed:
        """Translate an error of PostgreSQL into one that says what is wrong and what to do."""
        if isinstance(error, DatabaseFailed):
            return type(error)(error.message)
        state = getattr(error, "sqlstate", None) or ""
        text = str(error).strip() or type(error).__name__
        for secret in self._secrets.values():
            text = text.replace(secret, "***") if secret else text
        if "no password supplied" in text:
            text += "; a pickle holds none: set PGPASSWORD or write a ~/.pgpass file"
        kind = NotWritable if state in _NOT_WRITABLE else DatabaseFailed
        return kind(f"{self}: {_ADVICE.get(state, ' '.join(text.split()))}")

    def __str__(self) -> str:
        user, host = (quote(self.parameters.get(name, ""), safe="") for name in ("user", "host"))
        port, name = self.parameters.get("port"), quote(self.parameters.get("dbname", ""))
        place = f"{user}@{host}" if user else host
        shown = f"postgresql://{place}{f':{port}' if port else ''}/{name}"
        return shown if self.schema == SCHEMA else f"{shown}?schema={quote(self.schema, safe='')}"

    def __reduce__(self) -> tuple[Any, ...]:
        return PostgresUrl, (self.parameters, self.schema)


def quote_name(name: str) -> str:
    """Quote the name of a schema or a channel for a statement."""
    return '"' + name.replace('"', '""') + '"'


@frozen
class PostgresConnection:
    """Gives a connection the form that the library's statements are written for."""

    raw: psycopg.Connection[Any]

    @property
    def is_open(self) -> bool:
        """Whether the server can still be reached by it."""
        return not self.raw.closed

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, and the server can be reached."""
        status = self.raw.info.transaction_status
        return status in {TransactionStatus.INTRANS, TransactionStatus.INERROR}

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> Cursor:
        """Execute one statement, whose parameters are question marks."""
        if not values:
            return self.raw.execute(statement.encode())
        # PostgreSQL keeps no NUL in a text.
        kept = [v.replace("\0", "\ufffd") if isinstance(v, str) else v for v in values]
        return self.raw.execute(_translate(statement), kept)


@lru_cache(256)
def _translate(statement: str) -> bytes:
    return statement.replace("%", "%%").replace("?", "%s").encode()
