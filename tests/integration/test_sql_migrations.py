"""The tables of a log in a database: made by an explicit call, whole or not at all, and nobody else's are touched."""

from __future__ import annotations

import os
import random
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import modelregistry as mr
from modelregistry import Registry
from modelregistry.backends import sql
from modelregistry.backends.sqlmigrations import run
from tests.integration.crew import Crew, kill
from tests.integration.test_log_elsewhere import story, tell

if TYPE_CHECKING:
    from tests.postgres import Postgres

TABLES = {"modelregistry_model", "modelregistry_event", "modelregistry_mirror", "modelregistry_version"}
MIGRATE = (
    "import sys, modelregistry as mr; print('ready', flush=True); sys.stdin.read(); mr.migrate(sys.argv[1])"
)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database that nobody has made tables in; of a file, one that is not there."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres").create())
    return f"sqlite:///{tmp_path / 'log.db'}"


@pytest.fixture
def engine(empty: str) -> Iterator[sa.Engine]:
    """The way past the library."""
    found = sa.create_engine(empty.replace("postgresql:", "postgresql+psycopg:"))
    yield found
    found.dispose()


def tables(engine: sa.Engine) -> set[str]:
    return set(sa.inspect(engine).get_table_names())


def test_a_database_without_tables_is_no_log_and_opening_it_makes_none(
    empty: str, plain: Path, tmp_path: Path
) -> None:
    with pytest.raises(mr.SchemaError, match=r"no log at .* yet: modelregistry\.migrate"):
        mr.open_backend(empty)
    with pytest.raises(mr.SchemaError, match=r"modelregistry\.migrate"):
        Registry(plain, backend=empty)
    with pytest.raises(mr.SchemaError, match=r"modelregistry\.migrate"):
        Registry(plain).mirror(empty)
    if empty.startswith("sqlite"):
        assert not (tmp_path / "log.db").exists()
        (tmp_path / "log.db").touch()  # an empty file is an empty database
        with pytest.raises(mr.SchemaError, match=r"modelregistry\.migrate"):
            mr.open_backend(empty)
        assert not (tmp_path / "log.db").stat().st_size
    else:
        with psycopg.connect(empty) as connection:
            assert not connection.execute(
                "SELECT 1 FROM pg_tables WHERE tablename LIKE 'modelreg%'"
            ).fetchall()


def test_to_migrate_again_changes_nothing(empty: str, plain: Path, engine: sa.Engine) -> None:
    mr.migrate(empty)
    assert tables(engine) == TABLES
    tell(Registry(plain, backend=empty))
    before = story(Registry(plain, backend=empty), "churn")
    mr.migrate(empty)
    assert tables(engine) == TABLES
    assert story(Registry(plain, backend=empty), "churn") == before


def test_the_tables_are_those_that_the_library_reads_and_writes(empty: str, engine: sa.Engine) -> None:
    mr.migrate(empty)
    with engine.connect() as connection:
        options = {"compare_type": True, "include_object": is_ours}
        assert not compare_metadata(MigrationContext.configure(connection, opts=options), sql.metadata)
        found = connection.execute(sa.text("SELECT version_num FROM modelregistry_version")).scalars().all()
    config = Config()
    config.set_main_option("script_location", os.fspath(Path(sql.__file__).parent / "sqlmigrations"))
    assert found == [sql.SCHEMA] == [ScriptDirectory.from_config(config).get_current_head()]


def is_ours(thing: object, name: str | None, kind: str, *_: object) -> bool:
    return not (kind == "table" and name == sql.VERSION_TABLE)  # Alembic's own


def test_of_processes_that_migrate_at_once_all_succeed(empty: str, engine: sa.Engine, workers: Crew) -> None:
    workers.start(*[{"job": "migrate", "backend": empty}] * 4)
    assert workers.wait() == [0] * 4, workers.reports()
    assert tables(engine) == TABLES
    mr.open_backend(empty)


def test_threads_that_migrate_databases_of_their_own_do_not_meet(tmp_path: Path) -> None:
    addresses = [f"sqlite:///{tmp_path / f'log{number}.db'}" for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(mr.migrate, addresses)) == [None] * 8
    assert [found_tables(address) for address in addresses] == [TABLES] * 8


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_those_who_wait_for_one_who_migrates_see_what_it_made(isolation: str, postgres: Postgres) -> None:
    """Whatever the isolation level of the database is."""
    address = postgres.create()
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with ThreadPoolExecutor(3) as pool, psycopg.connect(address, autocommit=True) as other:
        name = sa.make_url(address).database
        other.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = '{isolation}'")
        with other.transaction():
            other.execute(f"SELECT pg_advisory_xact_lock({run._LOCK})")
            jobs = [pool.submit(mr.migrate, address) for _ in range(3)]
            while other.execute(waiting).fetchone() != (3,):
                assert not any(job.done() for job in jobs)
        assert [job.result() for job in jobs] == [None] * 3
    mr.open_backend(address)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("0000", r"tables of an older form \(0000; this version needs 0001\): modelregistry\.migrate"),
        ("0002", r"tables of a newer form \(0002; this version knows 0001\): upgrade modelregistry here"),
    ],
)
def test_tables_of_another_version_are_told_and_left_alone(
    found: str, said: str, empty: str, plain: Path, engine: sa.Engine
) -> None:
    mr.migrate(empty)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE modelregistry_version SET version_num = :found"), {"found": found})
    with pytest.raises(mr.SchemaError, match=said):
        mr.open_backend(empty)
    with pytest.raises(mr.SchemaError, match=said):
        Registry(plain, backend=empty)
    with pytest.raises(mr.SchemaError):  # a newer one is not gone back from, and there is no older one
        mr.migrate(empty)
    with engine.connect() as connection:
        assert connection.execute(
            sa.text("SELECT version_num FROM modelregistry_version")
        ).scalars().all() == [found]


def test_tables_of_other_programs_are_not_touched(empty: str, plain: Path, engine: sa.Engine) -> None:
    """As where MLflow keeps its own in the same database, with Alembic's usual table of versions."""
    with engine.begin() as connection:
        for statement in (
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
            "INSERT INTO alembic_version VALUES ('f5a4f2784254')",
            "CREATE TABLE model_versions (name VARCHAR(256), version INTEGER)",
            "INSERT INTO model_versions VALUES ('churn', 1)",
        ):
            connection.execute(sa.text(statement))
    mr.migrate(empty)
    mr.migrate(empty)
    tell(Registry(plain, backend=empty))
    assert tables(engine) == TABLES | {"alembic_version", "model_versions"}
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT * FROM alembic_version")).all() == [("f5a4f2784254",)]
        assert connection.execute(sa.text("SELECT * FROM model_versions")).all() == [("churn", 1)]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_killed_migration_is_completed_by_another(
    kind: str, plain: Path, tmp_path: Path, workers: Crew, request: pytest.FixtureRequest
) -> None:
    seed = random.randrange(1 << 32)
    print("\nseed", seed)  # shown when the test fails
    choose = random.Random(seed)
    make: Callable[[int], str] = lambda turn: f"sqlite:///{tmp_path / f'log{turn}.db'}"  # noqa: E731
    if kind == "postgresql":
        server = request.getfixturevalue("postgres")
        make = lambda turn: str(server.create())  # noqa: E731
    began = time.monotonic()
    workers.start({"job": "migrate", "backend": make(0)})
    assert workers.wait() == [0], workers.reports()
    longest = time.monotonic() - began
    ends = []
    for turn in range(1, 6):
        address = make(turn)
        (process,) = workers.start({"job": "migrate", "backend": address})
        while not workers.reports()[0]:
            time.sleep(0.001)
        time.sleep(choose.uniform(0, longest))  # the moment of death
        kill(process)
        workers.wait()
        found = found_tables(address)
        assert found in (set(), TABLES), "torn"
        ends.append(len(found))
        mr.migrate(address)
        registry = Registry(plain, backend=address)
        registry.register("churn", rev="main~1")
        assert registry.get("churn").version == "v0.1.0"
    print(f"{kind}: tables that the killed left: {ends}")


def found_tables(address: str) -> set[str]:
    if address.startswith("sqlite"):
        connection = sqlite3.connect(re.sub("^sqlite:///", "", address))
        try:
            return {
                name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            }
        finally:
            connection.close()
    with psycopg.connect(address) as connected:
        rows = connected.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        return {name for (name,) in rows}
