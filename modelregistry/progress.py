"""What `progress=` may be, and who is told: a function, an fsspec callback, a bar, or nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar, runtime_checkable

from modelregistry.display.progressview import shown
from modelregistry.errors import InvalidInputError

Item = TypeVar("Item")
Report = Callable[[int, int | None], None]
"""Called with what is done and what there is in all, or None: bytes, or what else is counted."""


@runtime_checkable
class Callback(Protocol):
    """The part of ``fsspec.callbacks.Callback`` that is used: any of fsspec's own will do."""

    def set_size(self, size: int) -> object:
        """Bytes in all."""

    def absolute_update(self, value: int) -> object:
        """Bytes done."""


Progress = Callback | Callable[[int, int | None], object] | bool | None
"""What ``progress=`` takes: a function that is called with what is done and what there is in all (or None where nobody
knows); a callback of fsspec; True for a bar, False for none; None for a bar where somebody looks (a terminal, a notebook)
and it takes longer than a second. In a log True gives a line now and then, and None nothing."""


def check_progress(progress: object) -> None:
    """Refuse what can't be told, before anything moves.

    Raises:
        InvalidInputError: It is no callback.
    """
    is_told = isinstance(progress, Callback) or callable(progress)
    if isinstance(progress, type) or not (progress is None or isinstance(progress, bool) or is_told):
        raise InvalidInputError(
            f"progress={progress!r} is neither True, False, None, a function of what is done and what there is in all, nor a "
            "callback of fsspec (fsspec.callbacks.TqdmCallback(), for one)"
        )


@contextmanager
def reported(progress: Progress, what: str, unit: str = "B") -> Iterator[Report]:
    """What to call while ``what`` goes on, with how many of ``unit`` (bytes, else a word) are done and there in all."""
    if progress is False:
        yield lambda _done, _total: None
    elif progress is True or progress is None:
        with shown(what, unit, asked=progress is True) as report:
            yield report
    elif isinstance(progress, Callback):
        yield _telling(progress)
    else:
        yield _calling(progress)


def counted(items: Sequence[Item], progress: Progress, what: str, unit: str) -> Iterator[Item]:
    """The items, one by one, while it is told how many are done."""
    with reported(progress, what, unit) as report:
        for done, item in enumerate(items):
            report(done, len(items))
            yield item
        report(len(items), len(items))


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
        self._is_stopped = False

    def part(self, number: int) -> Callback:
        """What is to be told of one of them."""
        return _Part(self, number)

    def stop(self) -> None:
        """Whoever tells something from now on gets an error: nobody waits for it any more."""
        self._is_stopped = True

    def tell(self, number: int, done: int) -> None:
        """So many bytes of one are done."""
        if self._is_stopped:
            raise InterruptedError("nobody waits for it any more")
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


def _calling(function: Callable[[int, int | None], object]) -> Report:
    def report(done: int, total: int | None) -> None:
        function(done, total)

    return report


def _telling(callback: Callback) -> Report:
    known: list[int | None] = [None]

    def report(done: int, total: int | None) -> None:
        if total is not None and known[0] != total:
            known[0] = total
            callback.set_size(total)
        callback.absolute_update(done)

    return report
