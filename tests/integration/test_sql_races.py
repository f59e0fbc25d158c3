"""Processes that write at once to one log in a database: their history is held to what is promised.

``MODELREGISTRY_SQL_RACE=32x100`` (``nox -s race``) makes it long.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import modelregistry as mr
from modelregistry import Registry
from tests.integration.crew import Crew, crew
from tests.integration.databases import check_file, check_tables, rows_of
from tests.integration.projects import commit, git, init, write
from tests.integration.promises import check_history, show

if TYPE_CHECKING:
    from tests.postgres import Postgres

WRITERS, TURNS = map(int, os.environ.get("MODELREGISTRY_SQL_RACE", "8x15").split("x"))
LONG = WRITERS * TURNS > 1000
VERSIONS = [f"v0.1.{number}" for number in range(8)]
SHADOWS = ["v0.1.8", "v0.1.9"]

pytestmark = pytest.mark.timeout(0 if LONG else 300)


@pytest.fixture
def make(
    tmp_path: Path, request: pytest.FixtureRequest
) -> Callable[[str, int], tuple[Path, str, list[list[str]]]]:
    """Makes a repository, a log in a database with ten versions of ``churn``, and commits for each writer to register."""

    def made(kind: str, writers: int) -> tuple[Path, str, list[list[str]]]:
        root = init(tmp_path / "made")
        address = f"sqlite:///{tmp_path / 'log.db'}"
        if kind == "postgresql":
            server: Postgres = request.getfixturevalue("postgres")
            address = server.create()
        mr.migrate(address)
        write(root / "dvc.yaml", "artifacts:\n  churn: {path: churn.json, type: model}\n")
        registry = Registry(root, backend=address)
        for version in [*VERSIONS, *SHADOWS]:
            write(root / "churn.json", version)
            commit(root)
            registry.register("churn", version=version)
        registry.promote("churn", "v0.1.0", "current")
        revs = grow(root, writers * TURNS)
        return root, address, [revs[who::writers] for who in range(writers)]

    return made


def grow(root: Path, number: int) -> list[str]:
    """So many commits more, with other bytes of ``churn`` each."""
    stream = []
    for at in range(number):
        data = f"bytes {at}"
        words = f"commit refs/heads/main\ncommitter Ann <a@e> {1_800_000_000 + at} +0000\ndata 1\nx"
        start = "from refs/heads/main^0\n" if at == 0 else ""
        stream.append(f"{words}\n{start}M 100644 inline churn.json\ndata {len(data)}\n{data}\n")
    git(root, "fast-import", "--quiet", stdin="\n".join(stream).encode())
    return git(root, "rev-list", f"--max-count={number}", "main").split()


@pytest.mark.parametrize("skewed", [False, True], ids=["right clocks", "clocks hours apart"])
@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_racing_writers_lose_nothing_keep_the_order_and_read_what_there_was(
    kind: str,
    skewed: bool,
    make: Callable[[str, int], tuple[Path, str, list[list[str]]]],
    workers: Crew,
    tmp_path: Path,
) -> None:
    writers = WRITERS if kind == "postgresql" else min(WRITERS, 8)
    root, address, revs = make(kind, writers)
    stop = tmp_path / "stop"
    jobs = [
        {
            "job": "share", "seed": number, "root": os.fspath(root), "backend": address, "who": number, "turns": TURNS,
            "versions": VERSIONS, "shadows": SHADOWS, "revs": revs[number],
            "skew": random.Random(number).uniform(-5, 5) * 3600 if skewed else 0,
        }
        for number in range(writers)
    ]  # fmt: skip
    with crew(tmp_path / "readers") as readers:
        readers.start({"job": "read", "root": os.fspath(root), "backend": address, "until": os.fspath(stop)})
        try:
            workers.start(*jobs)
            assert workers.wait() == [0] * writers, workers.reports()
        finally:
            stop.touch()
            readers.wait()
        observers = readers.reports()
    reports = workers.reports()
    show(f"{kind}, {writers} writers x {TURNS} calls", reports, observers)
    assert [line for line in observers[0] if "read" not in line] == []
    assert len(observers[0]) > writers
    registry = Registry(root, backend=address)
    log = registry.history("churn")
    # Nobody has a copy: who writes sees what was acknowledged before, as who only reads does.
    check_history(log, reports, [*reports, *observers])

    calls = [line for report in reports for line in report if "verb" in line]
    assert len(calls) == writers * TURNS
    free = [call for call in calls if call["verb"] not in ("promote expected", "rollback")]
    most = 0.1 if LONG else 0.05
    assert sum("refused" in call for call in free) <= len(free) * most, "who believes nothing is let through"
    check_tables(address)
    if kind == "sqlite":
        check_file(address)
    assert not registry.check()
    assert git(root, "for-each-ref", "refs/tags") == ""


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_of_many_appends_each_is_there_once_at_the_place_it_was_told(
    kind: str, make: Callable[[str, int], tuple[Path, str, list[list[str]]]], workers: Crew
) -> None:
    """The bare log, with no rule above it: who finds a place taken looks for the next."""
    writers = WRITERS if kind == "postgresql" else min(WRITERS, 8)
    root, address, _ = make(kind, 1)
    began = time.monotonic()
    workers.start(
        *(
            {"job": "append", "root": os.fspath(root), "backend": address, "who": who, "turns": TURNS}
            for who in range(writers)
        )
    )
    assert workers.wait() == [0] * writers, workers.reports()
    spent = time.monotonic() - began
    lines = [line for report in workers.reports() for line in report if "done" in line]
    told = {line["done"]: line for line in lines}
    assert len(told) == len(lines) == writers * TURNS
    events = mr.open_backend(address).read("bare").events
    assert {event.message: event.number for event in events} == {
        who: line["number"] for who, line in told.items()
    }
    assert [event.number for event in events] == list(range(1, writers * TURNS + 1))
    placed = [tag for model, _, tag, _ in rows_of(address) if model == "bare"]
    assert placed == [f"bare#current#{number}" for number in range(1, len(told) + 1)]
    latest = 0.0
    for event in events:
        assert told[event.message]["to"] > latest, "answered before one that comes earlier was called"
        latest = max(latest, told[event.message]["from"])
    check_tables(address)
    times = sorted(line["to"] - line["from"] for line in lines)
    print(
        f"\n{kind}, {writers} writers x {TURNS} appends to one place: {len(told) / spent:.0f} per second, "
        f"{sum(line['taken'] for line in lines)} found it taken, p50 {statistics.median(times) * 1e3:.1f} ms, "
        f"p99 {times[int(len(times) * 0.99)] * 1e3:.1f} ms"
    )
