"""Databases that keep a log, and whether their tables agree with each other."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg

import modelregistry as mr
from tests.integration.projects import run

_ROWS = "SELECT model, position, tag, record FROM modelregistry_event ORDER BY model, position"


def rows_of(address: str) -> list[tuple[str, int, str, bytes]]:
    """Every event that is kept, read past the library."""
    if address.startswith("sqlite"):
        connection = sqlite3.connect(address.removeprefix("sqlite:///"))
        try:
            return connection.execute(_ROWS).fetchall()
        finally:
            connection.close()
    with psycopg.connect(address) as connected:
        return connected.execute(_ROWS).fetchall()


def check_tables(address: str) -> None:
    """Each model's events have the places from 0 on, and its head tells how many there are and which is the last."""
    found: dict[str, list[bytes]] = {}
    for model, position, _, record in rows_of(address):
        events = found.setdefault(model, [])
        assert position == len(events), f"{model!r} has no event {len(events)}, or has it twice"
        events.append(record)
    backend = mr.open_backend(address)
    heads = {
        model: head for model, head in backend.heads().items() if head != "0 "
    }  # a writer died before its first
    assert heads == {model: f"{len(events)} {oid(events[-1])}" for model, events in found.items()}
    for log in backend.read_all(records=True):
        assert not log.quarantined
        assert backend.read(log.model).head == backend.heads()[log.model] == log.head


def oid(record: bytes) -> str:
    """The id that Git gives a tag."""
    return run(Path("/"), "git", "hash-object", "-t", "tag", "--literally", "--stdin", stdin=record)


def check_file(address: str) -> None:
    """SQLite itself finds nothing wrong in its file."""
    connection = sqlite3.connect(address.removeprefix("sqlite:///"))
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()
