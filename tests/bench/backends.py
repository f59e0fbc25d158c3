"""Where the log is kept: the same calls on tags, SQLite and PostgreSQL, beside MLflow's registry in the same databases.

Imported last, and by what measures this alone: MLflow would weigh on the other rows.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from hashlib import sha1
from itertools import count, cycle
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from mlflow import MlflowClient
from mlflow.store.model_registry.dbmodels.models import (
    SqlModelVersion,
    SqlRegisteredModel,
    SqlRegisteredModelAlias,
)

from modelregistry import Registry, migrate, open_backend
from modelregistry.backends import sql
from modelregistry.backends.base import Entry
from modelregistry.config import cache_folder
from modelregistry.log.events import Assigned, Event
from modelregistry.log.tags import RawTag, name_in, numbered, parse, render
from tests.bench.measure import Row, amount, in_turn, timed, words
from tests.bench.registries import (
    EVENTS_PER_MODEL,
    VERSIONS,
    add_tags,
    git,
    make_project,
    make_registry,
    model_name,
    tags_of_first_model,
)
from tests.postgres import Postgres, running

SIZE_HEAD = {"where": "---", "events": "---:", "to fill": "---:", "on disk": "---:", "a full clone": "---:"}
"""The columns of the table of sizes, and to which side their cells stand."""
GIT, REFTABLE, SQLITE, POSTGRESQL = "git, packed tags", "git, reftable", "SQLite", "PostgreSQL"
READ, MOVED = model_name(7), model_name(11)
"""The models that are asked for, and promoted."""
LONG = 10_000
"""The events of one model, beside those that have 20."""
_FASTER, _FLAT = 1 / 3, 1.5
"""The budgets of a question: of MLflow's time, and of its own with the fewest events."""
_MOST_IN_GIT = 100_000
_MOST_IN_TURN = 100_000
"""The list of more takes a minute: that is done once, with no round before it."""
_MOST_ONE_BY_ONE = 100_000
"""Of more events the rows are written at once: a transaction for each model would take a quarter of an hour."""
_AT_ONCE = 500  # models
_PAGE = 1_000  # the largest that MLflow gives
_AFTER = "`get`, just after another wrote to the model"
_Rows = list[dict[str, Any]]


@dataclass
class Log:
    """A log that was filled, and two programs that have it open."""

    where: str
    events: int
    open: Callable[[], Registry]
    seconds: float
    """What it took to fill it."""
    size: int
    """In bytes, on disk."""
    clone: str = ""
    reader: Registry = field(init=False)
    other: Registry = field(init=False)

    def __post_init__(self) -> None:
        self.reader, self.other = self.open(), self.open()

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table of sizes."""
        return self.where, f"{self.events:,}", words(self.seconds), amount(self.size), self.clone


@dataclass
class Peer:
    """MLflow's registry, filled with as many versions of as many models."""

    where: str
    events: int
    client: MlflowClient
    seconds: float
    size: int

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table of sizes."""
        models = self.events // EVENTS_PER_MODEL
        held = f"{models:,} models, {models * len(VERSIONS):,} versions"
        return f"MLflow on {self.where}", held, words(self.seconds), amount(self.size), ""


class Findings(NamedTuple):
    """What the section shows."""

    rows: list[Row]
    sizes: list[Log | Peer]
    facts: str
    """What the numbers depend on, beside the machine; and what was not measured."""
    head: Mapping[str, str] = SIZE_HEAD
    """The columns of ``sizes``."""


def measure(folder: Path, sizes: Sequence[int], *, repeats: int, say: Callable[[str], None]) -> Findings:
    """Everything in the section.

    Args:
        folder: Where to make what is measured.
        sizes: Of the logs, in events.
        repeats: How many rounds count.
        say: Tells someone who waits.
    """
    # MLflow would tell its makers, and the terminal.
    os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true", MLFLOW_LOGGING_LEVEL="ERROR")
    folder.mkdir()
    code = folder / "code"
    texts = tags_of_first_model(make_project(code))
    with running() as server:
        logs: list[Log] = []
        peers: list[Peer] = []
        say("making MLflow's tables")
        stores = _make_stores(folder, server)
        for events in sizes:
            say(f"keeping {events:,} events in each backend")
            if events <= _MOST_IN_GIT:
                logs += _fill_git(folder, events)
            for where, address in _databases(folder / f"log-{events}", server):
                logs.append(_fill_database(where, address, code, texts, events))
            for where, address in _databases(folder / f"mlflow-{events}", server, like=stores):
                peers.append(_fill_mlflow(where, address, events))
        facts = _facts(folder, server, sizes[0])
        server.run("CHECKPOINT")  # so that nobody still writes what was filled while others are timed
        os.sync()
        say("asking each backend")
        rows = getting(logs, peers, repeats=repeats)
        say("promoting in each backend")
        rows += promoting(logs, peers, repeats=repeats)
        say("listing each backend")
        rows += listing(logs, peers, repeats=3)
        say("asking of one model with a long history")
        rows += one_long(folder, server, code, texts, repeats=repeats)
    return Findings(rows, [*logs, *peers], facts)


# -- what is filled --------------------------------------------------------------------------------------------


def _fill_git(folder: Path, events: int) -> Iterator[Log]:
    """Tags written all at once, and packed; and the same in a reftable, where git has that."""
    place, twin = folder / f"git-{events}", folder / "clone.git"
    seconds = timed(partial(make_registry, place, events))

    def clone(*options: str) -> float:
        shutil.rmtree(twin, ignore_errors=True)
        what = ("clone", "--quiet", "--bare", *options, f"file://{place}", os.fspath(twin))
        return timed(partial(git, folder, *what))

    spent = statistics.median(clone() for _ in range(3))
    cloned = f"{words(spent)}, {amount(_size_of(twin))}"
    yield Log(GIT, events, partial(Registry, place), seconds, _size_of(place / ".git"), cloned)
    if has_reftable():
        seconds = clone("--ref-format=reftable")
        other = twin.rename(folder / f"reftable-{events}.git")
        git(other, "remote", "remove", "origin")
        yield Log(REFTABLE, events, partial(Registry, other), seconds, _size_of(other))


def has_reftable() -> bool:
    """Whether this git can keep its references in a reftable."""
    return b"--ref-format" in subprocess.run(["git", "init", "-h"], capture_output=True, check=False).stdout


def _databases(
    path: Path, server: Postgres, *, like: Mapping[str, str] | None = None
) -> Iterator[tuple[str, str]]:
    """A new database of each kind: its kind, and its address."""
    file = path.with_suffix(".db")
    if like:
        shutil.copy(like[SQLITE].removeprefix("sqlite:///"), file)
    yield SQLITE, f"sqlite:///{file}"
    yield POSTGRESQL, server.create(like=like[POSTGRESQL] if like else None)


def _make_stores(folder: Path, server: Postgres) -> dict[str, str]:
    """A database of each kind with MLflow's empty tables: to make them takes it longer than to fill them."""
    made = dict(_databases(folder / "mlflow", server))
    for address in made.values():  # in a process of its own, so that nobody is connected when they are copied
        opened = f"from mlflow import MlflowClient; MlflowClient({_with_driver(address)!r}).search_registered_models()"
        subprocess.run([sys.executable, "-c", opened], check=True, capture_output=True)
    return made


def _fill_database(where: str, address: str, code: Path, texts: Sequence[bytes], events: int) -> Log:
    """A log filled as ``copy_log`` fills it, model by model; of very many, the first two, and the rest at once."""
    migrate(address)
    backend = open_backend(address)
    models = events // EVENTS_PER_MODEL
    one_by_one = models if events <= _MOST_ONE_BY_ONE else 2

    def fill() -> None:
        for name in map(model_name, range(one_by_one)):
            backend.extend(name, [Entry(_event(_renamed(text, name))) for text in texts])
        if one_by_one < models:
            _fill_tables(address, models)

    seconds = timed(fill)
    return Log(where, events, lambda: Registry(code, backend=address), seconds, _settle(address))


def _event(text: bytes) -> Event:
    found = parse(RawTag(name_in(text), "", "tag", text))
    assert isinstance(found, Event)
    return found


def _renamed(text: bytes, name: str) -> bytes:
    return text.replace(model_name(0).encode(), name.encode())


def _fill_tables(address: str, models: int) -> None:
    """Copies of the first model's rows under other names, from the third on; the second's are what the library wrote."""
    tables = [sql.metadata.tables[f"modelregistry_{name}"] for name in ("model", "event")]
    with _engine(address) as engine:
        with engine.connect() as connection:
            first, second = (
                [
                    [
                        dict(row._mapping)
                        for row in connection.execute(
                            table.select().where(key == name).order_by(*table.primary_key)
                        )
                    ]
                    for table, key in zip(tables, (tables[0].c.name, tables[1].c.model), strict=True)
                ]
                for name in map(model_name, range(2))
            )
        made = _rows_of(model_name(1), *first)
        assert made == second, "not the rows that the library writes"
        for start in range(2, models, _AT_ONCE):
            names = map(model_name, range(start, min(start + _AT_ONCE, models)))
            with engine.begin() as connection:
                for table, rows in zip(
                    tables, zip(*(_rows_of(name, *first) for name in names), strict=True), strict=True
                ):
                    connection.execute(table.insert(), [row for of_one in rows for row in of_one])


def _rows_of(name: str, model: _Rows, events: _Rows) -> list[_Rows]:
    """The rows of a model, made from the first one's."""
    own = [
        row | {"model": name, "tag": row["tag"].replace(model_name(0), name), "record": _renamed(row["record"], name)}
        for row in events
    ]  # fmt: skip
    last = own[-1]["record"]
    oid = sha1(b"tag %d\0%b" % (len(last), last), usedforsecurity=False).hexdigest()
    return [[row | {"name": name, "last": oid} for row in model], own]


def _fill_mlflow(where: str, address: str, events: int) -> Peer:
    """MLflow's own tables; the first model is written by its client, the others are copies of that one's rows."""
    address = _with_driver(address)
    models = events // EVENTS_PER_MODEL
    client = MlflowClient(tracking_uri=address, registry_uri=address)
    first, last = model_name(0), model_name(models - 1)

    def fill() -> None:
        client.create_registered_model(first)
        for number, version in enumerate(VERSIONS, start=1):
            client.create_model_version(first, source=f"file:///models/{version}")
            client.set_registered_model_alias(first, "current", str(number))
        tables = [each.__table__ for each in (SqlRegisteredModel, SqlModelVersion, SqlRegisteredModelAlias)]
        with _engine(address) as engine:
            with engine.connect() as connection:
                kept = [
                    [dict(row._mapping) for row in connection.execute(table.select().where(table.c.name == first))]
                    for table in tables
                ]  # fmt: skip
            for start in range(1, models, _AT_ONCE):
                names = [model_name(number) for number in range(start, min(start + _AT_ONCE, models))]
                with engine.begin() as connection:
                    for table, rows in zip(tables, kept, strict=True):
                        copies = [row | {"name": name} for name in names for row in rows]
                        connection.execute(table.insert(), copies)

    seconds = timed(fill)
    assert _told_by(client, last).replace(last, first) == _told_by(client, first), "not as MLflow writes it"
    return Peer(where, events, client, seconds, _settle(address))


def _told_by(client: MlflowClient, name: str) -> str:
    """All that the client says of a model."""
    versions = client.search_model_versions(f"name = '{name}'")
    assert len(versions) == len(VERSIONS)
    held = client.get_model_version_by_alias(name, "current")
    return repr([dict(each) for each in (client.get_registered_model(name), held, *versions)])


def _settle(address: str) -> int:
    """Leave the database as it is a while after it was filled; the bytes it has on disk."""
    if address.startswith("sqlite"):
        path = address.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return _size_of(Path(path))
    with (
        _engine(address) as engine,
        engine.execution_options(isolation_level="AUTOCOMMIT").connect() as asked,
    ):
        asked.exec_driver_sql("VACUUM ANALYZE")
        sizes = asked.exec_driver_sql("SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables")
        return int(sizes.scalar_one())


@contextmanager
def _engine(address: str) -> Iterator[sa.Engine]:
    """The database itself."""
    engine = sa.create_engine(_with_driver(address))
    try:
        yield engine
    finally:
        engine.dispose()


def _with_driver(address: str) -> str:
    """The address for SQLAlchemy, which would take another driver."""
    return address.replace("postgresql://", "postgresql+psycopg://")


def _size_of(path: Path) -> int:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.stat().st_blocks * 512 for each in files)


def _facts(folder: Path, server: Postgres, events: int) -> str:
    """What the numbers depend on, beside the machine."""
    modes = []
    for name in ("log", "mlflow"):
        with closing(sqlite3.connect(folder / f"{name}-{events}.db")) as database:
            modes.append(str(database.execute("PRAGMA journal_mode").fetchone()[0]))
    asked = ("server_version", "fsync", "synchronous_commit")
    version, *promises = (server.run(f"SHOW {name}")[0][0] for name in asked)
    told = (
        f"SQLite {sqlite3.sqlite_version}: journal_mode {modes[0]} of ours, {modes[1]} of MLflow's. PostgreSQL {version}: "
        f"fsync {promises[0]}, synchronous_commit {promises[1]}, of both."
    )
    if not has_reftable():
        told += f" A reftable was not measured: {git(folder, '--version').decode().strip().replace('version ', '')} has none."
    return told


# -- what is measured ------------------------------------------------------------------------------------------


def getting(logs: Sequence[Log], peers: Sequence[Peer], *, repeats: int) -> list[Row]:
    """Ask who is current: while nothing changes, and right after another program wrote to that model."""
    for log in logs:
        assert log.reader.get(READ, stage="current").version == VERSIONS[-1]
    for peer in peers:
        assert peer.client.get_model_version_by_alias(READ, "current").source.endswith(VERSIONS[-1])
    mine = [partial(log.reader.get, f"{READ}#current") for log in logs]
    theirs = [partial(peer.client.get_model_version_by_alias, READ, "current") for peer in peers]
    many, few = 50, 5
    loops = [*(partial(_again, many, ask) for ask in mine), *(partial(_again, few, ask) for ask in theirs)]
    spent = _in_pairs(repeats, [*logs, *peers], loops)
    each = [seconds / (many if number < len(logs) else few) for number, seconds in enumerate(spent)]
    rows = _beside("`get('m#current')`", logs, peers, each, is_held=True)
    numbers = count()

    def write() -> None:
        number = next(numbers)
        for log in logs:
            log.other.annotate(READ, VERSIONS[0], {"checked": number})

    heads = [ask().head for ask in mine]
    write()
    assert not {ask().head for ask in mine} & {*heads}, "an answer from before another wrote"
    spent = _in_pairs(repeats, [*logs, *peers], [*mine, *theirs], before=write)
    return [*rows, *_beside(_AFTER, logs, peers, spent)]


def _in_pairs(
    repeats: int,
    sides: Sequence[Log | Peer],
    actions: Sequence[Callable[[], object]],
    *,
    before: Callable[[], object] | None = None,
) -> list[float]:
    """The medians; of a log and of what it is compared with, one is called just after the other, both after a stranger."""

    def place(number: int) -> tuple[int, str, bool]:
        side = sides[number]
        return side.events, side.where, isinstance(side, Peer)

    order = sorted(range(len(sides)), key=place)
    spent = in_turn(repeats, *(actions[number] for number in order), before=before)
    return [spent[order.index(number)] for number in range(len(sides))]


def _again(calls: int, action: Callable[[], object]) -> None:
    for _ in range(calls):
        action()


def promoting(logs: Sequence[Log], peers: Sequence[Peer], *, repeats: int) -> list[Row]:
    """Move a stage to and fro between two versions, beside MLflow's alias."""

    def promote(log: Log) -> Callable[[], object]:
        versions = cycle(VERSIONS[:2])
        return lambda: log.reader.promote(
            MOVED, next(versions), "current", message="Better on the held-out quarter."
        )

    def set_alias(peer: Peer) -> Callable[[], object]:
        versions = cycle("12")
        return lambda: peer.client.set_registered_model_alias(MOVED, "current", next(versions))

    spent = _in_pairs(repeats, [*logs, *peers], [*map(promote, logs), *map(set_alias, peers)])
    return _beside("`promote`", logs, peers, spent)


def listing(logs: Sequence[Log], peers: Sequence[Peer], *, repeats: int) -> list[Row]:
    """All models with their latest versions and the holders of their stages."""

    def forgotten(log: Log) -> None:
        shutil.rmtree(cache_folder() / "summaries", ignore_errors=True)
        log.reader.models()

    rows: list[Row] = []
    for events in sorted({log.events for log in logs}):
        mine = [log for log in logs if log.events == events]
        theirs = [peer for peer in peers if peer.events == events]
        actions = [
            *(action for log in mine for action in (partial(forgotten, log), log.reader.models)),
            *(partial(_walk, peer.client) for peer in theirs),
        ]
        # What takes minutes is done once: no round before it, and no median.
        spent = in_turn(repeats, *actions) if events <= _MOST_IN_TURN else [timed(each) for each in actions]
        assert {len(log.reader.models()) for log in mine} == {events // EVENTS_PER_MODEL}
        assert {_walk(peer.client) for peer in theirs[:1]} == {events // EVENTS_PER_MODEL}
        walks = spent[2 * len(mine) :]
        rows += _beside("`models()`, the first time", mine, theirs, [*spent[: 2 * len(mine) : 2], *walks])
        rows += _beside("`models()` again", mine, theirs, [*spent[1 : 2 * len(mine) : 2], *walks])
    return rows


def _walk(client: MlflowClient) -> int:
    """How many models there are, by reading all of them."""
    found, token = 0, None
    while True:
        page = client.search_registered_models(max_results=_PAGE, page_token=token)
        found, token = found + len(page), page.token
        if not token:
            return found


def one_long(
    folder: Path, server: Postgres, code: Path, texts: Sequence[bytes], *, repeats: int
) -> list[Row]:
    """One model with a long history: who is current, while nothing changes and just after another wrote to it."""
    model, many = model_name(0), 50
    texts = _long_history(texts)
    place = shutil.copytree(code, folder / "long")
    add_tags(place, texts)
    git(place, "pack-refs", "--all", "--prune")
    opens = {GIT: partial(Registry, place)}
    for where, address in _databases(folder / "long", server):
        migrate(address)
        open_backend(address).extend(model, [Entry(_event(text)) for text in texts])
        _settle(address)
        opens[where] = partial(Registry, code, backend=address)
    asks = [partial(make().get, f"{model}#current") for make in opens.values()]
    others = [make() for make in opens.values()]
    holder = _event(texts[-1])
    assert isinstance(holder, Assigned)
    assert {ask().version for ask in asks} == {holder.version}
    time.sleep(0.2)  # git's reader can't tell a change from one in the same tick of the clock
    spent = in_turn(repeats, *(partial(_again, many, ask) for ask in asks))

    def write() -> None:
        for other in others:
            other.annotate(model, VERSIONS[0], {"checked": time.time_ns()})

    moved = in_turn(max(3, repeats // 3), *asks, before=write)
    told = f"one model of {LONG:,} events"
    return [
        *(Row(f"`get('m#current')`, {where}, {told}", each / many) for where, each in zip(opens, spent, strict=True)),
        *(Row(f"{_AFTER}, {where}, {told}", each) for where, each in zip(opens, moved, strict=True)),
    ]  # fmt: skip


def _long_history(texts: Sequence[bytes]) -> list[bytes]:
    """The tags of the first model, and many more that move its stage to and fro between two of its versions."""
    found = [_event(text) for text in texts]
    turns = [event for event in found if isinstance(event, Assigned) and event.stage == "current"]
    last = found[-1]
    for number in range(LONG - len(found)):
        turn = numbered(turns[number % 2], len(turns) + 1 + number)
        new = {
            "id": f"{number:032x}",
            "at": last.at + timedelta(minutes=1),
            "prev": last.fingerprint(),
            "leaves": (),
        }
        last = turn.model_copy(update=new)
        found.append(last)
    return [render(event) for event in found]


def _beside(
    what: str, logs: Sequence[Log], peers: Sequence[Peer], spent: Sequence[float], *, is_held: bool = False
) -> list[Row]:
    """The rows of what was measured of all logs, and then of all peers; a budget is for databases.

    With one, the cost with the most events is held to the cost with the fewest, too.
    """
    sides = {(side.where, side.events): seconds for side, seconds in zip(logs, spent, strict=False)}
    theirs = {
        (peer.where, peer.events): seconds for peer, seconds in zip(peers, spent[len(logs) :], strict=True)
    }
    rows = []
    for (where, events), ours in sides.items():
        database = where if (where, events) in theirs else SQLITE
        budget = _FASTER if is_held and database == where else None
        title = f"{what}, {where}, {events:,} events"
        rows.append(Row(title, ours, f"MLflow on {database}", theirs[database, events], budget))
    few, many = (choose(events for _, events in sides) for choose in (min, max))
    for where in (SQLITE, POSTGRESQL) if is_held else ():
        title = f"the same, {where}, {many:,} events"
        rows.append(Row(title, sides[where, many], f"the same, {few:,} events", sides[where, few], _FLAT))
    return rows
