"""Writers that are killed while they write to a database, and a server that is killed while they do: nothing torn or lost.

``MODELREGISTRY_KILLS=1000`` kills more of them: a fifth of that in each database (``nox -s fuzz``).
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import modelregistry as mr
from modelregistry import Registry
from tests.integration.crew import Crew, kill
from tests.integration.databases import check_file, check_tables
from tests.integration.projects import commit, git, init, write

if TYPE_CHECKING:
    from tests.postgres import Postgres

KILLS = int(os.environ.get("MODELREGISTRY_KILLS", "40")) // 5
WRITERS = 4
PATIENCE = [30.0, 30.0, 0.3, 0.3]
"""For how many seconds each writer asks a server that is not there: two see it come back, and two tell that it was gone."""
OUTAGES = [0.0, 3.0, 0.5]
"""Seconds between the server's death and its return."""

pytestmark = pytest.mark.timeout(300 if KILLS <= 8 else 0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository of commits with other bytes of ``churn`` each."""
    top = init(tmp_path / "made")
    write(top / "dvc.yaml", "artifacts:\n  churn: {path: churn.json, type: model}\n")
    write(top / "churn.json", "first")
    commit(top)
    stream = []
    for number in range(1000 + 60 * KILLS):
        data = f"bytes {number}"
        words = f"commit refs/heads/main\ncommitter Ann <a@e> {1_700_000_000 + number} +0000\ndata 1\nx"
        start = "from refs/heads/main^0\n" if number == 0 else ""
        stream.append(f"{words}\n{start}M 100644 inline churn.json\ndata {len(data)}\n{data}\n")
    git(top, "fast-import", "--quiet", stdin="\n".join(stream).encode())
    return top


def done(report: Sequence[Mapping[str, Any]]) -> int:
    return sum("done" in line for line in report)


def wait_for(workers: Crew, enough: Callable[[list[list[dict[str, Any]]]], bool]) -> None:
    """Until the reports say so; the test's own time limit ends it if they never do."""
    while not enough(workers.reports()):
        time.sleep(0.005)


# -- of a writer -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_what_killed_writers_were_told_is_there_once_and_the_next_write_works(
    kind: str, root: Path, workers: Crew, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    address = f"sqlite:///{tmp_path / 'log.db'}"
    if kind == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        address = server.create()
    mr.migrate(address)
    seed = random.randrange(1 << 32)
    print("\nseed", seed)  # shown when the test fails
    choose = random.Random(seed)
    revs = iter(git(root, "rev-list", "main").split())
    registry = Registry(root, backend=address)
    registry.register("churn", rev=next(revs), version="v0.0.1", message="first")
    lines: list[Mapping[str, Any]] = []
    told, cut, pace = ["first"], 0, 0.05
    for turn in range(KILLS):
        jobs = [
            {
                "job": "persist", "root": os.fspath(root), "backend": address, "who": 2 * turn + who, "patience": 30.0,
                "until": os.fspath(tmp_path / "never"), "revs": [next(revs) for _ in range(30)],
            }
            for who in range(2)
        ]  # fmt: skip
        processes = workers.start(*jobs)
        enough = choose.randint(1, 5)
        wait_for(workers, lambda reports, enough=enough: sum(map(done, reports)) >= enough)  # type: ignore[misc]
        time.sleep(choose.uniform(0, 2 * pace))  # the moment of death, not a wait for anything
        for process in processes:
            kill(process)
        workers.wait()
        began = time.monotonic()
        registry.annotate("churn", "v0.0.1", {"turn": turn}, message=f"after {turn}")
        pace = time.monotonic() - began
        told.append(f"after {turn}")
        for report in workers.reports():
            lines += report
            cut += "tried" in report[-1]
            assert [line for line in report if not {"tried", "done"} & line.keys()] == []
    told += [line["done"] for line in lines if "done" in line]
    tried = {line["tried"] for line in lines if "tried" in line}
    found = Counter(event.message for event in registry.history("churn"))
    assert set(found.values()) == {1}, "an event is there twice"
    assert set(told) <= set(found), "acknowledged and lost"
    more = found.keys() - set(told)
    assert more <= tried
    assert len(more) <= cut <= 2 * KILLS
    check_tables(address)
    if kind == "sqlite":
        check_file(address)
    assert {problem.mend for problem in registry.check()} <= {"check(repair=True)"}
    assert not registry.check(repair=True)
    print(
        f"{kind}: {2 * KILLS} killed, {cut} in a call, {len(more)} of these applied; {len(told)} acknowledged"
    )


# -- of the server -----------------------------------------------------------------------------------------------


@pytest.fixture
def own() -> Iterator[Postgres]:
    """A server that nobody else uses."""
    from tests.postgres import running

    with running() as server:
        yield server


def test_a_killed_server_leaves_every_answer_true(
    own: Postgres, root: Path, workers: Crew, tmp_path: Path
) -> None:
    address = own.create()
    mr.migrate(address)
    seed = random.randrange(1 << 32)
    print("\nseed", seed)
    choose = random.Random(seed)
    revs = git(root, "rev-list", "main").split()
    kept = Registry(root, backend=address)
    kept.register("churn", rev=revs.pop(), version="v0.0.1", message="first")
    stop = tmp_path / "stop"
    jobs = [
        {
            "job": "persist", "root": os.fspath(root), "backend": address, "who": who, "patience": PATIENCE[who],
            "until": os.fspath(stop), "revs": revs[who::WRITERS],
        }
        for who in range(WRITERS)
    ]  # fmt: skip
    workers.start(*jobs)
    try:
        for outage in OUTAGES:
            before = [done(report) for report in workers.reports()]
            wait_for(workers, lambda reports, before=before: all_wrote(reports, before))  # type: ignore[misc]
            time.sleep(choose.uniform(0, 0.2))  # the moment of death
            own.kill()
            time.sleep(outage)  # how long it is gone
            own.start()
        before = [done(report) for report in workers.reports()]
        wait_for(workers, lambda reports: all_wrote(reports, before))
    finally:
        stop.touch()
        ends = workers.wait()
    assert ends == [0] * WRITERS, workers.reports()
    check_the_answers(kept, workers.reports())
    check_tables(address)
    assert not kept.check(repair=True)


def all_wrote(reports: Sequence[Sequence[Mapping[str, Any]]], before: Sequence[int]) -> bool:
    return all(done(report) >= count + 2 for report, count in zip(reports, before, strict=True))


def check_the_answers(registry: Registry, reports: Sequence[Sequence[Mapping[str, Any]]]) -> None:
    """Whoever was told something was told the truth, by a registry that was open all the time."""
    found = Counter(event.message for event in registry.history("churn"))
    assert set(found.values()) == {1}, "an event is there twice"
    lines = [line for report in reports for line in report]
    assert found.keys() - {"first"} <= {line["tried"] for line in lines if "tried" in line}
    for line in lines:
        if "done" in line:
            assert line["done"] in found, "acknowledged and lost"
        elif "refused" in line:
            assert line["refused"] not in found, f"'nothing was written', and it was: {line}"
        elif line.get("written"):
            assert line["unknown"] in found, line
    unsure = {line["unknown"] for line in lines if line.get("written") is False}
    settled = {line["settled"]: line["there"] for line in lines if "settled" in line}
    for message in unsure & settled.keys():
        assert settled[message] == (message in found), f"{message} is settled wrongly"
    ends = Counter(end for line in lines for end in ("done", "refused", "unknown", "settled") if end in line)
    print(
        f"{len(OUTAGES)} deaths of the server: {dict(ends)}, of the unknown {len(unsure & found.keys())} were written"
    )
    for report in reports[:2]:
        assert [line for line in report if not {"tried", "done"} & line.keys()] == [], (
            "the patient are not disturbed"
        )
