"""One row of the table: two medians, taken in turn, and the budget they are held to."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

HEAD = {
    "what": "---", "ours": "---:", "compared with": "---", "peer": "---:", "ratio": "---:", "budget": "---",
    "kept": "---",
}  # fmt: skip
"""The columns, and to which side their cells stand."""


class Tabular(Protocol):
    """What can be a row of a table."""

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table."""


@dataclass(frozen=True)
class Row:
    """What was measured, and the two medians in seconds."""

    what: str
    ours: float
    peer_is: str = ""
    peer: float | None = None
    times: float | None = None
    """The budget, as a multiple of the peer; or ..."""
    most: float | None = None
    """... as seconds, beyond the peer's where there is one."""

    @property
    def excess(self) -> float:
        """How much of its budget the row needs: 1 is all of it."""
        if self.times is not None and self.peer is not None:
            return self.ours / self.peer / self.times
        return (self.ours - (self.peer or 0)) / self.most if self.most is not None else 0

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        budget = f"≤ {self.times:.3g} times" if self.times is not None else ""
        if self.most is not None:
            budget = f"≤ {'peer + ' if self.peer else ''}{words(self.most)}"
        ratio = f"{self.ours / self.peer:.2g}" if self.peer else ""
        kept = ("**no**" if self.excess > 1 else "yes") if budget else ""
        return self.what, words(self.ours), self.peer_is, words(self.peer), ratio, budget, kept


def table(rows: Iterable[Tabular], head: Mapping[str, str] = HEAD) -> str:
    """The rows as a Markdown table."""
    lines = [tuple(head), tuple(head.values()), *(row.cells for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def words(seconds: float | None) -> str:
    """A time for people: three digits and a unit."""
    if seconds is None:
        return ""
    size, unit = next(
        ((size, unit) for size, unit in ((1, "s"), (1e-3, "ms")) if seconds >= size), (1e-6, "µs")
    )
    return f"{seconds / size:.3g} {unit}"


def amount(size: int) -> str:
    """A size for people."""
    large, unit = next(
        ((large, unit) for large, unit in ((10**9, "GB"), (10**6, "MB")) if size >= large), (1000, "kB")
    )
    return f"{size / large:.3g} {unit}"


def timed(action: Callable[[], object]) -> float:
    """The seconds that one call takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _timed_alone(action: Callable[[], object]) -> float:
    gc.collect()
    return timed(action)


def in_turn(
    repeats: int, *actions: Callable[[], object], before: Callable[[], object] | None = None
) -> list[float]:
    """The median seconds of each action, called in turn so that a noisy moment meets all of them.

    One round before is not counted: it fills the caches of the file system and of Python. Garbage is collected before each
    action, so that none pays for what the one before it left behind.

    Args:
        repeats: How many rounds count.
        actions: What is measured.
        before: What is done before each round, and is not.
    """
    rounds = []
    for _ in range(repeats + 1):
        if before is not None:
            before()
        rounds.append([_timed_alone(action) for action in actions])
    return [statistics.median(times) for times in zip(*rounds[1:], strict=True)]
