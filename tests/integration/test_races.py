"""Processes that write at once, in one repository and in clones of one hub: their history is held to what is promised.

Every process writes down what it called and when, with what it was answered. ``check_history`` then asks of the log:
every acknowledged event is there once, and nobody else's; an event acknowledged before another was called comes before
it; where a writer named the holder it believed in, that was the holder, and a rollback went back to the one before; and
every read was told of a state that there was when it may have looked. ``MODELREGISTRY_RACE=16x200`` (``nox -s race``)
and ``MODELREGISTRY_CREATE_RACE=16x500`` make it long.
"""

from __future__ import annotations

import os
import random
import statistics
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from modelregistry import Registry
from modelregistry.changes import Writer, rollback
from modelregistry.events import Event
from modelregistry.history import History, Stages
from tests.integration.crew import Crew, crew
from tests.integration.projects import commit, git, init, python, write

CLONES, TURNS = map(int, os.environ.get("MODELREGISTRY_RACE", "8x25").split("x"))
PROCESSES, ROUNDS = map(int, os.environ.get("MODELREGISTRY_CREATE_RACE", "16x50").split("x"))
LONG = CLONES * TURNS > 1000 or PROCESSES * ROUNDS > 1000
VERSIONS = [f"v0.1.{number}" for number in range(8)]
SHADOWS = ["v0.1.8", "v0.1.9"]
Line = Mapping[str, Any]

pytestmark = pytest.mark.timeout(0 if LONG else 300)


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Crew]:
    with crew(tmp_path / "reports") as found:
        yield found


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


# -- what is promised --------------------------------------------------------------------------------------


def check_history(
    log: Sequence[Event], reports: Sequence[Sequence[Line]], observers: Sequence[Sequence[Line]]
) -> None:
    """Hold the log to the promises."""
    lines = [line for report in reports for line in report]
    assert not [line["error"] for line in lines if "error" in line]
    place = {event.message: at for at, event in enumerate(log) if event.message}
    assert len(place) == len([event for event in log if event.message]), "an event is there twice"
    tried = {line["tried"] for line in lines if "tried" in line}
    done = {line["done"]: line for line in lines if "done" in line}
    assert done.keys() <= place.keys(), f"acknowledged and lost: {sorted(done.keys() - place.keys())}"
    assert place.keys() <= tried, "nobody called that"
    unwritten = {line.get("refused", line.get("idle")) for line in lines}
    assert not unwritten & place.keys(), "refused and written"

    latest = 0.0
    for call in sorted(done.values(), key=lambda call: place[call["done"]]):
        assert call["to"] > latest, f"{call['done']} was answered before one that comes earlier was called"
        latest = max(latest, call["from"])
    check_the_swaps(log, done)
    moves = [event for event in log if event.slot == "#current"]
    clock = Clock(moves, done)
    for report in reports:
        check_reads(clock, report, here=False)
    for report in observers:
        check_reads(clock, report, here=True)


def check_the_swaps(log: Sequence[Event], done: Mapping[str, Line]) -> None:
    """Every number of a slot is there, in the order of the log; and what its writer believed was so."""
    numbers: dict[str, list[int]] = {}
    for at, event in enumerate(log):
        numbers.setdefault(event.slot, []).append(event.number)
        call = done.get(event.message, {})
        if "expected" in call:
            holders = History("churn", log[:at], Stages()).holders("current")
            assert holders == (call["expected"],), (
                f"{event.message} believed in {call['expected']}: {holders}"
            )
        elif call.get("verb") == "rollback":
            writer = Writer("", "", event.at, "5" * 32, lambda slot: 1)
            back = rollback(History("churn", log[:at], Stages()), writer, "current").version
            assert back == getattr(event, "version", None), (
                f"{event.message} went back to another than {back}"
            )
    for slot, found in numbers.items():
        if slot.startswith("#") or slot == "@annotate":
            assert found == list(range(1, len(found) + 1)), slot


class Clock:
    """Which assignment of ``current`` was the last one when: told by when their calls began and ended."""

    def __init__(self, moves: Sequence[Event], done: Mapping[str, Line]) -> None:
        self.holders = [getattr(event, "version", None) for event in moves]
        self.written = {event.message: at for at, event in enumerate(moves) if event.message in done}
        self._began = self._latest(done, "from")
        self._ended = self._latest(done, "to")

    def _latest(self, done: Mapping[str, Line], edge: str) -> tuple[list[float], list[int]]:
        """The times of all calls, and the last assignment among those up to each."""
        pairs = sorted((done[message][edge], at) for message, at in self.written.items())
        return [time for time, _ in pairs], [0, *accumulate((at for _, at in pairs), max)]

    def surely(self, time: float) -> int:
        """The last that was acknowledged before then."""
        times, latest = self._ended
        return latest[bisect_left(times, time)]

    def maybe(self, time: float) -> int:
        """The last that was called before then."""
        times, latest = self._began
        return latest[bisect_left(times, time)]


def check_reads(clock: Clock, report: Sequence[Line], *, here: bool) -> None:
    """Every answer was true at some moment that the reader may have looked at, and none is older than the one before.

    Args:
        clock: What there was when.
        report: What one process read and wrote, in order.
        here: Whether it reads the hub itself, so that it sees what was acknowledged before its call. In a clone it
            sees what was acknowledged before its last write began, since that fetched; and what it wrote itself.
    """
    oldest = 0
    for line in report:
        if "read" in line:
            if here:
                oldest = max(oldest, clock.surely(line["from"]))
            newest = clock.maybe(line["to"])
            seen = [at for at in range(oldest, newest + 1) if clock.holders[at] == line["read"]]
            assert seen, f"{line}: current was {clock.holders[oldest : newest + 1]} then"
            oldest = seen[0]
        elif "from" in line:
            oldest = max(oldest, clock.surely(line["from"]), clock.written.get(line.get("done", ""), 0))


def show(reports: Sequence[Sequence[Line]], observers: Sequence[Sequence[Line]]) -> None:
    """For ``pytest -s``: what a page of figures says."""
    lines = [line for report in reports for line in report]
    calls = [line for line in lines if "verb" in line]
    spent = max(call["to"] for call in calls) - min(call["from"] for call in calls)
    done = [call for call in calls if "done" in call]
    reads = (
        sum("read" in line for line in lines),
        sum("read" in line for report in observers for line in report),
    )
    print(
        f"\n{CLONES} clones x {TURNS} calls, {len(done) / spent:.1f} events per second, {reads[0]} reads in the "
        f"clones and {reads[1]} in the hub"
    )
    for verb in sorted({call["verb"] for call in calls}):
        found = [call for call in calls if call["verb"] == verb]
        ends = Counter(end for call in found for end in ("done", "refused", "idle") if end in call)
        times = sorted(call["to"] - call["from"] for call in found if "done" in call) or [0.0]
        print(
            f"  {verb}: {dict(ends)}, p50 {statistics.median(times):.2f} s, p99 {times[int(len(times) * 0.99)]:.2f} s"
        )


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
    show(reports, observers)
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
