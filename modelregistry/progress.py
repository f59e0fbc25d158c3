"""What `progress=` may be, and who is told: an fsspec callback, a bar, or nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

from modelregistry.errors import InvalidInputError

Report = Callable[[int, int | None], None]
"""Called with (bytes done, bytes in all or None) while bytes move."""

_PATIENCE = 1.0
"""Seconds before a bar that nobody asked for shows: what is done sooner needs none."""


@runtime_checkable
class Callback(Protocol):
    """The part of ``fsspec.callbacks.Callback`` that is used: any of fsspec's own will do."""

    def set_size(self, size: int) -> object:
        """Bytes in all."""

    def absolute_update(self, value: int) -> object:
        """Bytes done."""


Progress = Callback | bool | None
"""What ``progress=`` takes: a callback of fsspec; True for a bar, False for none; None for a bar where somebody looks
(a terminal, a notebook) and it takes longer than a second."""


def check_progress(progress: object) -> None:
    """Refuse what can't be told, before anything moves.

    Raises:
        InvalidInputError: It is no callback.
    """
    if not isinstance(progress, bool | None | Callback):
        raise InvalidInputError(
            f"progress={progress!r} is neither True, False, None nor a callback of fsspec "
            "(fsspec.callbacks.TqdmCallback(), for one)"
        )


@contextmanager
def reported(progress: Progress, what: str) -> Iterator[Report]:
    """What to call while the bytes of ``what`` move."""
    if progress is False:
        yield lambda _done, _total: None
    elif progress is True or progress is None:
        yield from _bar(what, asked=progress is True)
    else:
        yield _telling(progress)


class Together:
    """One progress for several that go on at once, in threads.

    Args:
        report: Who is told of all of them.
        sizes: Bytes of each, where they are known.
    """

    def __init__(self, report: Report, sizes: Sequence[int | None]) -> None:
        self._report = report
        self._sizes = [*sizes]
        self._done = [0] * len(sizes)
        self._lock = threading.Lock()

    def part(self, number: int) -> Callback:
        """What is to be told of one of them."""
        return _Part(self, number)

    def tell(self, number: int, done: int) -> None:
        """So many bytes of one are done."""
        with self._lock:
            self._done[number] = max(done, self._done[number])
            known = [size for size in self._sizes if size is not None]
            self._report(sum(self._done), sum(known) if len(known) == len(self._sizes) else None)

    def finish(self, number: int, size: int) -> None:
        """One of so many bytes is done, though it may have been here already."""
        self._sizes[number] = size
        self.tell(number, size)


class _Part:
    def __init__(self, whole: Together, number: int) -> None:
        self._whole = whole
        self._number = number

    def set_size(self, size: int) -> None:
        """It is known already."""

    def absolute_update(self, value: int) -> None:
        self._whole.tell(self._number, value)


def _telling(callback: Callback) -> Report:
    known: list[int | None] = [None]

    def report(done: int, total: int | None) -> None:
        if total is not None and known[0] != total:
            known[0] = total
            callback.set_size(total)
        callback.absolute_update(done)

    return report


def _bar(what: str, *, asked: bool) -> Iterator[Report]:
    from tqdm.auto import tqdm

    # disable=None: not where standard error is no terminal; a notebook's bar does not ask.
    bar: Any = tqdm(
        desc=what, unit="B", unit_scale=True, unit_divisor=1024, leave=False,
        disable=False if asked else None, delay=0 if asked else _PATIENCE,
    )  # fmt: skip

    def report(done: int, total: int | None) -> None:
        bar.total = total
        bar.update(done - bar.n)

    with bar:
        yield report
