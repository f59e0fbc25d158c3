"""Processes that write at once, in one repository and in clones of one hub: their history is held to what is promised.

What is promised is in ``promises.py``. ``MODELREGISTRY_RACE=16x200`` (``nox -s race``) and
``MODELREGISTRY_CREATE_RACE=16x500`` make it long.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from modelregistry import Registry
from tests.integration.crew import Crew, crew
from tests.integration.projects import commit, git, init, python, write
from tests.integration.promises import Line, check_history, show

CLONES, TURNS = map(int, os.environ.get("MODELREGISTRY_RACE", "8x25").split("x"))
PROCESSES, ROUNDS = map(int, os.environ.get("MODELREGISTRY_CREATE_RACE", "16x50").split("x"))
LONG = CLONES * TURNS > 1000 or PROCESSES * ROUNDS > 1000
VERSIONS = [f"v0.1.{number}" for number in range(8)]
SHADOWS = ["v0.1.8", "v0.1.9"]

pytestmark = pytest.mark.timeout(0 if LONG else 300)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with ten versions of ``churn``, v0.1.0 being current."""
    top = init(tmp_path / "made")
    write(top / "dvc.yaml", "artifacts:\n  churn: {path: churn.json, type: model}\n")
    registry = Registry(top)
    for version in [*VERSIONS, *SHADOWS]:
        write(top / "churn.json", version)
        commit(top)
        registry.register("churn", version=version)
    registry.promote("churn", "v0.1.0", "current")
    return top


@pytest.fixture
def hub(root: Path, tmp_path: Path) -> Path:
    """A bare repository with the same."""
    git(tmp_path, "clone", "--quiet", "--bare", os.fspath(root), os.fspath(tmp_path / "hub.git"))
    return tmp_path / "hub.git"


@pytest.fixture
def clone(hub: Path, tmp_path: Path) -> Callable[[int], Path]:
    def make(number: int) -> Path:
        git(tmp_path, "clone", "--quiet", hub.as_uri(), os.fspath(tmp_path / f"clone{number}"))
        return tmp_path / f"clone{number}"

    return make


# -- many writers ------------------------------------------------------------------------------------------

GTO = """\
import json, sys
import gto.api
found = []
for root in sys.argv[1:]:
    stages = gto.api.show(root, registered_only=True)["churn"]["stage"]
    found.append({stage: version for stage, version in stages.items() if version})
print(json.dumps(found))
"""


@pytest.mark.parametrize("skewed", [False, True], ids=["right clocks", "clocks hours apart"])
def test_racing_clones_lose_nothing_keep_the_order_and_read_what_there_was(
    skewed: bool, hub: Path, clone: Callable[[int], Path], workers: Crew, tmp_path: Path
) -> None:
    stop = tmp_path / "stop"
    clones = [clone(number) for number in range(CLONES)]
    jobs = [
        {
            "job": "share", "seed": number, "root": os.fspath(place), "who": number, "turns": TURNS,
            "versions": VERSIONS, "shadows": SHADOWS,
            "skew": random.Random(number).uniform(-5, 5) * 3600 if skewed else 0,
        }
        for number, place in enumerate(clones)
    ]  # fmt: skip
    with crew(tmp_path / "readers") as readers:
        readers.start({"job": "read", "root": os.fspath(hub), "until": os.fspath(stop)})
        try:
            workers.start(*jobs)
            assert workers.wait() == [0] * CLONES, workers.reports()
        finally:
            stop.touch()
            readers.wait()
        observers = readers.reports()
    reports = workers.reports()
    show(f"{CLONES} clones x {TURNS} calls", reports, observers)
    assert [line for line in observers[0] if "read" not in line] == []
    assert len(observers[0]) > 20
    check_history(Registry(hub).history("churn"), reports, observers)

    calls = [line for report in reports for line in report if "verb" in line]
    assert len(calls) == CLONES * TURNS
    free = [call for call in calls if call["verb"] not in ("promote expected", "rollback")]
    # Of more writers than the machine has room for, some are overtaken for all of their half minute.
    most = 0.1 if LONG else 0.05
    assert sum("refused" in call for call in free) <= len(free) * most, "who believes nothing is let through"

    there = git(hub, "for-each-ref", "refs/tags")
    for place in clones:
        Registry(place).sync()
        assert git(place, "for-each-ref", "refs/tags") == there
        assert not git(place, "for-each-ref", "refs/modelregistry")
    registry = Registry(hub)
    holders = {stage: registry.get(f"churn#{stage}").version for stage in ("current", "shadow")}
    assert python(hub, GTO, *map(os.fspath, [hub, *clones])) == [holders] * (CLONES + 1)
    assert not registry.check()
    git(hub, "fsck", "--full", "--strict")


# -- one next event ----------------------------------------------------------------------------------------


def check_rounds(place: Path, reports: Sequence[Sequence[Line]], rounds: int) -> None:
    """Every round has one winner, whose event is in the log; and everybody was told."""
    lines = [line for report in reports for line in report]
    assert not [line["error"] for line in lines if "error" in line]
    assert len(lines) == len(reports) * rounds
    won = [line["won"] for line in lines if "won" in line]
    assert sorted(int(message.partition(".")[2]) for message in won) == list(range(rounds))
    log = [event for event in Registry(place).history("churn") if event.slot == "#current"]
    assert [event.number for event in log] == list(range(1, rounds + 2))
    assert sorted(event.message for event in log[1:]) == sorted(won)
    print(
        f"\n{len(reports)} processes x {rounds} rounds: {len(won)} winners, {len(lines) - len(won)} told no"
    )


@pytest.mark.parametrize("by", ["append", "promote"])
def test_of_those_who_create_the_next_event_at_once_one_wins_and_all_are_told(
    by: str, root: Path, workers: Crew
) -> None:
    rounds = ROUNDS if by == "append" or LONG else ROUNDS // 5
    workers.start(
        *(
            {"job": "create", "root": os.fspath(root), "who": who, "rounds": rounds, "by": by}
            for who in range(PROCESSES)
        )
    )
    assert workers.wait() == [0] * PROCESSES, workers.reports()
    check_rounds(root, workers.reports(), rounds)
    assert not Registry(root).check()


def test_of_clones_that_create_the_next_event_at_once_one_wins_and_all_are_told(
    hub: Path, clone: Callable[[int], Path], workers: Crew
) -> None:
    rounds = ROUNDS if LONG else ROUNDS // 5
    clones = [clone(number) for number in range(PROCESSES // 2)]
    workers.start(
        *(
            {"job": "create", "root": os.fspath(place), "who": who, "rounds": rounds, "by": "promote"}
            for who, place in enumerate(clones)
        )
    )
    assert workers.wait() == [0] * len(clones), workers.reports()
    check_rounds(hub, workers.reports(), rounds)
    for place in clones:
        assert git(place, "for-each-ref", "refs/tags") == git(hub, "for-each-ref", "refs/tags")
        assert not git(place, "for-each-ref", "refs/modelregistry")
