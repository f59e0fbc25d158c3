"""No password, no secret option and nobody's data is in what a log in a database says when it goes wrong, or is shown or logged."""

from __future__ import annotations

import logging
import os
import socket
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
import sqlalchemy as sa

import modelregistry as mr
from modelregistry import Registry
from modelregistry.backends import sqldatabase
from modelregistry.log.events import Registered
from modelregistry.testing import make_event
from tests.integration.databases import rows_of
from tests.integration.projects import write
from tests.integration.test_log_elsewhere import tell

if TYPE_CHECKING:
    from tests.postgres import Postgres

PASSWORD, OPTION, DATA = "hunter2-canary", "swordfish-canary", "data-canary"
CANARIES = (PASSWORD, OPTION, DATA, "hunter2", "swordfish")
NOBODY = f"postgresql://ann:{PASSWORD}@127.0.0.1:1/log?sslpassword={OPTION}&passfile=/nowhere"


@pytest.fixture(autouse=True)
def said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything is logged that can be, and nothing of it has a secret."""
    monkeypatch.setattr(sqldatabase, "READING_SECONDS", 0.2)
    monkeypatch.setattr(sqldatabase, "WRITING_SECONDS", 0.5)
    for name in ("modelregistry", "sqlalchemy", "alembic", "psycopg"):
        caplog.set_level(logging.DEBUG, logger=name)
    yield
    for phase in ("setup", "call", "teardown"):
        for record in caplog.get_records(phase):  # type: ignore[arg-type]
            clean(f"{record.getMessage()} {record.args!r} {logging.Formatter().format(record)}")


def clean(text: str) -> str:
    for canary in CANARIES:
        assert canary not in text, text
    return text


def told(call: Callable[[], object], kind: type[mr.RegistryError] = mr.RegistryError) -> str:
    """What the error says that the call ends with."""
    with pytest.raises(kind) as caught:
        call()
    error: BaseException = caught.value
    text = "\n".join(traceback.format_exception(error))
    while error is not None:
        clean(
            f"{error} {error!r} {error.args} {vars(error)!r}"
            if isinstance(error, mr.RegistryError)
            else str(error)
        )
        error = error.__cause__  # type: ignore[assignment]
    # The lines of this very file are in it, and they name no secret but in variables.
    clean(text)
    return str(caught.value)


@pytest.fixture
def address(postgres: Postgres) -> str:
    found = postgres.create()
    mr.migrate(found)
    return found


def with_secrets(address: str) -> str:
    """The same database, reached with a password that nobody asks for, and an option that nobody needs."""
    url = sa.make_url(address).set(password=PASSWORD).update_query_dict({"sslpassword": OPTION})
    return url.render_as_string(hide_password=False)


# -- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://ann:{PASSWORD}@host:port/log",
        f"postgresql://ann:{PASSWORD}@[::1/log",
        f"postgresql:ann:{PASSWORD}@host/log",
        f"postgresql//ann:{PASSWORD}@host/log",
        f"postgres://ann:{PASSWORD}@host/log",
        f"mysql://ann:{PASSWORD}@host/log",
        f"postgresql+psycopg2://ann:{PASSWORD}@host/log",
        f"postgresql+{PASSWORD}://ann@host/log",
        f"postgresql://ann:secret@{PASSWORD}@host/log",  # an @ in a password is written %40
        f"postgresql://ann:secret@{PASSWORD}/more@host/log",
        f"postgresql://ann:secret@x:{PASSWORD}@host/log",
        f"sqlite://{PASSWORD}",
        f"sqlite://ann:{PASSWORD}@host/log",
        f"ann:{PASSWORD}@host",
        PASSWORD,
        f"\0{PASSWORD}",
    ],
)
def test_an_address_that_can_not_be_is_not_repeated(address: str, plain: Path) -> None:
    for call in (
        lambda: mr.open_backend(address),
        lambda: mr.migrate(address),
        lambda: Registry(plain, backend=address),
        lambda: Registry(plain).mirror(address),
    ):
        told(call, mr.InvalidInputError)


@pytest.mark.parametrize("where", ["environment", "configuration", "turned round"])
def test_an_address_that_the_users_own_settings_say_is_not_repeated(
    where: str, plain: Path, environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"postgresql+odd://ann:{PASSWORD}@host/log"
    if where == "environment":
        monkeypatch.setenv("MODELREGISTRY_BACKEND", address)
    else:
        line = f'"{plain}" = "{address}"' if where == "configuration" else f'"{address}" = 1'
        write(environment / "config" / "modelregistry" / "config.toml", f"[backends]\n{line}\n").chmod(0o600)
    told(lambda: Registry(plain), mr.InvalidInputError)


def test_who_can_not_be_reached_is_named_without_secrets(plain: Path) -> None:
    for call in (
        lambda: mr.open_backend(NOBODY),
        lambda: mr.migrate(NOBODY),
        lambda: Registry(plain, backend=NOBODY),
        lambda: Registry(plain).copy_log(NOBODY),
        lambda: Registry(plain).mirror(NOBODY),
    ):
        assert "127.0.0.1:1/log" in told(call, mr.UnreachableError)


@pytest.mark.parametrize("query", ["passwrd=x", "sslmode=odd", "connect_timeout=odd", f"odd={OPTION}"])
def test_options_that_the_driver_does_not_know_are_told_without_their_values(
    query: str, address: str
) -> None:
    for call in (mr.open_backend, mr.migrate):
        told(lambda call=call: call(f"{address}&{query}&sslpassword={OPTION}"))  # type: ignore[misc]


def test_options_that_the_engine_does_not_know_are_told_without_their_values(address: str) -> None:
    said = told(
        lambda: mr.open_backend(address, odd=OPTION, connect_args={"password": PASSWORD}),
        mr.InvalidInputError,
    )
    assert "'odd'" in said


def test_a_wrong_password_is_not_repeated(address: str, user: str) -> None:
    url = sa.make_url(address).set(username=user, password=PASSWORD)
    for odd in (url, url.update_query_dict({"sslpassword": OPTION})):
        text = odd.render_as_string(hide_password=False)
        told(lambda text=text: mr.open_backend(text), mr.AccessDeniedError)  # type: ignore[misc]
    bare = url.set(password=None).render_as_string()
    told(lambda: mr.open_backend(bare, connect_args={"password": PASSWORD}), mr.AccessDeniedError)


@pytest.fixture
def user(postgres: Postgres) -> Iterator[str]:
    """A user with another password."""
    with postgres.user("right") as name:
        yield name


def test_what_goes_wrong_with_the_tables_says_nothing_of_what_is_in_them(
    address: str, plain: Path, postgres: Postgres
) -> None:
    secret = with_secrets(address)
    backend = mr.open_backend(secret)
    registry = Registry(plain, backend=backend)
    registry.register("churn", rev="main~1", message=DATA, metadata={DATA: DATA})
    for change, call in {
        "ALTER TABLE modelregistry_event ADD CHECK (position < 1)": lambda: registry.annotate(
            "churn", None, {DATA: DATA}, message=DATA
        ),
        "ALTER TABLE modelregistry_event RENAME COLUMN record TO other": lambda: backend.read("churn"),
        "ALTER TABLE modelregistry_event RENAME TO elsewhere": registry.events,
        "UPDATE modelregistry_version SET version_num = '9999'": lambda: Registry(plain, backend=secret),
        "SELECT 1": lambda: mr.migrate(secret),
        "DROP TABLE modelregistry_version": lambda: mr.open_backend(secret),
        "SELECT 2": lambda: mr.migrate(secret),
    }.items():
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(change)
        told(call, mr.DatabaseError)


def test_a_file_that_is_no_database_is_told_without_its_content(tmp_path: Path, plain: Path) -> None:
    write(tmp_path / "log.db", DATA * 1000)
    for call in (
        lambda: mr.open_backend(f"sqlite:///{tmp_path}/log.db"),
        lambda: mr.migrate(f"sqlite:///{tmp_path}/log.db"),
    ):
        assert "file is not a database" in told(call, mr.DatabaseError)
    told(lambda: mr.migrate(f"sqlite:///{tmp_path}/no/such/folder/log.db"), mr.DatabaseError)


def test_copies_and_mirrors_tell_no_secrets(address: str, plain: Path, postgres: Postgres) -> None:
    tags = Registry(plain)
    tell(tags)
    other = postgres.create()
    mr.migrate(other)
    Registry(plain, backend=other).register(
        "risk", rev="main", version="v9.0.0", message=DATA, metadata={DATA: DATA}
    )
    told(lambda: tags.mirror(with_secrets(other)), mr.ConflictError)
    told(lambda: tags.copy_log(with_secrets(other)), mr.ConflictError)
    tags.mirror(with_secrets(address))
    told(
        lambda: Registry(plain, backend=with_secrets(address)).register("risk", rev="main~1"), mr.RefusedError
    )
    told(
        lambda: Registry(plain, backend=with_secrets(other)).copy_log(with_secrets(address)), mr.ConflictError
    )
    told(
        lambda: Registry(plain, backend=with_secrets(other)).mirror(with_secrets(other)), mr.InvalidInputError
    )


def test_a_broken_connection_is_told_without_secrets(
    address: str, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(plain, backend=with_secrets(address))
    registry.register("churn", rev="main~1", message=DATA)
    name = sa.make_url(address).database
    with psycopg.connect(address.replace(f"/{name}", "/postgres"), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    for call in (
        lambda: registry.annotate("churn", None, {DATA: DATA}, message=DATA),
        lambda: registry.get("churn"),
        registry.events,
        lambda: registry.history("churn"),
        registry.check,
    ):
        told(call)


# -- what is shown ------------------------------------------------------------------------------------------------------


def test_nothing_that_is_shown_has_a_secret(
    address: str, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = with_secrets(address)
    monkeypatch.setenv("MODELREGISTRY_BACKEND", secret)
    backend = mr.open_backend(secret)
    registry = Registry(plain)
    for thing in (
        backend,
        registry,
        backend.identity,
        registry.target,
        registry.sync(),
        backend.capabilities,
    ):
        clean(f"{thing} {thing!r}")
    registry.register("churn", rev="main~1")
    clean(repr(registry.get("churn")))
    clean(repr(registry.events().cursor))
    clean(
        "".join(
            path.read_text(errors="replace") for path in Path(os.environ["HOME"]).rglob("*") if path.is_file()
        )
    )
    assert sa.make_url(address).database in backend.identity


def test_what_is_logged_of_a_log_in_use_has_no_data(
    address: str, plain: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Though SQLAlchemy shows each row to whoever asks it for its smallest words."""
    registry = Registry(plain, backend=with_secrets(address))
    registry.register("churn", rev="main~1", message=DATA, metadata={DATA: DATA})
    registry.annotate("churn", None, {DATA: DATA}, message=DATA)
    assert registry.get("churn").message == DATA
    assert len(registry.events()) == 2
    assert any("INSERT INTO modelregistry_event" in record.getMessage() for record in caplog.records)


# -- options pass through ---------------------------------------------------------------------------------------------------


def test_tls_is_not_done_without_where_it_must_be(address: str) -> None:
    """The server has none, on its socket or elsewhere."""
    folder = sa.make_url(address).query["host"]
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        server.settimeout(10)
        carrying = pool.submit(carry_one, server, f"{folder}/.s.PGSQL.5432")
        port = server.getsockname()[1]
        text = f"postgresql://postgres@127.0.0.1:{port}/{sa.make_url(address).database}?sslmode=require"
        assert "server does not support SSL, but SSL was required" in told(
            lambda: mr.open_backend(text), mr.UnreachableError
        )
        carrying.result()


def carry_one(server: socket.socket, path: str) -> None:
    """The first words of one connection, and their answer."""
    client, _ = server.accept()
    with client, socket.socket(socket.AF_UNIX) as end:
        end.connect(path)
        end.sendall(client.recv(1024))
        client.sendall(end.recv(1024))
        client.recv(1024)


def test_options_of_a_connection_arrive_at_the_server(address: str) -> None:
    backend = mr.open_backend(f"{address}&application_name=modelregistry-of-ann")
    backend.heads()
    with psycopg.connect(address) as connection:
        names = connection.execute("SELECT application_name FROM pg_stat_activity").fetchall()
    assert ("modelregistry-of-ann",) in names


def test_options_of_the_pool_arrive_at_the_engine(address: str) -> None:
    backend = mr.open_backend(address, pool_size=1, max_overflow=0, pool_timeout=0.1)
    for number in range(2):
        assert backend.append(make_event(Registered, f"m{number}", "0" * 40, version="v1.0.0"))
    logs: Iterator[object] = backend.read_all()
    next(logs)
    with pytest.raises(
        mr.UnreachableError, match=r"QueuePool limit of size 1 overflow 0 reached.*timeout 0\.10"
    ):
        backend.read("m0")
    logs.close()  # type: ignore[attr-defined]
    assert len(rows_of(address)) == 2
    assert backend.read("m0").events
