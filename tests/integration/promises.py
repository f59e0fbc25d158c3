"""What is promised of writers at once: their reports and the log are held to it.

Every process writes down what it called and when, with what it was answered. ``check_history`` then asks of the log:
every acknowledged event is there once, and nobody else's; an event acknowledged before another was called comes before
it; where a writer named the holder it believed in, that was the holder, and a rollback went back to the one before; and
every read was told of a state that there was when it may have looked.
"""

from __future__ import annotations

import statistics
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from modelregistry.log.changes import Writer, rollback
from modelregistry.log.events import Event
from modelregistry.log.history import History, Stages

Line = Mapping[str, Any]


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
        here: Whether it reads the log itself, so that it sees what was acknowledged before its call. In a clone it
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


def show(what: str, reports: Sequence[Sequence[Line]], observers: Sequence[Sequence[Line]]) -> None:
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
        f"\n{what}, {len(done) / spent:.1f} events per second, {reads[0]} reads by those who write and {reads[1]} by one "
        "who watches"
    )
    for verb in sorted({call["verb"] for call in calls}):
        found = [call for call in calls if call["verb"] == verb]
        ends = Counter(end for call in found for end in ("done", "refused", "idle") if end in call)
        times = sorted(call["to"] - call["from"] for call in found if "done" in call) or [0.0]
        print(
            f"  {verb}: {dict(ends)}, p50 {statistics.median(times):.2f} s, p99 {times[int(len(times) * 0.99)]:.2f} s"
        )
