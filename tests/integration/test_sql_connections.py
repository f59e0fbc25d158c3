"""Connections to PostgreSQL that are cut, ended, refused and shared: an event is there once or not at all, and nobody is misled.

A proxy stands between the library and the server. It cuts one connection at the commit, or after so many messages, and
lets the next ones through, or none until it is mended.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy as sa

import modelregistry as mr
from modelregistry import Registry
from modelregistry.backends import sqldatabase
from modelregistry.log.events import Assigned
from modelregistry.testing import make_event
from tests.integration.databases import check_tables, rows_of
from tests.integration.projects import TOP, commit, init, run, write

if TYPE_CHECKING:
    from tests.postgres import Postgres

COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
"""As it goes over the wire: a query, its length, its text."""
CUTS = ("before", "within", "forwarded", "answered", "panicked", "late")
"""What the proxy does with a commit: forwards nothing of it, half of it, all of it and waits for no answer, all of it and
keeps the answer to itself, says that the server broke down over it, or forwards it when the client is long gone."""
REV = "0" * 40


class Proxy:
    """Lets connections through to a server's socket, and cuts one.

    Attributes:
        happened: Whether the cut was made.
        messages: How often the client sent something, since ``reset``.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.reset()
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def reset(self, cut: str | int | None = None, *, skip: int = 0, stays_down: bool = False) -> None:
        """Make a cut at the next commit, or after so many messages.

        Args:
            cut: Where.
            skip: How many commits are let through before.
            stays_down: Let no connection through after it.
        """
        self.happened = False
        self.messages = 0
        self.release = threading.Event()
        self._cut, self._skip, self._stays_down = cut, skip, stays_down

    def close(self) -> None:
        self.release.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        for client in self._open:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.happened and self._stays_down:
                    drop(client)
                    continue
                self._open.add(client)
                self._threads.append(threading.Thread(target=self._carry, args=(client,)))
                self._threads[-1].start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, suppress(OSError):
            server.connect(self._path)
            ends = {client: server, server: client}
            while True:
                for source in select.select(list(ends), [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    if source is client and self._is_to_cut(data):
                        self._make_cut(client, server, data)
                        return
                    ends[source].sendall(data)

    def _is_to_cut(self, data: bytes) -> bool:
        self.messages += 1
        if self.happened or self._cut is None:
            return False
        if isinstance(self._cut, str):
            self._skip -= COMMIT in data
            self.happened = COMMIT in data and self._skip < 0
        else:
            self.happened = self._cut == self.messages
        return self.happened

    def _make_cut(self, client: socket.socket, server: socket.socket, data: bytes) -> None:
        match self._cut:
            case "within":
                server.sendall(data[: -len(COMMIT) // 2])
            case "forwarded":
                server.sendall(data)
            case "answered":
                server.sendall(data)
                server.recv(65536)
            case "panicked":
                server.sendall(data)
                server.recv(65536)
                fields = b"SPANIC\0VPANIC\0C53100\0Mcould not write to file: No space left on device\0\0"
                client.sendall(b"E" + struct.pack("!i", 4 + len(fields)) + fields)
                time.sleep(0.05)  # what is sent must not be overtaken by the end
            case "late":
                release = self.release
                drop(client)
                release.wait(60)
                server.sendall(data)
                server.recv(65536)
        drop(client)


def drop(connection: socket.socket) -> None:
    """End it as a broken line does: with no farewell."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.fixture
def address(postgres: Postgres) -> str:
    """The address of a database that is ready for a log."""
    found = postgres.create()
    mr.migrate(found)
    return found


@pytest.fixture
def proxy(postgres: Postgres) -> Iterator[Proxy]:
    folder = sa.make_url(postgres.address()).query["host"]
    found = Proxy(f"{folder}/.s.PGSQL.5432")
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def through(address: str, proxy: Proxy) -> str:
    """The same database, as it is reached through the proxy."""
    return f"postgresql://postgres@127.0.0.1:{proxy.port}/{sa.make_url(address).database}"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever does not answer is not asked for long."""
    monkeypatch.setattr(sqldatabase, "READING_SECONDS", 0.3)
    monkeypatch.setattr(sqldatabase, "WRITING_SECONDS", 0.6)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with three commits of ``churn``."""
    top = init(tmp_path / "made")
    write(top / "dvc.yaml", "artifacts:\n  churn: {path: churn.json, type: model}\n")
    for number in range(3):
        write(top / "churn.json", f'{{"churn": {number}}}')
        commit(top)
    return top


def assigned(number: int) -> Assigned:
    return make_event(
        Assigned,
        "churn",
        REV,
        second=number,
        stage="current",
        version="v1.0.0",
        number=number,
        id=f"{number}",
    )


def tags(address: str) -> list[str]:
    return [tag for _, _, tag, _ in rows_of(address)]


@contextmanager
def released(proxy: Proxy, seconds: float) -> Iterator[None]:
    """What is held back arrives after so long."""
    timer = threading.Timer(seconds, proxy.release.set)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


# -- cut ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", CUTS)
def test_a_commit_that_nobody_heard_of_again_is_made_once(
    cut: str, address: str, through: str, proxy: Proxy
) -> None:
    backend = mr.open_backend(through)
    assert backend.append(assigned(1))
    proxy.reset(cut)
    with released(proxy, 0.4):
        assert backend.append(assigned(2)), "its writer was told that another took its place"
    assert proxy.happened
    assert tags(address) == ["churn#current#1", "churn#current#2"]
    assert backend.append(assigned(2)) is None
    assert backend.append(assigned(3))
    check_tables(address)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("settle", ["prepare", "sync"])
@pytest.mark.parametrize("cut", CUTS)
def test_what_became_of_a_commit_is_unknown_until_the_server_can_be_asked(
    cut: str, settle: str, address: str, through: str, proxy: Proxy
) -> None:
    backend = mr.open_backend(through)
    assert backend.append(assigned(1))
    proxy.reset(cut, stays_down=True)
    with pytest.raises(
        mr.OutcomeUnknownError, match=r"nobody can tell whether it is there.*call sync\(\)"
    ) as caught:
        backend.append(assigned(2))
    assert (caught.value.event_id, caught.value.tag) == ("2", "churn#current#2")
    with pytest.raises(mr.UnreachableError):
        backend.prepare("churn")
    release = proxy.release
    proxy.happened = False  # mended
    proxy._cut = None
    if cut == "late":
        assert tags(address) == ["churn#current#1"]
        threading.Timer(0.3, release.set).start()
    told = backend.prepare("churn") if settle == "prepare" else backend.sync().published
    release.set()
    expected = {"before": [False], "within": [False], "forwarded": [True, False]}.get(cut, [True])
    assert (list(told) == ["churn#current#2"]) in expected
    assert ("churn#current#2" in tags(address)) == (list(told) == ["churn#current#2"])
    assert not backend.sync().published, "it is settled"
    assert (backend.append(assigned(2)) is None) == bool(told)
    check_tables(address)


def test_a_connection_that_is_cut_after_any_message_costs_nothing(
    address: str, through: str, proxy: Proxy
) -> None:
    seen: Counter[str] = Counter()
    for number in range(1, 200):
        backend = mr.open_backend(through)
        proxy.reset(number)
        assert backend.append(assigned(number))
        backend.read("churn")
        if not proxy.happened:
            break
        seen["cut"] += 1
    assert seen["cut"] >= 5
    assert tags(address) == [f"churn#current#{place}" for place in range(1, number + 1)]
    check_tables(address)
    print(f"\n{seen['cut']} messages of an append and a read, each the last of its connection")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("cut", ["before", "answered"])
def test_a_rollback_whose_outcome_was_unknown_happens_once(
    cut: str, root: Path, address: str, through: str, proxy: Proxy
) -> None:
    registry = Registry(root, backend=through)
    for number in range(3):
        registry.register("churn", rev=f"main~{2 - number}", version=f"v{number}.0.0")
        registry.promote("churn", f"v{number}.0.0", "current")
    proxy.reset(cut, skip=1, stays_down=True)  # the first commit is of the words for GTO
    with pytest.raises(mr.OutcomeUnknownError):
        registry.rollback("churn", "current")
    proxy.reset()
    if cut == "before":
        registry.rollback("churn", "current")
    else:
        with pytest.raises(mr.ConflictError, match="whose outcome was unknown, is written"):
            registry.rollback("churn", "current")
    assert Registry(root, backend=address).get("churn#current").version == "v1.0.0"


@pytest.mark.parametrize("verb", ["annotate", "promote"])
def test_a_server_that_goes_away_after_a_write_does_not_make_it_unwritten(
    verb: str, root: Path, address: str, through: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever message is the last that arrives: who is told that nothing was written finds nothing written."""
    monkeypatch.setattr(sqldatabase, "READING_SECONDS", 0.05)
    monkeypatch.setattr(sqldatabase, "WRITING_SECONDS", 0.2)
    registry, ours = Registry(root, backend=through), Registry(root, backend=address)
    for number in range(2):
        ours.register("churn", rev=f"main~{number}", version=f"v{number}.0.0")
    ours.promote("churn", "v0.0.0", "current")
    seen: Counter[str] = Counter()
    number = 0
    while not seen["done"]:
        number += 1
        if verb == "promote":  # from another stage, which is repeated for GTO: two events
            version = "v1.0.0" if ours.get("churn#current").version == "v0.0.0" else "v0.0.0"
            ours.promote("churn", version, "shadow")
            call = partial(registry.promote, "churn", version, "current")
        else:
            call = partial(registry.annotate, "churn", None, {"note": number})
        proxy.reset(number, stays_down=True)
        try:
            call(message=f"{number}")
            end = "done"
        except mr.OutcomeUnknownError as error:
            end = "written, and nobody looked again" if "is written" in str(error) else "unknown"
        except mr.UnreachableError:
            end = "nothing written"
        seen[end] += 1
        there = f"{number}" in [event.message for event in ours.history("churn")]
        assert there in {"nothing written": [False], "unknown": [True, False]}.get(end, [True]), (
            f"{number}: {end}"
        )
        proxy.reset()
    print(f"\n{verb}: {dict(seen)}")
    assert seen.keys() == {"done", "nothing written", "unknown", "written, and nobody looked again"}
    assert not ours.check(repair=True)


@pytest.mark.usefixtures("impatient")
def test_a_copy_that_nobody_heard_of_again_is_not_said_to_be_unwritten(
    root: Path, address: str, through: str, proxy: Proxy
) -> None:
    tags_of_git = Registry(root)
    tags_of_git.register("churn")
    target = mr.open_backend(through)
    proxy.reset("answered", stays_down=True)
    with pytest.raises(mr.OutcomeUnknownError):
        tags_of_git.copy_log(target)
    assert tags(address) == ["churn@v0.1.0"]
    proxy.reset()
    assert tags_of_git.copy_log(target).events == 0


@pytest.mark.usefixtures("impatient")
def test_an_unknown_outcome_stays_unknown_where_other_threads_have_all_connections(
    through: str, address: str, proxy: Proxy
) -> None:
    backend = mr.open_backend(through, pool_size=1, max_overflow=0, pool_timeout=0.5)
    for number in range(1, 4):
        assert backend.append(assigned(number))
    proxy.reset("late")
    hold, held = threading.Event(), threading.Event()

    def read() -> None:
        while not proxy.happened:
            time.sleep(0.001)
        logs = backend.read_all()
        next(logs)
        held.set()
        hold.wait(30)
        logs.close()  # type: ignore[attr-defined]

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        try:
            with pytest.raises(mr.OutcomeUnknownError):
                backend.append(assigned(4))
        finally:
            hold.set()
            proxy.release.set()
        reading.result()
    assert backend.sync().published == ("churn#current#4",)


# -- ended by the server -------------------------------------------------------------------------------------------


def end_all(address: str) -> int:
    """End every connection to the database, as a restart of the server does."""
    with psycopg.connect(address, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid()"
        ).fetchall()
        return len(rows)


def test_connections_that_ended_between_two_calls_are_not_noticed(
    address: str, root: Path, tmp_path: Path
) -> None:
    registry, backend = Registry(root, backend=address), mr.open_backend(address)
    tell_one(registry)
    mirrored = mr.open_backend(address)
    calls: dict[str, Callable[[], object]] = {
        "get": lambda: registry.get("churn#current"),
        "history": lambda: registry.history("churn"),
        "events": registry.events,
        "models": registry.models,
        "check": registry.check,
        "sync": registry.sync,
        "annotate": lambda: registry.annotate("churn", None, {"a": os.urandom(4).hex()}),
        "read": lambda: backend.read("churn").head,
        "read all": lambda: [log.head for log in backend.read_all()],
        "outlines": lambda: [each.head for each in backend.outlines()],
        "heads": backend.heads,
        "watch": lambda: backend.watch("churn"),
        "registry": backend.registry,
        "extend": lambda: backend.extend("churn", backend.read("churn").entries()),
    }
    for name, call in calls.items():
        call()
        mirrored.heads()
        assert end_all(address), name
        call()


def tell_one(registry: Registry) -> None:
    registry.register("churn", rev="main~1", version="v1.0.0")
    registry.promote("churn", "v1.0.0", "current")


def test_connections_that_end_in_the_middle_of_calls_cost_nothing(address: str, root: Path) -> None:
    registry = Registry(root, backend=address)
    tell_one(registry)
    stop = threading.Event()

    def trouble() -> int:
        ended = 0
        while not stop.wait(0.03):
            ended += end_all(address)
        return ended

    with ThreadPoolExecutor(1) as pool:
        troubling = pool.submit(trouble)
        try:
            for number in range(25):
                registry.annotate("churn", None, {"number": number}, message=f"{number}")
                assert registry.history("churn")[-1].message == f"{number}"
        finally:
            stop.set()
        ended = troubling.result()
    assert ended > 5
    found = [event.message for event in registry.history("churn") if event.kind == "annotate"]
    assert found == [f"{number}" for number in range(25)]
    check_tables(address)
    print(f"\n25 annotations, {ended} connections ended")


# -- transactions that meet ------------------------------------------------------------------------------------------


def test_transactions_that_can_not_be_put_in_an_order_are_tried_again(address: str) -> None:
    codes: Counter[str] = Counter()

    @sa.event.listens_for(sa.Engine, "handle_error")
    def count(context: Any) -> None:
        codes[getattr(context.original_exception, "sqlstate", None) or ""] += 1

    writers, rounds = 4, 8
    backends = [mr.open_backend(address, isolation_level="SERIALIZABLE") for _ in range(writers)]
    together = threading.Barrier(writers)

    def append(who: int) -> list[tuple[int, str]]:
        done = []
        for turn in range(rounds):
            together.wait(60)
            kept = None
            while kept is None:
                number = backends[who].read("churn").next_number("#current")
                event = assigned(number).model_copy(update={"id": f"{who}.{turn}"})
                kept = backends[who].append(event)
            done.append((kept.number, kept.id))
        return done

    try:
        with ThreadPoolExecutor(writers) as pool:
            written = sorted(each for found in pool.map(append, range(writers)) for each in found)
    finally:
        sa.event.remove(sa.Engine, "handle_error", count)
    assert codes.keys() == {"40001"}, codes
    events = mr.open_backend(address).read("churn").events
    assert [(event.number, event.id) for event in events] == written
    assert [number for number, _ in written] == list(range(1, writers * rounds + 1))
    check_tables(address)
    print(f"\n{writers * rounds} appends, {codes['40001']} serialization failures")


def test_a_writer_that_stands_still_does_not_stop_the_others_for_ever(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one whose machine is gone while the server waits for it."""
    monkeypatch.setattr(sqldatabase, "WRITING_SECONDS", 1.0)
    backend = mr.open_backend(address)
    assert backend.append(assigned(1))
    with psycopg.connect(address) as other:
        other.execute("SELECT * FROM modelregistry_model WHERE name = 'churn' FOR UPDATE")
        with pytest.raises(mr.UnreachableError, match=r"nothing was written.*lock"):
            backend.append(assigned(2))
        assert backend.append(make_event(Assigned, "risk", REV, stage="current", version="v1.0.0", number=1))
    assert tags(address) == ["churn#current#1", "risk#current#1"]
    assert backend.append(assigned(2))


@pytest.mark.parametrize("same", [True, False], ids=["one log", "two logs"])
def test_of_two_who_first_mirror_to_a_database_the_second_sees_the_first(
    same: bool, address: str, root: Path
) -> None:
    registry = Registry(root)
    tell_one(registry)
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE relation = 'modelregistry_mirror'::regclass AND NOT granted"
    )
    with ThreadPoolExecutor(1) as pool, psycopg.connect(address, autocommit=True) as other:
        with other.transaction():
            name = registry._log_name if same else "another"
            other.execute("INSERT INTO modelregistry_mirror VALUES (%s)", [name])
            mirroring = pool.submit(registry.mirror, address)
            while other.execute(waiting).fetchone() != (1,):
                assert not mirroring.done()
        if same:
            assert mirroring.result().models == 1
        else:
            with pytest.raises(mr.ConflictError, match="is a mirror of 'another'"):
                mirroring.result()
        assert other.execute("SELECT * FROM modelregistry_mirror").fetchall() == [(name,)]


# -- refused -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def user(postgres: Postgres) -> Iterator[str]:
    """A user with the password ``hunter2``, who may connect and no more."""
    with postgres.user("hunter2") as name:
        yield name


def as_user(address: str, name: str, password: str | None = "hunter2") -> str:
    return sa.make_url(address).set(username=name, password=password).render_as_string(hide_password=False)


def test_a_user_who_may_only_read_reads_and_writes_nothing(address: str, user: str, root: Path) -> None:
    tell_one(Registry(root, backend=address))
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {user}")
    before = rows_of(address)
    registry = Registry(root, backend=as_user(address, user))
    assert registry.get("churn#current").version == "v1.0.0"
    with pytest.raises(mr.AccessDeniedError, match="does not let you do that: permission denied"):
        registry.annotate("churn", None, {"a": 1})
    with pytest.raises(mr.AccessDeniedError):
        Registry(root).copy_log(as_user(address, user, "wrong"))
    assert rows_of(address) == before


def test_a_server_that_may_only_be_read_is_read_and_not_written(address: str, root: Path) -> None:
    tell_one(Registry(root, backend=address))
    name = sa.make_url(address).database
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    before = rows_of(address)
    registry = Registry(root, backend=address)
    assert registry.get("churn#current").version == "v1.0.0"
    with pytest.raises(mr.AccessDeniedError, match="read-only"):
        registry.promote("churn", "v1.0.0", "shadow")
    assert rows_of(address) == before


@pytest.mark.parametrize("password", ["wrong", None])
def test_a_wrong_password_and_a_missing_one_are_told_at_once(
    address: str, user: str, password: str | None
) -> None:
    began = time.monotonic()
    with pytest.raises(mr.AccessDeniedError, match="does not let you do that"):
        mr.open_backend(as_user(address, user, password))
    assert time.monotonic() - began < 4, "it was tried again and again"


def test_a_user_without_rights_is_told(address: str, user: str) -> None:
    with pytest.raises(mr.AccessDeniedError, match="permission denied"):
        mr.open_backend(as_user(address, user))


def test_a_user_who_may_make_no_tables_is_told(postgres: Postgres, user: str) -> None:
    empty = postgres.create()
    with pytest.raises(mr.AccessDeniedError, match="permission denied"):
        mr.migrate(as_user(empty, user))


@pytest.mark.usefixtures("impatient")
def test_what_is_not_there_is_one_error(address: str, plain: Path) -> None:
    elsewhere = sa.make_url(address)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for odd, said in {
        elsewhere.set(database="nowhere"): 'database "nowhere" does not exist',
        sa.make_url(f"postgresql://ann@127.0.0.1:{port}/log"): "refused",
        sa.make_url("postgresql://ann@host.invalid/log"): "host.invalid",
    }.items():
        text = odd.render_as_string(hide_password=False)
        with pytest.raises(mr.UnreachableError, match=f"can't be reached.*{said}"):
            mr.open_backend(text)
        with pytest.raises(mr.UnreachableError, match=f"can't be reached.*{said}"):
            mr.migrate(text)
        with pytest.raises(mr.UnreachableError, match=f"can't be reached.*{said}"):
            Registry(plain, backend=text)


# -- forked --------------------------------------------------------------------------------------------------------------

FORK = """\
import gc, json, os, sys
import psycopg
import modelregistry as mr
from modelregistry.log.events import Assigned
from modelregistry.testing import make_event

def append(backend, model, count):
    for number in range(1, count + 1):
        event = make_event(Assigned, model, "0" * 40, second=number, stage="current", version="v1.0.0", number=number)
        assert backend.append(event) is not None
        assert len(backend.read(model).events) == number

def connections():
    with psycopg.connect(sys.argv[2]) as connection:
        found = connection.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'forked'").fetchall()
        return [pid for (pid,) in found]

backend = mr.open_backend(sys.argv[1])
append(backend, "before", 1)
before = connections()
children = []
for name in ("writes", "drops", "leaves"):
    if (child := os.fork()) == 0:
        if name == "writes":
            append(backend, "child", 20)
        elif name == "drops":  # and never used it
            del backend
            gc.collect()
        sys.exit(0)  # in good order, with all that is to be done then
    children.append(child)
append(backend, "parent", 20)
ends = [os.waitpid(child, 0)[1] for child in children]
append(backend, "after", 5)
print(json.dumps([ends, len(before), set(before) <= set(connections())]))
"""


def test_a_forked_child_leaves_its_parents_connection_alone(address: str, tmp_path: Path) -> None:
    named = f"{address}&application_name=forked"
    said = run(tmp_path, sys.executable, "-W", "error", "-c", FORK, named, address, PYTHONPATH=os.fspath(TOP))
    assert said == "[[0, 0, 0], 1, true]", "the parent had to connect anew"
    assert len([tag for tag in tags(address) if tag.startswith("child")]) == 20
    check_tables(address)
