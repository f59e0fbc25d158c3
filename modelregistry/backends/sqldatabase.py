"""One database: its address, its connections, and what goes wrong with it in our words, without its secrets."""

from __future__ import annotations

import logging
import os
import random
import re
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError

from modelregistry.errors import (
    AccessDeniedError,
    DatabaseError,
    InvalidInputError,
    MissingDependencyError,
    RegistryError,
    UnreachableError,
)

_DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg"}
_WRITES = "modelregistry_writes"
READING_SECONDS, WRITING_SECONDS = 5.0, 30.0
"""For how long a database that does not answer is asked again."""
_WHICH = ("host", "hostaddr", "port", "dbname", "options", "service")
"""The options of a connection that say which log it is, and are no secrets."""
_SECRET = re.compile("pass|secret|token|key", re.IGNORECASE)
_DENIED = re.compile(
    r"authentication failed|no password supplied|no pg_hba.conf entry|readonly database|role .* does not exist"
)
_FINAL = re.compile(r"FATAL|no password supplied|does not support SSL|certificate verify failed")
"""What a server, or the driver before it, says to one it will never let in."""
_PASSING = ("08", "57P", "40001", "40P01", "53300", "55P03")
"""Codes of PostgreSQL's: the connection, the server going down or coming up, transactions that met, too many guests."""
_SOON = re.compile(
    r"starting up|shutting down|in recovery|accepting connections|too many clients|remaining connection slots"
)
_LOGGING_NAME = "modelregistry"
_Answer = TypeVar("_Answer")

# To whoever asks for its smallest words SQLAlchemy shows each row of an answer; of ours it does not.
logging.getLogger(f"sqlalchemy.engine.Engine.{_LOGGING_NAME}").addFilter(
    lambda record: record.levelno > logging.DEBUG
)


class Database:
    """A database that is reached by an address; one that breaks is asked again for a while.

    Args:
        address: What the backend is opened by.
        options: What SQLAlchemy's ``create_engine`` takes.

    Attributes:
        kind: ``sqlite`` or ``postgresql``.
        identity: Its address, less the user, the password, and all that does not say which log it is.
        writing: Opens transactions that write.

    Raises:
        InvalidInputError: Not such an address, or not such options.
        MissingDependencyError: Its driver is not installed.
    """

    def __init__(self, address: str, options: Mapping[str, Any]) -> None:
        self._url = _parse(address)
        self.kind = self._url.get_backend_name()
        self.identity = _identity(self._url)
        self._engine = _create_engine(self._url, options)
        self._owner = [os.getpid()]
        weakref.finalize(self, _close, self._engine, self._owner)
        # A statement of PostgreSQL's that begins and ends by itself saves two ways there and back; SQLite's always does.
        alone = {} if self.is_file else {"isolation_level": "AUTOCOMMIT"}
        self._reading = self._engine.execution_options(**alone)
        self.writing = self._engine.execution_options(**{_WRITES: True})

    @property
    def is_file(self) -> bool:
        """Whether it is a file of this machine."""
        return self.kind == "sqlite"

    @property
    def is_there(self) -> bool:
        """Whether it may be there: a file that is not would be made by opening it."""
        return not self.is_file or Path(self._url.database or "").exists()

    def ask(self, question: Callable[[sa.Connection], _Answer], *, on: sa.Engine | None = None) -> _Answer:
        """The answer, asked again for a while where the connection breaks; what it took to find it is not kept."""
        with self.told():
            for last in _tries():
                try:
                    with (on or self._reading).connect() as connection:
                        return question(connection)
                except DBAPIError as error:
                    if last or not _may_pass(error):
                        raise
        raise AssertionError

    def stream(self, statement: sa.Select[Any]) -> Iterator[Any]:
        """The rows, a thousand at a time."""
        with self.told(), ExitStack() as stack:
            yield from self._begin_stream(statement, stack)

    def _begin_stream(self, statement: sa.Select[Any], stack: ExitStack) -> Iterable[Any]:
        """All rows, asked for again for a while where the connection breaks; ``stack`` keeps the one they come over."""
        for last in _tries():
            with ExitStack() as opened:
                try:
                    connection = opened.enter_context(self._engine.connect())
                    connection.scalar(sa.select(1))  # here it shows whether the connection still is one
                    rows = connection.execution_options(yield_per=1000).execute(statement)
                    opened.callback(rows.close)
                except DBAPIError as error:
                    if last or not _may_pass(error):
                        raise
                else:
                    stack.push(opened.pop_all())
                    return rows
        raise AssertionError

    def transact(
        self, work: Callable[[sa.Connection, bool], bool], settle: Callable[[SQLAlchemyError], bool]
    ) -> bool:
        """Do ``work`` in one transaction; again for a while where the connection breaks.

        Args:
            work: Says whether it wrote. It is told whether an earlier commit, of which nobody heard again, may have
                gone through.
            settle: Says, when there are no more tries, whether that commit did; or raises.
        """
        in_doubt = False
        with self.told():
            for last in _tries(writes=True):
                committing = False
                try:
                    with self.writing.begin() as connection:
                        wrote = work(connection, in_doubt)
                        committing = wrote
                    return wrote
                except SQLAlchemyError as error:
                    in_doubt |= committing and _says_nothing(error)
                    if not last and _may_pass(error):
                        continue
                    if in_doubt and settle(error):
                        return True
                    raise
        raise AssertionError

    def change_tables(self, work: Callable[[sa.Connection], None]) -> None:
        """Do what makes or changes tables, in one transaction."""
        # Who waited for another must see what that one made.
        alone = {} if self.is_file else {"isolation_level": "READ COMMITTED"}
        with self.told():
            with self.writing.execution_options(**alone).begin() as connection:
                work(connection)
            if self.is_file:
                _write_ahead(self._engine)

    def words(self, error: SQLAlchemyError) -> str:
        """What the database said, on one line, secrets removed."""
        return _words(error, self._url)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Whatever the database raises is told in our words, without a secret."""
        self._forget_parent()
        try:
            yield
        except SQLAlchemyError as error:
            failure = _failure(error)
            raise failure(f"the log at {self.identity!r} {_VERDICTS[failure]}: {self.words(error)}") from None

    def _forget_parent(self) -> None:
        """Leave the connections of the process that this one was forked from to it."""
        if self._owner != [os.getpid()]:
            _leave(self._engine)
            self._owner[:] = [os.getpid()]


# -- an address and its connections -----------------------------------------------------------------------------


def _parse(address: str) -> sa.URL:
    """The address taken apart.

    Raises:
        InvalidInputError: It is none of ours. What it says is not repeated: it may hold a password.
    """
    forms = "sqlite:///file.db, or postgresql://user@host/database"
    try:
        url = sa.make_url(address)
        driver = _DRIVERS[url.get_backend_name()]
    except (ArgumentError, AttributeError, KeyError, ValueError) as error:
        raise InvalidInputError(f"not the address of a database that can keep a log: {forms}") from (
            error if isinstance(error, KeyError) else None
        )
    if url.drivername not in (url.get_backend_name(), driver):
        raise InvalidInputError(f"a log is not reached through {url.drivername!r}: {forms}")
    # An @ in a password that is not written %40 ends it too soon, and what follows would be shown.
    if "@" in f"{url.host or ''}{'' if driver.startswith('sqlite') else url.database or ''}":
        raise InvalidInputError(f"not the address of a database (an @ in a password is written %40): {forms}")
    if driver.startswith("sqlite") and (url.host or url.username or url.password):
        raise InvalidInputError(f"a file has no host and no user (a third slash begins its path): {forms}")
    if driver.startswith("sqlite") and url.database in (None, "", ":memory:"):
        raise InvalidInputError(f"a database in memory is gone with its connection: {forms}")
    return url.set(drivername=driver)


def _create_engine(url: sa.URL, options: Mapping[str, Any]) -> sa.Engine:
    is_file = url.get_backend_name() == "sqlite"
    driver: dict[str, Any] = {"timeout": WRITING_SECONDS} if is_file else {"connect_timeout": 10}
    asked = {name: value for name, value in driver.items() if name not in url.query}
    if options.get("isolation_level") == "AUTOCOMMIT":
        raise InvalidInputError("isolation_level='AUTOCOMMIT' would part what one write does: leave it out")
    given = dict(options)
    given["connect_args"] = asked | given.get("connect_args", {})
    try:
        engine = sa.create_engine(url, hide_parameters=True, **(given | {"logging_name": _LOGGING_NAME}))
    except ImportError as error:
        raise MissingDependencyError(
            "a log in PostgreSQL needs psycopg: pip install 'modelregistry[postgresql]'"
        ) from error
    except (SQLAlchemyError, TypeError) as error:
        raise InvalidInputError(
            f"options that the database {_identity(url)!r} does not take: {error}"
        ) from error
    if is_file:
        sa.event.listen(engine, "connect", _let_go)
        sa.event.listen(engine, "begin", _begin)
    else:
        sa.event.listen(engine, "connect", _wait_no_longer)
    return engine


_inherited: list[sa.Pool] = []
"""Connections of the process that this one was forked from: kept, since to forget one is to close it."""


def _leave(engine: sa.Engine) -> None:
    """Have the engine make connections of its own."""
    _inherited.append(engine.pool)
    engine.dispose(close=False)


def _close(engine: sa.Engine, owner: Sequence[int]) -> None:
    """Close the connections, unless they are another process's."""
    if list(owner) == [os.getpid()]:
        engine.dispose()
    else:
        _leave(engine)


def _let_go(connection: Any, _record: object) -> None:
    """Have Python's driver begin no transaction of its own."""
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous = FULL")


def _wait_no_longer(connection: Any, _record: object) -> None:
    """Have who waits for the row of a model told, unless the server does it: who has it may have lost its machine."""
    connection.autocommit = True
    connection.execute(
        "SELECT set_config('lock_timeout', %s, false) WHERE current_setting('lock_timeout') = '0'",
        [str(round(WRITING_SECONDS * 1000))],
    )
    connection.autocommit = False


def _begin(connection: sa.Connection) -> None:
    """A writer takes the file's lock at once: one that read first could not have it any more."""
    if connection.get_execution_options().get(_WRITES):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _write_ahead(engine: sa.Engine) -> None:
    """Have readers and a writer not wait for each other; SQLite does not wait for those who are in the way of that."""
    for last in _tries(writes=True):
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            return
        except OperationalError as error:
            if last or "locked" not in str(error.orig):
                raise


def _tries(*, writes: bool = False) -> Iterator[bool]:
    """Whether this is the last try; between two, wait the longer the more there were."""
    end = time.monotonic() + (WRITING_SECONDS if writes else READING_SECONDS)
    for tried in count():
        yield time.monotonic() >= end
        time.sleep(random.uniform(0, min(0.05 * 2**tried, 1.0)))  # noqa: S311


# -- what goes wrong -------------------------------------------------------------------------------------------


def _says_nothing(error: SQLAlchemyError) -> bool:
    """Whether the database left it open what became of a commit; one that says why not has undone it.

    Unless it broke down over it: then it may have written the commit before.
    """
    if not isinstance(error, DBAPIError):
        return False
    code = _code(error)
    return not code or code.startswith(("08", "57P")) or _broke_down(error)


def _may_pass(error: SQLAlchemyError) -> bool:
    """Whether the same may go well in a moment: a connection that broke, a server that starts, transactions that met."""
    if not isinstance(error, DBAPIError):
        return False
    code = _code(error)
    if code:
        return code.startswith(_PASSING) or _broke_down(error)
    said = str(error.orig)
    if "database is locked" in said:  # it waited for as long as is allowed
        return False
    return (
        error.connection_invalidated
        or (not _FINAL.search(said) and _is_connecting(error))
        or bool(_SOON.search(said))
    )


def _broke_down(error: DBAPIError) -> bool:
    """Whether the whole server did; it starts again by itself."""
    told = getattr(error.orig, "diag", None)
    return getattr(told, "severity_nonlocalized", None) == "PANIC"


def _is_connecting(error: DBAPIError) -> bool:
    return error.statement is None and isinstance(error, OperationalError) and not _is_of_sqlite(error)


def _is_of_sqlite(error: DBAPIError) -> bool:
    return type(error.orig).__module__.startswith("sqlite3")


def _code(error: DBAPIError) -> str:
    """The five characters that say what went wrong in PostgreSQL; nothing where it could not say so."""
    return getattr(error.orig, "sqlstate", None) or ""


_VERDICTS: dict[type[RegistryError], str] = {
    AccessDeniedError: "does not let you do that",
    UnreachableError: "can't be reached; nothing was written",
    DatabaseError: "can't be used; nothing was written",
}


def _failure(error: SQLAlchemyError) -> type[RegistryError]:
    if not isinstance(error, DBAPIError):
        return UnreachableError if isinstance(error, sa.exc.TimeoutError) else DatabaseError
    said = str(error.orig)
    if _code(error) in ("42501", "25006") or _code(error).startswith("28") or _DENIED.search(said):
        return AccessDeniedError
    if _code(error).startswith(_PASSING) or _may_pass(error) or _is_connecting(error) or "is locked" in said:
        return UnreachableError
    return DatabaseError


def _words(error: SQLAlchemyError, url: sa.URL) -> str:
    """What the database said, on one line, secrets removed."""
    whole = error.orig if isinstance(error, DBAPIError) and error.orig else error
    # The details of a server's answer repeat what is in the row.
    said = " ".join(str(getattr(getattr(whole, "diag", None), "message_primary", None) or whole).split())
    for secret in [url.password, *(value for key, value in url.query.items() if _SECRET.search(key))]:
        if isinstance(secret, str) and secret:
            said = said.replace(secret, "***")
    return said


def _identity(url: sa.URL) -> str:
    if url.get_backend_name() == "sqlite":
        return f"sqlite:///{os.path.abspath(url.database or '')}"
    which = {key: value for key, value in url.query.items() if key in _WHICH}
    shown = sa.URL.create(
        url.get_backend_name(),
        host=url.host,
        port=url.port,
        database=url.database or url.username,
        query=which,
    )
    return shown.render_as_string()
