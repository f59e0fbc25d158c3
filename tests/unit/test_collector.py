"""What pausing the garbage collector leaves behind."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from modelregistry.collector import paused


def make_many() -> list[object]:
    return [[number] for number in range(50_000)]


@contextmanager
def passes() -> Iterator[list[int]]:
    """The generations that are looked through inside the block."""
    seen: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            seen.append(info["generation"])

    gc.callbacks.append(note)
    try:
        yield seen
    finally:
        gc.callbacks.remove(note)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    gc.collect()
    yield
    gc.unfreeze()
    assert gc.isenabled()


def test_nothing_is_looked_through_inside_nor_because_of_what_was_made_inside() -> None:
    with passes() as seen:
        with paused():
            made = make_many()
        more = [[number] for number in range(100)]
    assert seen == []
    assert len(made) + len(more) == 50_100


def test_circles_that_were_left_inside_are_found_by_a_full_look() -> None:
    class Ring:
        other: Ring

    with paused():
        kept = make_many()
        ring = Ring()
        ring.other = ring
        seen = weakref.ref(ring)
        del ring
    gc.collect()
    assert seen() is None
    assert kept


def test_what_the_caller_has_frozen_stays_frozen() -> None:
    gc.freeze()
    before = gc.get_freeze_count()
    with paused():
        kept = make_many()
    assert gc.get_freeze_count() > before - 100, "some of them may have been freed meanwhile"
    assert before > 1000
    assert kept


@pytest.mark.parametrize("switch", [gc.enable, gc.disable])
def test_who_had_it_off_has_it_off(switch: Callable[[], None]) -> None:
    switch()
    was = gc.isenabled()
    try:
        with paused(), paused():
            assert not gc.isenabled()
        assert gc.isenabled() is was
    finally:
        gc.enable()
