"""Who is told while bytes move: a callback of fsspec, a bar, or nobody."""

from __future__ import annotations

import io
import itertools
import sys
import time
from functools import partial
from types import ModuleType, SimpleNamespace

import pytest
from fsspec.callbacks import Callback, DotPrinterCallback, NoOpCallback, TqdmCallback

from modelregistry.errors import InvalidInputError
from modelregistry.progress import check_progress, counted, reported


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


def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Standard error where nobody looks. Not a fixture: pytest puts its own there once the test begins."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


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


@pytest.mark.parametrize("progress", [True, False, None, Told(), print, lambda done, total: None])
def test_what_can_be_told_is_taken(progress: object) -> None:
    check_progress(progress)


@pytest.mark.parametrize("wrong", [0, 1, "bar", object(), TqdmCallback, []])
def test_what_can_t_be_told_is_refused_with_what_can(wrong: object) -> None:
    with pytest.raises(InvalidInputError, match=r"fsspec\.callbacks\.TqdmCallback"):
        check_progress(wrong)


def test_an_error_of_a_callback_is_its_user_s(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken(Told):
        def absolute_update(self, value: int) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), reported(Broken(), "fetching") as report:
        report(1, 2)


def test_a_function_is_told_what_is_done_and_what_there_is() -> None:
    calls: list[tuple[int, int | None]] = []
    with reported(lambda done, total: calls.append((done, total)), "fetching") as report:
        report(3, None)
        report(7, 10)
    assert calls == [(3, None), (7, 10)]


def test_what_is_counted_is_told_one_by_one_and_at_its_end() -> None:
    told = Told()
    assert [*counted("ab", told, "reading", "letters")] == ["a", "b"]
    assert told.calls == [("size", 2), ("value", 0), ("value", 1), ("value", 2)]


# -- in a log ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("progress", [None, False])
def test_a_log_has_nothing_that_nobody_asked_for(
    progress: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = log(monkeypatch)
    with reported(progress, "fetching") as report:
        for done in range(11):
            report(done, 10)
    assert stream.getvalue() == ""


def test_a_log_has_a_line_at_the_beginning_one_now_and_then_and_one_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = log(monkeypatch)
    now = itertools.count(0.0, 3.0)
    monkeypatch.setattr("modelregistry.display.progressview.time.monotonic", lambda: next(now))
    with reported(True, "fetching churn@v1.0.0") as report:
        for done in range(1, 9):
            report(done * 1_000_000, 8_000_000)
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("fetching churn@v1.0.0: 3 s")
    assert lines[1] == "fetching churn@v1.0.0: 4.0 MB of 8.0 MB (50%)"
    assert lines[-1].startswith("fetching churn@v1.0.0: 8.0 MB in ")
    assert len(lines) == 4
    assert "\r" not in stream.getvalue()


def test_a_terminal_is_left_clean_where_only_time_brought_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = terminal(monkeypatch)
    monkeypatch.setattr("modelregistry.display.progressview.PATIENCE", 0.1)
    monkeypatch.setattr("modelregistry.display.progressview._TICK_SECONDS", 0.05)
    with reported(None, "fetching churn") as report:
        report(5, 10)
        time.sleep(0.4)
        assert "fetching churn" in stream.getvalue()
    assert stream.getvalue().endswith(" \r")


class Unread(io.StringIO):
    """A stream whose reader is gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


class Unreadable(Unread):
    """The same, of a terminal."""

    def isatty(self) -> bool:
        return True


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize(
    "stream", [None, closed(), Unread(), Unreadable(), SimpleNamespace(write=len), object()]
)
@pytest.mark.parametrize("progress", [None, True, False])
def test_where_there_is_no_standard_error_it_goes_on(
    stream: object, progress: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelregistry.display.progressview.PATIENCE", 0.0)
    monkeypatch.setattr("modelregistry.display.progressview._TICK_SECONDS", 0.01)
    monkeypatch.setattr(sys, "stderr", stream)
    with reported(progress, "fetching") as report:
        for done in range(11):
            report(done, 10)
        time.sleep(0.03)


def test_a_log_of_few_letters_has_the_others_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stderr", stream)
    with reported(True, "looking for modèle\x1b[2J.csv") as report:
        report(1, 1)
    stream.seek(0)
    assert stream.readline().startswith("looking for mod\\xe8le\\x1b[2J.csv: ")


def test_what_is_counted_in_words_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = log(monkeypatch)
    with reported(True, "looking for it", "versions") as report:
        report(1200, 1200)
    assert stream.getvalue().splitlines()[-1].startswith("looking for it: 1,200 versions in ")


# -- in a terminal -----------------------------------------------------------------------------------------


def test_a_bar_that_is_asked_for_is_shown_at_once_and_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = terminal(monkeypatch)
    with reported(True, "fetching churn@v1.0.0") as report:
        report(5_000_000, 10_000_000)
        assert "fetching churn@v1.0.0" in stream.getvalue()
    assert stream.getvalue().endswith("\r")


def test_what_is_done_in_a_moment_shows_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = terminal(monkeypatch)
    with reported(None, "fetching") as report:
        for done in range(11):
            report(done, 10)
    assert stream.getvalue().strip() == ""


@pytest.mark.parametrize(("progress", "is_shown"), [(None, True), (False, False)])
def test_what_takes_longer_shows_a_bar_where_somebody_looks(
    progress: bool | None, is_shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = terminal(monkeypatch)
    monkeypatch.setattr("modelregistry.display.progressview.PATIENCE", 1e-9)
    until = time.monotonic() + (10 if is_shown else 0.5)
    with reported(progress, "fetching") as report:
        for done in itertools.count():
            report(done, 1 << 40)
            if "fetching" in stream.getvalue() or time.monotonic() > until:
                break
    assert ("fetching" in stream.getvalue()) is is_shown


# -- in a notebook -----------------------------------------------------------------------------------------


class Notebook(ModuleType):
    """As much of IPython as a notebook's line needs: a shell with a kernel, and what was displayed."""

    def __init__(self, *, kernel: object = "running") -> None:
        super().__init__("IPython")
        self.shell = SimpleNamespace(kernel=kernel)
        self.display = ModuleType("IPython.display")
        self.shown: list[tuple[str, dict[str, str], str]] = []
        self.display.display = partial(self._show, "new")  # type: ignore[attr-defined]
        self.display.update_display = partial(self._show, "again")  # type: ignore[attr-defined]

    def get_ipython(self) -> object:
        return self.shell

    def _show(self, how: str, data: dict[str, str], *, raw: bool, display_id: str) -> None:
        assert raw
        self.shown.append((how, data, display_id))


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    found = Notebook()
    monkeypatch.setitem(sys.modules, "IPython", found)
    monkeypatch.setitem(sys.modules, "IPython.display", found.display)
    return found


def test_a_notebook_has_one_line_that_changes_in_its_place(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = log(monkeypatch)
    monkeypatch.setattr("modelregistry.display.progressview._NOTEBOOK_SECONDS", 0.0)
    with reported(True, "fetching <b>") as report:
        report(5_000_000, 10_000_000)
    assert [how for how, _, _ in notebook.shown] == ["new", "again", "again"]
    assert len({name for _, _, name in notebook.shown}) == 1
    half = notebook.shown[1][1]
    assert half["text/plain"] == "fetching <b>: 5.0 MB of 10.0 MB"
    assert half["text/html"] == (
        '<div><progress value="0.500" max="1"></progress> fetching &lt;b&gt;: 5.0 MB of 10.0 MB</div>'
    )
    assert "<progress" not in notebook.shown[-1][1]["text/html"]
    assert stream.getvalue() == ""


def test_a_notebook_shows_nothing_of_what_is_done_in_a_moment(notebook: Notebook) -> None:
    with reported(None, "fetching") as report:
        report(10, 10)
    assert notebook.shown == []


def test_ipython_in_a_terminal_is_a_terminal(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = terminal(monkeypatch)
    notebook.shell.kernel = None
    with reported(True, "fetching") as report:
        report(1, 2)
    assert notebook.shown == []
    assert "fetching" in stream.getvalue()
