"""Who is told while bytes move: a callback of fsspec, a bar, or nobody."""

from __future__ import annotations

import io
import itertools
import sys
import time

import pytest
from fsspec.callbacks import Callback, DotPrinterCallback, NoOpCallback, TqdmCallback

from modelregistry.errors import InvalidInputError
from modelregistry.progress import check_progress, reported


class Told:
    """What is needed of a callback, and no more."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def set_size(self, size: int) -> None:
        self.calls.append(("size", size))

    def absolute_update(self, value: int) -> None:
        self.calls.append(("value", value))


class Terminal(io.StringIO):
    """Standard error where somebody looks."""

    def isatty(self) -> bool:
        return True


def test_a_callback_is_told_the_size_once_and_each_value() -> None:
    told = Told()
    with reported(told, "fetching") as report:
        for done in (0, 3, 7, 10):
            report(done, 10)
    assert told.calls == [("size", 10), ("value", 0), ("value", 3), ("value", 7), ("value", 10)]


def test_a_size_that_nobody_knows_is_not_told() -> None:
    told = Told()
    with reported(told, "fetching") as report:
        report(3, None)
        report(7, None)
    assert told.calls == [("value", 3), ("value", 7)]


def test_a_size_that_is_known_late_is_told_then() -> None:
    told = Told()
    with reported(told, "fetching") as report:
        report(3, None)
        report(7, 10)
        report(10, 10)
    assert told.calls == [("value", 3), ("size", 10), ("value", 7), ("value", 10)]


@pytest.mark.parametrize("callback", [Callback(), NoOpCallback(), DotPrinterCallback(), TqdmCallback()])
def test_every_callback_of_fsspec_will_do(callback: Callback) -> None:
    check_progress(callback)


@pytest.mark.parametrize("progress", [True, False, None, Told()])
def test_what_can_be_told_is_taken(progress: object) -> None:
    check_progress(progress)


@pytest.mark.parametrize("wrong", [0, 1, "bar", object(), print, []])
def test_what_can_t_be_told_is_refused_with_what_can(wrong: object) -> None:
    with pytest.raises(InvalidInputError, match=r"fsspec\.callbacks\.TqdmCallback"):
        check_progress(wrong)


def test_an_error_of_a_callback_is_its_user_s(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken(Told):
        def absolute_update(self, value: int) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), reported(Broken(), "fetching") as report:
        report(1, 2)


@pytest.mark.parametrize("progress", [None, False])
def test_nothing_is_shown_where_nobody_looks(progress: bool | None, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with reported(progress, "fetching") as report:
        for done in range(11):
            report(done, 10)
    assert stream.getvalue() == ""


def test_a_bar_that_is_asked_for_is_shown_anywhere_and_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with reported(True, "fetching churn@v1.0.0") as report:
        report(5_000_000, 10_000_000)
        assert "fetching churn@v1.0.0" in stream.getvalue()
    assert stream.getvalue().endswith("\r")


def test_what_is_done_in_a_moment_shows_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with reported(None, "fetching") as report:
        for done in range(11):
            report(done, 10)
    assert "fetching" not in stream.getvalue()


@pytest.mark.parametrize(("progress", "shown"), [(None, True), (False, False)])
def test_what_takes_longer_shows_a_bar_where_somebody_looks(
    progress: bool | None, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr("modelregistry.progress._PATIENCE", 1e-9)
    until = time.monotonic() + (10 if shown else 0.5)
    with reported(progress, "fetching") as report:
        for done in itertools.count():
            report(done, 1 << 40)
            if "fetching" in stream.getvalue() or time.monotonic() > until:
                break
    assert ("fetching" in stream.getvalue()) is shown
