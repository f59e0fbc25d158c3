"""One row of the table: two medians, taken in turn, and the budget they are held to."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Action = Callable[[], object]


@dataclass(frozen=True)
class Budget:
    """The most that a row may cost: a multiple of the peer, seconds beyond the peer, or seconds."""

    most: float
    of: Literal["times", "beyond", "seconds"] = "times"

    def __str__(self) -> str:
        match self.of:
            case "times":
                return f"≤ {self.most:g} times"
            case "beyond":
                return f"≤ peer + {seconds(self.most)}"
        return f"≤ {seconds(self.most)}"


@dataclass(frozen=True)
class Row:
    """What was measured, what it is compared with, and the two medians in seconds."""

    what: str
    ours: float
    peer_is: str = ""
    peer: float | None = None
    budget: Budget | None = None

    @property
    def judged(self) -> float:
        """What the budget limits."""
        if self.budget is None or self.budget.of == "seconds":
            return self.ours
        assert self.peer is not None
        return self.ours / self.peer if self.budget.of == "times" else self.ours - self.peer

    def breaks_budget(self, *, slack: float = 1.0) -> bool:
        """Whether more than ``slack`` times the budget was needed."""
        return self.budget is not None and self.judged > slack * self.budget.most

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        ratio = f"{self.ours / self.peer:.2g}" if self.peer else ""
        verdict = "" if self.budget is None else "**no**" if self.breaks_budget() else "yes"
        peer = seconds(self.peer) if self.peer is not None else ""
        return self.what, seconds(self.ours), self.peer_is, peer, ratio, str(self.budget or ""), verdict


HEAD = ("what", "ours", "compared with", "peer", "ratio", "budget", "kept")


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [HEAD, ("---", "---:", "---", "---:", "---:", "---", "---"), *(row.cells for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def seconds(value: float) -> str:
    """A time for people: three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e6:.3g} µs"


def timed(action: Action) -> float:
    """The seconds that one call takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def in_turn(repeats: int, *actions: Action) -> list[float]:
    """The median seconds of each action, called in turn so that a noisy moment meets all of them.

    One round before is not counted: it fills the caches of the file system and of Python.
    """
    rounds = [[timed(action) for action in actions] for _ in range(repeats + 1)][1:]
    return [statistics.median(times) for times in zip(*rounds, strict=True)]
