# ruff: noqa: D102 (a law's name is its promise)
"""The laws of many who write at once, and of those who are killed while they do."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import SpawnContext
from pathlib import Path
from threading import Barrier

import pytest

from modelregistry.backends.base import Backend
from modelregistry.log.events import Assigned, Event
from modelregistry.testing.events import make_event
from modelregistry.testing.laws import assigned
from modelregistry.testing.opened import Opened, Opener

_SECONDS = 120.0


class WriterLaws(Opened):
    """Make ``writers``, ``rounds`` and ``kills`` larger for a longer test."""

    writers = 4
    rounds = 20
    kills = 4

    def test_threads_that_write_at_once_lose_nothing(self, backend: Backend, rev: str) -> None:
        with ThreadPoolExecutor(self.writers) as pool:
            jobs = [pool.submit(_write_all, backend, rev, who, self.rounds) for who in range(self.writers)]
            written = [each for job in jobs for each in job.result()]
        _check_all(backend, written, self.writers * self.rounds)

    def test_processes_that_write_at_once_lose_nothing(self, opener: Opener, rev: str) -> None:
        with _processes(opener, self.writers) as pool:
            jobs = [
                pool.submit(_write_all_anew, opener, rev, who, self.rounds) for who in range(self.writers)
            ]
            written = [each for job in jobs for each in job.result()]
        _check_all(opener(), written, self.writers * self.rounds)

    def test_of_processes_that_want_one_place_one_gets_it(self, opener: Opener, rev: str) -> None:
        with _processes(opener, self.writers) as pool:
            jobs = [pool.submit(_want, opener, rev, who, self.rounds) for who in range(self.writers)]
            won = sorted(each for job in jobs for each in job.result())
        assert [number for number, _ in won] == list(range(1, self.rounds + 1)), "each place has one winner"
        kept = sorted((event.number, event.id) for event in opener().read("churn").events)
        assert kept == won, "who was told so has it"

    def test_what_a_killed_process_wrote_is_there_and_whole(
        self, opener: Opener, rev: str, tmp_path: Path
    ) -> None:
        draw = random.Random(0)  # noqa: S311
        with _processes(opener, 1):
            told: list[str] = []
            for kill in range(self.kills):
                told += _kill_one(opener, rev, tmp_path / f"told{kill}", draw)
                found = opener().read("churn").events
                ids = {event.id for event in found}
                assert set(told) <= ids, "acknowledged, and gone"
                assert len(ids) == len(found)
                assert len(ids - set(told)) <= kill + 1, "at most the one that was being written"
                assert not opener().read("churn").quarantined
                number = opener().read("churn").next_number("#current")
                kept = opener().append(
                    assigned("churn", rev, number).model_copy(update={"id": f"after {kill}"})
                )
                assert kept is not None, "the next one is not in the way of what the dead left"
                told.append(kept.id)


# -- how many write -----------------------------------------------------------------------------------------------


@contextmanager
def _processes(opener: Opener, number: int) -> Iterator[ProcessPoolExecutor]:
    """So many processes of their own, for a backend that says they may write at once."""
    if not opener().capabilities.multi_writer:
        pytest.skip("it declares that one process writes")
    context: SpawnContext = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(number, context, _remember, (context.Barrier(number),)) as pool:
        yield pool


def _check_all(backend: Backend, written: list[tuple[int, str]], number: int) -> None:
    """Everything that was acknowledged is there once, and nothing else."""
    assert len(written) == number
    kept = sorted((event.number, event.id) for event in backend.read("churn").events)
    assert kept == sorted(written)
    assert [number for number, _ in kept] == list(range(1, number + 1))


def _kill_one(opener: Opener, rev: str, report: Path, draw: random.Random) -> list[str]:
    """Kill a process that writes, at some moment; what it was told is written."""
    process = multiprocessing.get_context("spawn").Process(target=_write_on, args=(opener, rev, report))
    process.start()
    enough, end = draw.randint(1, 12), time.monotonic() + _SECONDS
    while time.monotonic() < end and (not report.exists() or report.read_text().count("\n") < enough):
        assert process.is_alive(), "it ended by itself"
    time.sleep(draw.uniform(0, 0.02))  # somewhere in the next write
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    return report.read_text().split("\n")[:-1]


# -- in the processes ------------------------------------------------------------------------------------------------

_start: Barrier


def _remember(barrier: Barrier) -> None:
    global _start  # noqa: PLW0603 - a barrier can't be sent to a process, only inherited
    _start = barrier


def _event(rev: str, number: int, who: object) -> Event:
    return make_event(
        Assigned,
        "churn",
        rev,
        second=number,
        stage="current",
        version="v1.0.0",
        number=number,
        id=f"{who} {number}",
    )


def _write_all(backend: Backend, rev: str, who: int, rounds: int) -> list[tuple[int, str]]:
    """Append so many events, each at whatever number is free."""
    written: list[tuple[int, str]] = []
    end = time.monotonic() + _SECONDS
    while len(written) < rounds and time.monotonic() < end:
        event = _event(rev, backend.read("churn").next_number("#current"), who)
        if backend.append(event) is not None:
            written.append((event.number, event.id))
    return written


def _write_all_anew(opener: Opener, rev: str, who: int, rounds: int) -> list[tuple[int, str]]:
    backend = opener()
    _start.wait(_SECONDS)
    return _write_all(backend, rev, who, rounds)


def _want(opener: Opener, rev: str, who: int, rounds: int) -> list[tuple[int, str]]:
    """Want the same number as all the others, round after round; what was got."""
    backend = opener()
    won = []
    for number in range(1, rounds + 1):
        _start.wait(_SECONDS)
        event = _event(rev, number, who)
        if backend.append(event) is not None:
            won.append((number, event.id))
    return won


def _write_on(opener: Opener, rev: str, report: Path) -> None:
    """Append without an end, and write down what is acknowledged."""
    backend = opener()
    with open(report, "a", buffering=1, encoding="utf-8") as file:
        while True:
            event = _event(rev, backend.read("churn").next_number("#current"), os.getpid())
            if backend.append(event) is not None:
                file.write(f"{event.id}\n")
