"""The log in a database: SQLite or PostgreSQL, through SQLAlchemy.

A row is an event, and its ``record`` is the very text that Git would keep as its tag. An append takes the row of its
model first, so writers of one model come one after another, and then the place of its event, which is unique.
"""

from __future__ import annotations

import hashlib
import logging
import os
import random
import re
import time
import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count, groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

from modelregistry.backends.base import Backend, Capabilities, Entry, Log, Outline, Record, Synced
from modelregistry.errors import (
    AccessDeniedError,
    ConflictError,
    DatabaseError,
    InvalidInputError,
    MissingDependencyError,
    OutcomeUnknownError,
    RefusedError,
    RegistryError,
    SchemaError,
    UnreachableError,
)
from modelregistry.events import Event
from modelregistry.tags import Quarantined, RawTag, is_signed, name_in, outline, parse, parse_name, render

try:
    import sqlalchemy as sa
    from sqlalchemy.dialects.postgresql import insert as insert_postgresql
    from sqlalchemy.dialects.sqlite import insert as insert_sqlite
    from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError
except ImportError as missing:
    raise MissingDependencyError(
        "a log in a database needs SQLAlchemy: pip install 'modelregistry[sql]', or 'modelregistry[postgresql]'"
    ) from missing

SCHEMA = "0001"
"""The last of the migrations, which the tables must be at."""
VERSION_TABLE = "modelregistry_version"
_DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg"}
_WRITES = "modelregistry_writes"
_READING_SECONDS, _WRITING_SECONDS = 5.0, 30.0
"""For how long a database that does not answer is asked again."""
_LONGEST_TAG = 1024  # bytes; an index of PostgreSQL takes 2,704
_WHICH = ("host", "port", "dbname", "options", "service")
"""The options of a connection that say which log it is, and are no secrets."""
_SECRET = re.compile("pass|secret|token|key", re.IGNORECASE)
_DENIED = re.compile(
    r"authentication failed|no password supplied|no pg_hba.conf entry|readonly database|role .* does not exist"
)
_FINAL = re.compile(r"FATAL|no password supplied|does not support SSL|certificate verify failed")
"""What a server, or the driver before it, says to one it will never let in."""
_PASSING = ("08", "57P", "40001", "40P01", "53300", "55P03")
"""Codes of PostgreSQL's: the connection, the server going down or coming up, transactions that met, too many guests."""
_FEW = 32
"""The models whose events are remembered, so that a log that moved is not parsed from its beginning."""
_SOON = re.compile(
    r"starting up|shutting down|in recovery|accepting connections|too many clients|remaining connection slots"
)
_LOGGING_NAME = "modelregistry"
_Answer = TypeVar("_Answer")
_Parsed = dict[tuple[str, bytes], Event | Quarantined | None]
"""What a log's tags and records say."""

# To whoever asks for its smallest words SQLAlchemy shows each row of an answer; of ours it does not.
logging.getLogger(f"sqlalchemy.engine.Engine.{_LOGGING_NAME}").addFilter(
    lambda record: record.levelno > logging.DEBUG
)

# Text is compared by its bytes, as Python compares it.
_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
metadata = sa.MetaData()
_models = sa.Table(
    "modelregistry_model", metadata,
    sa.Column("name", _text, primary_key=True),
    sa.Column("events", sa.Integer, nullable=False),
    sa.Column("last", sa.Text, nullable=False),
)  # fmt: skip
_events = sa.Table(
    "modelregistry_event", metadata,
    sa.Column("model", _text, sa.ForeignKey("modelregistry_model.name"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("tag", _text, nullable=False, unique=True),
    sa.Column("record", sa.LargeBinary, nullable=False),
)  # fmt: skip
_mirror = sa.Table("modelregistry_mirror", metadata, sa.Column("of", sa.Text, primary_key=True))
_log = (
    sa.select(_models.c.name, _models.c.events, _models.c.last, _events.c.tag, _events.c.record)
    .join_from(_models, _events)
    .order_by(_models.c.name, _events.c.position)
)
"""One statement, so that a head and its events are of one moment."""
_log_of_one = _log.where(_models.c.name == sa.bindparam("model"))
_head_of_one = sa.select(_models.c.events, _models.c.last).where(_models.c.name == sa.bindparam("model"))
_heads = sa.select(_models.c.name, _models.c.events, _models.c.last).order_by(_models.c.name)
_mirrored = sa.select(_mirror.c.of)
_record_of_tag = sa.select(_events.c.record).where(_events.c.tag == sa.bindparam("tag"))


class _Kept(NamedTuple):
    """An event on its way into the database."""

    tag: str
    record: bytes
    event: Event

    @classmethod
    def of(cls, event: Event, record: bytes | None) -> _Kept:
        """The event with the text it is kept as, and by the name it will have."""
        text = render(event) if record is None else record
        tag = name_in(text)
        if len(tag.encode()) > _LONGEST_TAG:
            raise RefusedError(
                f"a database can't keep the event {tag[:60]!r}…, whose name has {len(tag):,} characters: choose a shorter one"
            )
        return cls(tag, text, event.model_copy(update={"source": tag}))

    @property
    def oid(self) -> str:
        """The id that Git gives the text."""
        return _oid(self.record)


class SqlBackend(Backend):
    """Keeps the log in the tables of one database.

    ``modelregistry.open_backend`` opens it, ``modelregistry.migrate`` makes the tables.

    Args:
        address: ``sqlite:///file.db`` or ``postgresql://user:password@host/database?sslmode=verify-full``: what
            follows the question mark is for the database's own driver.
        options: What SQLAlchemy's ``create_engine`` takes, such as ``pool_size=5``.

    Raises:
        InvalidInputError: Not such an address.
        UnreachableError: The database can't be reached.
        AccessDeniedError: It does not let this user in.
        SchemaError: Its tables are missing, older or newer than this version's.
    """

    name = "sql"

    def __init__(self, address: str, **options: Any) -> None:
        self._url = url = _parse(address)
        is_file = url.get_backend_name() == "sqlite"
        if is_file and not Path(url.database or "").exists():
            raise SchemaError(f"there is no log at {self.identity!r} yet: modelregistry.migrate(…) makes one")
        self.capabilities = Capabilities(multi_writer=True, signed=True, remote=not is_file)
        engine = _create_engine(url, options)
        self._owner = [os.getpid()]
        weakref.finalize(self, _close, engine, self._owner)
        # A statement of PostgreSQL's that begins and ends by itself saves two ways there and back; SQLite's always does.
        self._reading = engine if is_file else engine.execution_options(isolation_level="AUTOCOMMIT")
        self._writing = engine.execution_options(**{_WRITES: True})
        self._streaming = engine
        self._insert = insert_sqlite if is_file else insert_postgresql
        self._unknown: dict[str, list[_Kept]] = {}
        self._parsed: dict[str, _Parsed] = {}
        self._check_schema()

    @classmethod
    def open(cls, address: str, **options: Any) -> Self:
        """What the class makes of it."""
        return cls(address, **options)

    @classmethod
    def migrate(cls, address: str) -> None:
        """Make the tables, or bring those of an older version to this one's form; where they have it, do nothing.

        Raises:
            InvalidInputError: Not such an address.
            UnreachableError: The database can't be reached.
            AccessDeniedError: It does not let this user do that.
            SchemaError: A newer version of this library made them.
        """
        from modelregistry.backends.sqlmigrations.run import upgrade

        url = _parse(address)
        engine = _create_engine(url, {})
        options: dict[str, Any] = {_WRITES: True}
        if engine.dialect.name == "postgresql":  # who waited for another must see what that one made
            options["isolation_level"] = "READ COMMITTED"
        try:
            with _told(url), engine.execution_options(**options).begin() as connection:
                found = _schema_of(connection)
                if found is not None and found > SCHEMA:
                    raise SchemaError(_newer(url, found))
                upgrade(connection, version_table=VERSION_TABLE)
            if engine.dialect.name == "sqlite":
                with _told(url):
                    _write_ahead(engine)
        finally:
            engine.dispose()

    @property
    def kind(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._url.get_backend_name()

    @property
    def identity(self) -> str:
        """Its address, less the user, the password, and all that does not say which log it is."""
        return _identity(self._url)

    def _check_schema(self) -> None:
        found = self._ask(_schema_of)
        if found is None:
            raise SchemaError(f"there is no log at {self.identity!r} yet: modelregistry.migrate(…) makes one")
        if found < SCHEMA:
            raise SchemaError(
                f"the log at {self.identity!r} has tables of an older form ({found}; this version needs {SCHEMA}): "
                "modelregistry.migrate(…) changes them, once everybody who writes there has this version"
            )
        if found > SCHEMA:
            raise SchemaError(_newer(self._url, found))

    # -- reading -------------------------------------------------------------------------------------------

    def _read(self, model: str, records: bool) -> Log:
        rows = self._ask(lambda connection: connection.execute(_log_of_one, {"model": model}).all())
        if not rows:
            return Log(model, head="")
        # A log that moved has the events of before, and a few more: those are parsed.
        known = self._parsed.pop(model, {})
        parsed = self._parsed[model] = _parse_rows(rows, known)
        for forgotten in list(self._parsed)[:-_FEW]:
            self._parsed.pop(forgotten, None)
        return _gather(rows, parsed, records=records)

    def _read_all(self, records: bool) -> Iterator[Log]:
        return (_gather(rows, _parse_rows(rows, {}), records=records) for rows in self._stream())

    def _outlines(self) -> Iterator[Outline]:
        return (Outline(rows[0].name, _head(rows[0]), tuple(_outlined(rows))) for rows in self._stream())

    def _heads(self) -> dict[str, str]:
        return {
            row.name: _head(row) for row in self._ask(lambda connection: connection.execute(_heads).all())
        }

    def _watch(self, model: str) -> Hashable | None:
        row = self._ask(lambda connection: connection.execute(_head_of_one, {"model": model}).first())
        return "" if row is None else _head(row)

    def _ask(self, question: Callable[[sa.Connection], _Answer], *, on: sa.Engine | None = None) -> _Answer:
        """The answer, asked again for a while where the connection breaks; what it took to find it is not kept."""
        self._forget_parent()
        with _told(self._url):
            for last in _tries(_READING_SECONDS):
                try:
                    with (on or self._reading).connect() as connection:
                        return question(connection)
                except DBAPIError as error:
                    if last or not _may_pass(error):
                        raise
        raise AssertionError

    def _stream(self) -> Iterator[list[Any]]:
        """The rows of each model."""
        self._forget_parent()
        with _told(self._url), ExitStack() as stack:
            rows = self._begin_stream(stack)
            for _, found in groupby(rows, key=attrgetter("name")):
                yield list(found)

    def _begin_stream(self, stack: ExitStack) -> Iterable[Any]:
        """All rows, asked for again for a while where the connection breaks; ``stack`` keeps the one they come over."""
        for last in _tries(_READING_SECONDS):
            with ExitStack() as opened:
                try:
                    connection = opened.enter_context(self._streaming.connect())
                    connection.scalar(sa.select(1))  # here it shows whether the connection still is one
                    rows = connection.execution_options(yield_per=1000).execute(_log)
                    opened.callback(rows.close)
                except DBAPIError as error:
                    if last or not _may_pass(error):
                        raise
                else:
                    stack.push(opened.pop_all())
                    return rows
        raise AssertionError

    def _forget_parent(self) -> None:
        """Leave the connections of the process that this one was forked from to it."""
        if self._owner != [os.getpid()]:
            _leave(self._streaming)
            self._owner[:] = [os.getpid()]

    # -- writing -------------------------------------------------------------------------------------------

    def _append(self, event: Event, record: bytes | None) -> Event | None:
        kept = _Kept.of(event, record)
        in_doubt = False  # whether a commit was sent of which nobody heard again
        self._forget_parent()
        with _told(self._url):
            for last in _tries(_WRITING_SECONDS):
                committing = False
                try:
                    with self._writing.begin() as connection:
                        position = self._take(connection, event.model, [kept])
                        if not self._put(connection, kept, position):
                            mine = in_doubt and self._is_there(connection, kept)
                            connection.rollback()
                            return kept.event if mine else None
                        committing = True
                    return kept.event
                except SQLAlchemyError as error:
                    in_doubt |= committing and _says_nothing(error)
                    if last or not _may_pass(error):
                        if in_doubt and self._look_up(kept, error):
                            return kept.event
                        raise
        raise AssertionError

    def _take(self, connection: sa.Connection, model: str, kept: Sequence[_Kept]) -> int:
        """Make the model's row this transaction's own until it ends, and count the events; how many there were."""
        new = self._insert(_models).values(name=model, events=len(kept), last=kept[-1].oid if kept else "")
        changed = {"events": _models.c.events + len(kept)} | ({"last": kept[-1].oid} if kept else {})
        taken = new.on_conflict_do_update(index_elements=["name"], set_=changed).returning(_models.c.events)
        return int(connection.execute(taken).scalar_one()) - len(kept)

    def _put(self, connection: sa.Connection, kept: _Kept, position: int) -> bool:
        """Insert the event, unless its place is taken."""
        row = self._insert(_events).values(
            model=kept.event.model, position=position, tag=kept.tag, record=kept.record
        )
        put = row.on_conflict_do_nothing(index_elements=["tag"]).returning(_events.c.position)
        return connection.execute(put).first() is not None

    def _is_there(self, connection: sa.Connection, kept: _Kept) -> bool:
        return bool(connection.execute(_record_of_tag, {"tag": kept.tag}).scalar() == kept.record)

    def _look_up(self, kept: _Kept, cause: SQLAlchemyError) -> bool:
        """Whether an event is there whose commit nobody heard of again.

        Raises:
            OutcomeUnknownError: Nobody can be asked.
        """
        try:
            with self._writing.connect() as connection:
                return bool(self._settle(connection, kept.event.model, [kept]))
        except SQLAlchemyError:
            self._unknown.setdefault(kept.event.model, []).append(kept)
            raise OutcomeUnknownError(
                f"the connection to {self.identity!r} broke while {kept.tag!r} was written, so nobody can tell whether it is "
                f"there ({_words(cause, self._url)}): call sync(), or write to the model again, to settle it",
                event_id=kept.event.id, tag=kept.tag,
            ) from cause  # fmt: skip

    def _prepare(self, model: str) -> Sequence[str]:
        self._refuse_mirror()
        waiting = self._unknown.get(model)
        if not waiting:
            return ()
        there = self._ask(lambda connection: self._settle(connection, model, waiting), on=self._writing)
        self._unknown.pop(model, None)
        return [kept.tag for kept in there]

    def _settle(self, connection: sa.Connection, model: str, waiting: Sequence[_Kept]) -> list[_Kept]:
        """Which events are there whose commits nobody heard of again.

        Their transactions have the model's row for as long as they live: once this one has it, they are over.
        """
        self._take(connection, model, [])
        return [kept for kept in waiting if self._is_there(connection, kept)]

    def _sync(self) -> Synced:
        return Synced(published=tuple(tag for model in list(self._unknown) for tag in self._prepare(model)))

    def _refuse_mirror(self) -> None:
        of = self._ask(lambda connection: connection.execute(_mirrored).scalar())
        if of is not None:
            raise RefusedError(f"{self.identity!r} is a mirror of the log at {of!r}: write there")

    def _check(self, event: Event) -> None:
        _Kept.of(event, None)

    # -- copies --------------------------------------------------------------------------------------------

    def _extend(self, model: str, entries: Sequence[Entry]) -> None:
        self._refuse_mirror()
        new = [_Kept.of(*entry) for entry in entries]
        if new:
            self._transact(lambda connection: self._add(connection, model, new), new)

    def _follow(self, log: Log, of: str) -> None:
        wanted = [_Kept.of(*entry) for entry in log.entries()]

        def copy(connection: sa.Connection) -> None:
            mirrored = connection.execute(_mirrored).scalar()
            if mirrored is None:  # then two may want to be the first
                self._wait_for_turn(connection)
                mirrored = connection.execute(_mirrored).scalar()
            if mirrored is None and connection.execute(_heads).first() is None:
                connection.execute(_mirror.insert().values(of=of))
            elif mirrored != of:
                what = f"a mirror of {mirrored!r}" if mirrored else "a log of its own"
                raise ConflictError(
                    f"{self.identity!r} is {what}, and no mirror of {of!r}: take an empty database"
                )
            self._take(connection, log.model, [])
            there = self._records(connection, log.model)
            if not there.items() <= {kept.tag: kept.record for kept in wanted}.items():
                connection.execute(_events.delete().where(_events.c.model == log.model))
                connection.execute(_models.update().where(_models.c.name == log.model).values(events=0))
            self._add(connection, log.model, wanted)
            if not wanted:
                connection.execute(_models.delete().where(_models.c.name == log.model))

        self._transact(copy, wanted)

    def _wait_for_turn(self, connection: sa.Connection) -> None:
        """Let nobody else say meanwhile whose mirror this is; in SQLite nobody can."""
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"LOCK TABLE {_mirror.name} IN SHARE ROW EXCLUSIVE MODE")

    def _add(self, connection: sa.Connection, model: str, entries: Sequence[_Kept]) -> None:
        """Add those that are not there yet."""
        self._take(connection, model, [])
        there = self._records(connection, model)
        new = [kept for kept in entries if there.get(kept.tag) != kept.record]
        for kept in new:
            if kept.tag in there:
                raise ConflictError(
                    f"{kept.tag!r} is taken, by another event, in the log at {self.identity!r}"
                )
        if new:
            position = self._take(connection, model, new)
            rows = [
                {"model": model, "position": position + index, "tag": kept.tag, "record": kept.record}
                for index, kept in enumerate(new)
            ]
            connection.execute(_events.insert(), rows)

    def _records(self, connection: sa.Connection, model: str) -> dict[str, bytes]:
        return {row.tag: row.record for row in connection.execute(_log_of_one, {"model": model})}

    def _transact(self, work: Callable[[sa.Connection], None], entries: Sequence[_Kept]) -> None:
        """Do what may be done twice, in one transaction; again for a while where the connection breaks.

        Raises:
            OutcomeUnknownError: It broke over the commit, and nobody can be asked; named by the last of the entries.
        """
        in_doubt = False
        self._forget_parent()
        with _told(self._url):
            for last in _tries(_WRITING_SECONDS):
                committing = False
                try:
                    with self._writing.begin() as connection:
                        work(connection)
                        committing = True
                    return
                except SQLAlchemyError as error:
                    in_doubt |= committing and _says_nothing(error)
                    if not last and _may_pass(error):
                        continue
                    if not in_doubt:
                        raise
                    raise OutcomeUnknownError(
                        f"the connection to {self.identity!r} broke while a copy was written, so nobody can tell whether it is "
                        f"there ({_words(error, self._url)}): copy again; what is there is passed by",
                        event_id=entries[-1].event.id if entries else "", tag=entries[-1].tag if entries else "",
                    ) from error  # fmt: skip


# -- rows ------------------------------------------------------------------------------------------------------


def _parse_rows(rows: Sequence[Any], known: _Parsed) -> _Parsed:
    """What the rows keep, in their order; what is ``known`` is not parsed again."""
    texts = [(row.tag, row.record) for row in rows]
    return {text: known[text] if text in known else _parse_record(*text) for text in texts}


def _gather(rows: Sequence[Any], parsed: _Parsed, *, records: bool) -> Log:
    """The log of the model whose rows these are."""
    events: list[Event] = []
    quarantined: list[Quarantined] = []
    numbers: dict[str, int] = {}
    kept: dict[str, Record] = {}
    for (_, record), found in parsed.items():
        if found is None:
            continue
        numbers[found.slot] = max(found.number, numbers.get(found.slot, 0))
        if isinstance(found, Quarantined):
            quarantined.append(found)
            continue
        events.append(found)
        if records and (not found.schema_version or is_signed(record)):
            kept[found.source] = Record(_oid(record), record)
    return Log(rows[0].name, _head(rows[0]), tuple(events), tuple(quarantined), numbers, kept)


def _outlined(rows: Iterable[Any]) -> Iterator[Event]:
    """What a fold needs of the events."""
    for row in rows:
        name = parse_name(row.tag)
        told = outline(row.tag, name, row.record) if name is not None else None
        if told is not None:
            yield from told
        elif isinstance(event := _parse_record(row.tag, row.record), Event):
            yield event


def _parse_record(tag: str, record: bytes) -> Event | Quarantined | None:
    return parse(RawTag(tag, _oid(record), "tag", record))


def _oid(record: bytes) -> str:
    """The id that Git gives the tag object, in a repository of the commit that it names."""
    text = b"tag %d\0%b" % (len(record), record)
    long = record.find(b"\n") > len("object ") + 40
    return (hashlib.sha256(text) if long else hashlib.sha1(text, usedforsecurity=False)).hexdigest()


def _head(row: Any) -> str:
    return f"{row.events} {row.last}"


# -- the database ----------------------------------------------------------------------------------------------


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
    driver: dict[str, Any] = {"timeout": _WRITING_SECONDS} if is_file else {"connect_timeout": 10}
    asked = {name: value for name, value in driver.items() if name not in url.query}
    given = dict(options)
    given["connect_args"] = asked | given.get("connect_args", {})
    try:
        engine = sa.create_engine(url, hide_parameters=True, **({"logging_name": _LOGGING_NAME} | given))
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
        [str(round(_WRITING_SECONDS * 1000))],
    )
    connection.autocommit = False


def _begin(connection: sa.Connection) -> None:
    """A writer takes the file's lock at once: one that read first could not have it any more."""
    if connection.get_execution_options().get(_WRITES):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _write_ahead(engine: sa.Engine) -> None:
    """Have readers and a writer not wait for each other; SQLite does not wait for those who are in the way of that."""
    for last in _tries(_WRITING_SECONDS):
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            return
        except OperationalError as error:
            if last or "locked" not in str(error.orig):
                raise


def _schema_of(connection: sa.Connection) -> str | None:
    """The last migration that was made; None where there are no tables."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    version = sa.table(VERSION_TABLE, sa.column("version_num"))
    return connection.execute(sa.select(version.c.version_num)).scalar()


def _newer(url: sa.URL, found: str) -> str:
    return (
        f"the log at {_identity(url)!r} has tables of a newer form ({found}; this version knows {SCHEMA}): upgrade "
        "modelregistry here"
    )


def _tries(seconds: float) -> Iterator[bool]:
    """Whether this is the last try; between two, wait the longer the more there were."""
    end = time.monotonic() + seconds
    for tries in count():
        yield time.monotonic() >= end
        time.sleep(random.uniform(0, min(0.05 * 2**tries, 1.0)))  # noqa: S311


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


@contextmanager
def _told(url: sa.URL) -> Iterator[None]:
    """Whatever the database raises is told in our words, without a secret."""
    try:
        yield
    except SQLAlchemyError as error:
        failure, said = _failure(error), _words(error, url)
        raise failure(f"the log at {_identity(url)!r} {_VERDICTS[failure]}: {said}") from None


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
        url.get_backend_name(), host=url.host, port=url.port, database=url.database, query=which
    )
    return shown.render_as_string()
