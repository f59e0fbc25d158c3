"""Clones that write at once through one hub: the history that they made is held to what the library promises.

Every process writes down what it called and when, with what it was answered. ``check_history`` then asks of the log:
every acknowledged event is there once, and nobody else's; an event acknowledged before another was called comes before
it; and where a writer named the holder it believed in, that was the holder. ``MODELREGISTRY_RACE=16x200`` makes it long.
"""

from __future__ import annotations

import os
import random
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from modelregistry import Registry
from modelregistry.history import History, Stages
from tests.integration.crew import Crew, crew
from tests.integration.projects import commit, git, gto, init, write

CLONES, TURNS = map(int, os.environ.get("MODELREGISTRY_RACE", "8x25").split("x"))
VERSIONS = 6


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Crew]:
    with crew(tmp_path / "reports") as found:
        yield found


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A bare repository with six versions of ``churn``, v0.1.0 being current."""
    root = init(tmp_path / "made")
    write(root / "dvc.yaml", "artifacts:\n  churn: {path: churn.json, type: model}\n")
    registry = Registry(root)
    for number in range(VERSIONS):
        write(root / "churn.json", f'{{"churn": {number}}}')
        commit(root)
        registry.register("churn")
    registry.promote("churn", "v0.1.0", "current")
    git(tmp_path, "clone", "--quiet", "--bare", os.fspath(root), os.fspath(tmp_path / "hub.git"))
    return tmp_path / "hub.git"


@pytest.fixture
def clones(hub: Path, tmp_path: Path) -> list[Path]:
    found = []
    for number in range(CLONES):
        git(tmp_path, "clone", "--quiet", hub.as_uri(), os.fspath(tmp_path / f"clone{number}"))
        found.append(tmp_path / f"clone{number}")
    return found


def check_history(hub: Path, reports: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, int]:
    """Hold the log to the promises; how many calls ended how."""
    lines = [line for report in reports for line in report]
    assert not [line["error"] for line in lines if "error" in line]
    log = Registry(hub).history("churn")
    place = {event.message: at for at, event in enumerate(log) if event.message}
    assert len(place) == len([event for event in log if event.message]), "an event is there twice"
    tried = {line["tried"] for line in lines if "tried" in line}
    done = {line["done"]: line for line in lines if "done" in line}
    assert done.keys() <= place.keys(), f"acknowledged and lost: {sorted(done.keys() - place.keys())}"
    assert place.keys() <= tried, "nobody called that"
    refused = {line["refused"] for line in lines if "refused" in line}
    assert not refused & place.keys(), "refused and written"

    numbers = [event.number for event in log if event.kind == "assign"]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    calls = sorted((done[message] for message in done), key=lambda call: place[call["done"]])
    latest = 0.0
    for call in calls:  # whoever was answered before I called comes before me
        assert call["to"] > latest, f"{call['done']} was answered before one that comes earlier was called"
        latest = max(latest, call["from"])
    for at, event in enumerate(log):
        call = done.get(event.message)
        if call is not None and "expected" in call:
            holders = History("churn", log[:at], Stages()).holders("current")
            assert holders == (call["expected"],), (
                f"{event.message} believed in {call['expected']}: {holders}"
            )
    return {"calls": len(tried), "acknowledged": len(done), "refused": len(refused)}


def show(figures: Mapping[str, object], reports: Sequence[Sequence[Mapping[str, Any]]]) -> None:
    """For ``pytest -s``: what a page of figures says."""
    times = sorted(line["to"] - line["from"] for report in reports for line in report if "done" in line)
    spent = max(line["to"] for report in reports for line in report if "to" in line) - min(
        line["from"] for report in reports for line in report if "from" in line
    )
    p99 = times[int(len(times) * 0.99)]
    print(
        f"\n{CLONES} clones x {TURNS}: {dict(figures)}; {len(times) / spent:.1f} per second, "
        f"p50 {statistics.median(times):.2f} s, p99 {p99:.2f} s"
    )


@pytest.mark.parametrize("skewed", [False, True], ids=["right clocks", "clocks hours apart"])
def test_racing_clones_lose_nothing_and_keep_the_order(
    skewed: bool, hub: Path, clones: list[Path], workers: Crew, tmp_path: Path
) -> None:
    stop = tmp_path / "stop"
    jobs = [
        {
            "job": "share", "seed": number, "root": os.fspath(clone), "who": number, "turns": TURNS,
            "versions": VERSIONS, "skew": random.Random(number).uniform(-5, 5) * 3600 if skewed else 0,
        }
        for number, clone in enumerate(clones)
    ]  # fmt: skip
    with crew(tmp_path / "readers") as readers:
        readers.start({"job": "read", "root": os.fspath(hub), "until": os.fspath(stop)})
        try:
            workers.start(*jobs)
            assert workers.wait() == [0] * CLONES, workers.reports()
        finally:
            stop.touch()
            readers.wait()
        (report,) = readers.reports()
    assert [line for line in report if "reads" not in line] == []
    assert report[-1]["reads"] > 20
    figures = check_history(hub, workers.reports())
    show(figures | {"reads": report[-1]["reads"]}, workers.reports())
    assert figures["calls"] == CLONES * TURNS
    assert figures["acknowledged"] >= figures["calls"] / 3

    holder = Registry(hub).get("churn#current").version
    for clone in clones:
        registry = Registry(clone)
        registry.sync()
        assert registry.get("churn#current").version == holder
        assert not git(clone, "for-each-ref", "refs/modelregistry")
    assert holder in gto(clones[0], "show", "churn#current")
    assert git(hub, "fsck", "--full", "--strict") is not None
