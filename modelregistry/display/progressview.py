"""Shows how far something is where somebody looks: a bar in a terminal, a line in a notebook, now and then a line in a log."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, RLock, Thread
from typing import Any
from uuid import uuid4

from modelregistry.display.words import clean

PATIENCE = 1.0
"""Seconds before what nobody asked for shows: what is done sooner needs nothing."""
_TICK_SECONDS = 1.0
_NOTEBOOK_SECONDS = 0.2
_LOG_SECONDS = 10.0
_BYTES = "B"
_NOBODY = (AttributeError, ValueError, OSError)
"""What a stream raises that is none, is closed, or has no reader any more."""


@contextmanager
def shown(what: str, unit: str, *, asked: bool) -> Iterator[Callable[[int, int | None], None]]:
    """What to call while ``what`` goes on.

    Args:
        what: What goes on, such as ``fetching churn@v1.2.0``.
        unit: What is counted: ``B`` for bytes, or a word such as ``versions``.
        asked: Whether somebody asked for it: then it shows at once, and in a log too.
    """
    what = clean(what)
    display = _notebook()
    if display is not None:
        line = _Line(what, unit, _Cell(display), every=_NOTEBOOK_SECONDS, patience=0 if asked else PATIENCE)
    elif _is_terminal():
        yield from _bar(what, unit, asked=asked)
        return
    elif asked:
        line = _Line(what, unit, _Log(), every=_LOG_SECONDS, patience=0)
    else:
        yield lambda _done, _total: None
        return
    with _ticking(line.tick):
        try:
            yield line.report
        finally:
            line.close()


@contextmanager
def _ticking(tick: Callable[[], object]) -> Iterator[None]:
    """Shows that it goes on, where nothing tells how far it is: git or DVC may be silent for minutes."""
    ended = Event()

    def run() -> None:
        while not ended.wait(_TICK_SECONDS):
            tick()

    thread = Thread(target=run, name="modelregistry-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class _Line:
    """One line of text, told anew so often and no more."""

    def __init__(self, what: str, unit: str, out: _Cell | _Log, *, every: float, patience: float) -> None:
        self._what, self._unit, self._out, self._every = what, unit, out, every
        self._lock = RLock()
        self._began = time.monotonic()
        self._next = self._began + patience
        self._done: tuple[int, int | None] = (0, None)
        self._told = False
        if not patience:
            self._tell()

    def report(self, done: int, total: int | None) -> None:
        self._done = done, total
        self.tick()

    def tick(self) -> None:
        with self._lock:
            if time.monotonic() >= self._next:
                self._tell()

    def close(self) -> None:
        """The last word; nothing where nothing was said."""
        if self._told:
            seconds = time.monotonic() - self._began
            self._out.write(f"{self._what}: {amount(self._done[0], self._unit)} in {seconds:.0f} s", None)

    def _tell(self) -> None:
        self._told = True
        now = time.monotonic()
        self._next = now + self._every
        done, total = self._done
        of = f" of {amount(total, self._unit)}" if total else ""
        so_far = f"{amount(done, self._unit)}{of}" if done else f"{now - self._began:.0f} s"
        self._out.write(f"{self._what}: {so_far}", done / total if total else None)


class _Cell:
    """A line below a cell of a notebook, which needs no widgets: the display is changed in its place."""

    def __init__(self, display: Callable[..., object]) -> None:
        self._display = display
        self._id = uuid4().hex
        self._is_there = False

    def write(self, text: str, part: float | None) -> None:
        bar = f'<progress value="{part:.3f}" max="1"></progress> ' if part is not None else ""
        self._display(
            {"text/plain": text, "text/html": f"<div>{bar}{html.escape(text)}</div>"},
            raw=True, display_id=self._id, update=self._is_there,
        )  # fmt: skip
        self._is_there = True


class _Log:
    """Lines, for who reads them later."""

    def write(self, text: str, part: float | None) -> None:
        percent = f" ({part:.0%})" if part is not None else ""
        errors = _Errors()
        errors.write(f"{text}{percent}\n")
        errors.flush()


class _Errors:
    """Standard error, as it is now: none in a service, or closed, which must not stop what goes on."""

    def write(self, text: str) -> None:
        with suppress(*_NOBODY):
            try:
                sys.stderr.write(text)
            except UnicodeEncodeError:
                sys.stderr.write(text.encode("ascii", "backslashreplace").decode())

    def flush(self) -> None:
        with suppress(*_NOBODY):
            sys.stderr.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)

    def __eq__(self, other: object) -> bool:
        return other is sys.stderr  # tqdm asks how wide the terminal is of standard error alone

    def __hash__(self) -> int:
        return hash(sys.stderr)


def _bar(what: str, unit: str, *, asked: bool) -> Iterator[Callable[[int, int | None], None]]:
    from tqdm.std import tqdm

    is_bytes = unit == _BYTES
    bar: Any = tqdm(
        desc=what, unit=unit if is_bytes else f" {unit}", unit_scale=is_bytes, unit_divisor=1024 if is_bytes else 1000,
        leave=False, delay=0 if asked else PATIENCE, file=_Errors(),
    )  # fmt: skip

    began = time.monotonic()

    def tick() -> None:
        if asked or time.monotonic() - began >= PATIENCE:
            bar.refresh()
            bar.last_print_t = time.time()  # or the line would stay there, as if it had never been

    def report(done: int, total: int | None) -> None:
        bar.total = total
        bar.update(done - bar.n)

    with bar, _ticking(tick):
        yield report


def amount(count: int, unit: str) -> str:
    """So many, for people: ``3.2 MB``, ``1,200 versions``."""
    if unit != _BYTES:
        return f"{count:,} {unit}"
    size = float(count)
    for prefix in ("", "k", "M", "G"):
        if size < 1000:
            return f"{size:.1f} {prefix}B" if prefix else f"{count} B"
        size /= 1000
    return f"{size:.1f} TB"


def _is_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except _NOBODY:
        return False


def _notebook() -> Callable[..., object] | None:
    """What displays in the notebook that this runs in, if it runs in one. IPython is not imported for that."""
    python = sys.modules.get("IPython")
    shell = python.get_ipython() if python is not None and hasattr(python, "get_ipython") else None
    if getattr(shell, "kernel", None) is None:
        return None
    return _displayed


def _displayed(data: dict[str, str], *, update: bool, **how: Any) -> None:
    from IPython.display import display, update_display

    (update_display if update else display)(data, **how)
