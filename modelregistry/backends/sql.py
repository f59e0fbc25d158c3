"""The log in a database: SQLite or PostgreSQL, through SQLAlchemy.

A row is an event, and its ``record`` is the very text that Git would keep as its tag. An append takes the row of its
model first, so writers of one model come one after another, and then the place of its event, which is unique.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple, NoReturn, Self

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.exc import SQLAlchemyError

from modelregistry.backends.base import FEW, Backend, Capabilities, Entry, Log, Outline, Record, Synced
from modelregistry.backends.sqldatabase import Database
from modelregistry.errors import (
    ConflictError,
    MissingDependencyError,
    OutcomeUnknownError,
    RefusedError,
    SchemaError,
)
from modelregistry.log.events import Event
from modelregistry.log.tags import Quarantined, RawTag, is_signed, name_in, outline, parse, parse_name, render
from modelregistry.search.clues import Clue, Either, Every

SCHEMA = "0001"
"""The last of the migrations, which the tables must be at."""
VERSION_TABLE = "modelregistry_version"
_LONGEST_TAG = 1024  # bytes; an index of PostgreSQL takes 2,704
_FEW = 32
"""The models whose events are remembered, so that a log that moved is not parsed from its beginning."""
_MOST_NAMED = 500
"""Models in one statement; where more are asked for, all are read, and the others not parsed."""
_Parsed = dict[tuple[str, bytes], Event | Quarantined | None]
"""What a log's tags and records say."""

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
        self._database = Database(address, options)
        self.capabilities = Capabilities(multi_writer=True, signed=True, remote=not self._database.is_file)
        self._insert = insert_sqlite if self._database.is_file else insert_postgresql
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
        try:
            from modelregistry.backends.sqlmigrations.run import upgrade
        except ImportError as error:
            raise MissingDependencyError(
                f"to make tables needs {error.name}: pip install 'modelregistry[sql]'"
            ) from error

        database = Database(address, {})

        def change(connection: sa.Connection) -> None:
            found = _schema_of(connection)
            if found is not None and found > SCHEMA:
                raise SchemaError(_newer(database, found))
            upgrade(connection, version_table=VERSION_TABLE)

        database.change_tables(change)

    @property
    def kind(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._database.kind

    @property
    def identity(self) -> str:
        """Its address, less the user, the password, and all that does not say which log it is."""
        return self._database.identity

    def _check_schema(self) -> None:
        found = self._database.ask(_schema_of) if self._database.is_there else None
        if found is None:
            raise SchemaError(f"there is no log at {self.identity!r} yet: modelregistry.migrate(…) makes one")
        if found < SCHEMA:
            raise SchemaError(
                f"the log at {self.identity!r} has tables of an older form ({found}; this version needs {SCHEMA}): "
                "modelregistry.migrate(…) changes them, once everybody who writes there has this version"
            )
        if found > SCHEMA:
            raise SchemaError(_newer(self._database, found))

    # -- reading -------------------------------------------------------------------------------------------

    def _read(self, model: str, records: bool) -> Log:
        rows = self._database.ask(lambda connection: connection.execute(_log_of_one, {"model": model}).all())
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

    def _read_some(self, models: Collection[str], records: bool) -> Iterator[Log]:
        if len(models) <= FEW:
            return super()._read_some(models, records)
        if len(models) > _MOST_NAMED:
            wanted = frozenset(models)
            return (
                _gather(rows, _parse_rows(rows, {}), records=records)
                for rows in self._stream()
                if rows[0].name in wanted
            )
        named = _log.where(_models.c.name.in_(sorted(models)))
        return (_gather(rows, _parse_rows(rows, {}), records=records) for rows in self._stream(named))

    def _candidates(self, clue: Clue) -> Collection[str]:
        asked = sa.select(_models.c.name).where(self._fits(clue))
        return frozenset(self._database.ask(lambda connection: connection.execute(asked).scalars().all()))

    def _fits(self, clue: Clue) -> sa.ColumnElement[bool]:
        """Whether the log of a model fits the clue."""
        match clue:
            case Every():
                return sa.and_(*map(self._fits, clue.items))
            case Either():
                return sa.or_(sa.false(), *map(self._fits, clue.items))
        held = [sa.or_(*map(self._has, forms)) for forms in clue.each]
        return _models.c.name.in_(sa.select(_events.c.model).where(*held))

    def _has(self, data: bytes) -> sa.ColumnElement[bool]:
        """Whether the record of an event has these bytes."""
        sought, record = sa.literal(data, sa.LargeBinary), _events.c.record
        place = (
            sa.func.instr(record, sought)
            if self._database.is_file
            else sa.func.position(sought.op("IN")(record))
        )
        return place > 0

    def _stream(self, log: sa.Select[Any] = _log) -> Iterator[list[Any]]:
        """The rows of each model."""
        rows = self._database.stream(log)
        return (list(found) for _, found in groupby(rows, key=attrgetter("name")))

    def _outlines(self) -> Iterator[Outline]:
        return (Outline(rows[0].name, _head(rows[0]), tuple(_outlined(rows))) for rows in self._stream())

    def _heads(self) -> dict[str, str]:
        return {
            row.name: _head(row)
            for row in self._database.ask(lambda connection: connection.execute(_heads).all())
        }

    def _watch(self, model: str) -> Hashable | None:
        row = self._database.ask(
            lambda connection: connection.execute(_head_of_one, {"model": model}).first()
        )
        return "" if row is None else _head(row)

    # -- writing -------------------------------------------------------------------------------------------

    def _append(self, event: Event, record: bytes | None) -> Event | None:
        kept = _Kept.of(event, record)

        def write(connection: sa.Connection, in_doubt: bool) -> bool:
            position = self._take(connection, event.model, [kept])
            if self._put(connection, kept, position):
                return True
            self._refuse_mirror(connection)
            mine = in_doubt and self._is_there(connection, kept)
            connection.rollback()
            return mine

        return (
            kept.event if self._database.transact(write, lambda error: self._look_up(kept, error)) else None
        )

    def _take(self, connection: sa.Connection, model: str, kept: Sequence[_Kept]) -> int:
        """Make the model's row this transaction's own until it ends, and count the events; how many there were."""
        new = self._insert(_models).values(name=model, events=len(kept), last=kept[-1].oid if kept else "")
        changed = {"events": _models.c.events + len(kept)} | ({"last": kept[-1].oid} if kept else {})
        taken = new.on_conflict_do_update(index_elements=["name"], set_=changed).returning(_models.c.events)
        return int(connection.execute(taken).scalar_one()) - len(kept)

    def _put(self, connection: sa.Connection, kept: _Kept, position: int) -> bool:
        """Insert the event, unless its place is taken, or this has become a mirror."""
        values = {"model": kept.event.model, "position": position, "tag": kept.tag, "record": kept.record}
        row = self._insert(_events).from_select(
            list(values),
            sa.select(*(sa.literal(value, _events.c[name].type) for name, value in values.items())).where(
                ~sa.exists().select_from(_mirror)
            ),
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
            with self._database.writing.connect() as connection:
                return bool(self._settle(connection, kept.event.model, [kept]))
        except SQLAlchemyError:
            self._unknown.setdefault(kept.event.model, []).append(kept)
            raise OutcomeUnknownError(
                f"the connection to {self.identity!r} broke while {kept.tag!r} was written, so nobody can tell whether it is "
                f"there ({self._database.words(cause)}): call sync(), or write to the model again, to settle it",
                event_id=kept.event.id, tag=kept.tag,
            ) from cause  # fmt: skip

    def _prepare(self, model: str) -> Sequence[str]:
        self._database.ask(self._refuse_mirror)
        waiting = self._unknown.get(model)
        if not waiting:
            return ()
        there = self._database.ask(
            lambda connection: self._settle(connection, model, waiting), on=self._database.writing
        )
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

    def _refuse_mirror(self, connection: sa.Connection) -> None:
        of = connection.execute(_mirrored).scalar()
        if of is not None:
            raise RefusedError(f"{self.identity!r} is a mirror of the log at {of!r}: write there")

    def _check(self, event: Event) -> None:
        _Kept.of(event, None)

    # -- copies --------------------------------------------------------------------------------------------

    def _extend(self, model: str, entries: Sequence[Entry]) -> None:
        new = [_Kept.of(*entry) for entry in entries]

        def add(connection: sa.Connection) -> None:
            self._add(connection, model, self._hold(connection, model), new)
            self._refuse_mirror(connection)  # with the model's row in hand: from now on it can become none

        if new:
            self._copy(add, new)

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
            there = self._hold(connection, log.model)
            is_rewritten = not there.items() <= {kept.tag: kept.record for kept in wanted}.items()
            if is_rewritten:
                connection.execute(_events.delete().where(_events.c.model == log.model))
                connection.execute(_models.update().where(_models.c.name == log.model).values(events=0))
                there = {}
            self._add(connection, log.model, there, wanted)
            if is_rewritten:
                # As many events, the same at the end, and yet another log: it needs another head.
                last = _models.c.last + f" {secrets.token_hex(8)}"
                connection.execute(_models.update().where(_models.c.name == log.model).values(last=last))
            if not wanted:
                connection.execute(_models.delete().where(_models.c.name == log.model))

        self._copy(copy, wanted)

    def _wait_for_turn(self, connection: sa.Connection) -> None:
        """Let nobody else write meanwhile, or say whose mirror this is; in SQLite nobody can."""
        if connection.dialect.name == "postgresql":
            # The models too: who writes now is waited for, and seen.
            tables = f"{_models.name}, {_mirror.name}"
            connection.exec_driver_sql(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE")

    def _hold(self, connection: sa.Connection, model: str) -> dict[str, bytes]:
        """Make the model's row this transaction's own; what is there, by tag."""
        self._take(connection, model, [])
        return {row.tag: row.record for row in connection.execute(_log_of_one, {"model": model})}

    def _add(
        self, connection: sa.Connection, model: str, there: Mapping[str, bytes], entries: Sequence[_Kept]
    ) -> None:
        """Add those that are not ``there`` yet."""
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

    def _copy(self, work: Callable[[sa.Connection], None], entries: Sequence[_Kept]) -> None:
        """Do ``work``, which may be done again, in one transaction.

        Raises:
            OutcomeUnknownError: It broke over the commit, and nobody can be asked; named by the last of the entries.
        """

        def write(connection: sa.Connection, _in_doubt: bool) -> bool:
            work(connection)
            return True

        def settle(error: SQLAlchemyError) -> NoReturn:
            raise OutcomeUnknownError(
                f"the connection to {self.identity!r} broke while a copy was written, so nobody can tell whether it is "
                f"there ({self._database.words(error)}): copy again; what is there is passed by",
                event_id=entries[-1].event.id if entries else "", tag=entries[-1].tag if entries else "",
            ) from error  # fmt: skip

        self._database.transact(write, settle)


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


# -- tables ----------------------------------------------------------------------------------------------------


def _schema_of(connection: sa.Connection) -> str | None:
    """The last migration that was made; None where there are no tables."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    version = sa.table(VERSION_TABLE, sa.column("version_num"))
    return connection.execute(sa.select(version.c.version_num)).scalar()


def _newer(database: Database, found: str) -> str:
    return (
        f"the log at {database.identity!r} has tables of a newer form ({found}; this version knows {SCHEMA}): upgrade "
        "modelregistry here"
    )
