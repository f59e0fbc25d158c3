"""Several candidates beside one version: a comparison of each with it, in one table and one verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from modelregistry.comparison import WIDEST, Comparison, Difference, shown_values
from modelregistry.display.shown import Shown
from modelregistry.display.tables import MOST_ROWS, Rows, Tabular, more_than
from modelregistry.display.view import Badge, Note, Table, View
from modelregistry.display.words import text_of
from modelregistry.version import ModelVersion


@dataclass(frozen=True, slots=True, repr=False)
class Beside(Shown):
    """One line: what is compared, and what each of them says; None where it says nothing."""

    what: str
    base: object
    candidates: tuple[object, ...]
    better: tuple[bool | None, ...]
    """Of each candidate, whether its metric is better than that of the base, as a ``Difference`` has it."""
    differs: bool
    """Whether a candidate says another thing than the base."""


@dataclass(frozen=True, slots=True, repr=False)
class Comparisons(Tabular):
    """What ``compare`` answers for several candidates: a sequence of comparisons, each of one candidate with the base.

    Its text and its notebook view are the verdict and one table.
    """

    base: ModelVersion
    comparisons: tuple[Comparison, ...]

    def __len__(self) -> int:
        return len(self.comparisons)

    def __iter__(self) -> Iterator[Comparison]:
        return iter(self.comparisons)

    def __getitem__(self, index: int) -> Comparison:
        return self.comparisons[index]

    @property
    def verdict(self) -> str:
        """The answer in one line: how each candidate does beside the base."""
        return f"beside {self.base.reference}: {' | '.join(each.summary for each in self)}"

    @property
    def rows(self) -> Rows[Beside]:
        """A line for each fact of any of them."""
        return Rows(self._lines(), self._columns, widest=WIDEST)

    @property
    def differences(self) -> Rows[Beside]:
        """The lines in which a candidate differs from the base."""
        return Rows((row for row in self._lines() if row.differs), self._columns, widest=WIDEST)

    @property
    def _columns(self) -> Mapping[str, Callable[[Beside], object]]:
        found: dict[str, Callable[[Beside], object]] = {
            "what": lambda row: row.what,
            self.base.reference: lambda row: row.base,
        }
        for number, each in enumerate(self):
            found[each.candidate.reference] = partial(_said_by, number)
        return {**found, "differs": lambda row: row.differs, "better": lambda row: row.better}

    def _lines(self) -> Iterator[Beside]:
        told = [{row.what: row for row in each.rows} for each in self]
        groups = list(dict.fromkeys(what.partition(".")[0] for lines in told for what in lines))
        for what in sorted(
            {what for lines in told for what in lines},
            key=lambda what: (groups.index(what.partition(".")[0]), what),
        ):
            rows = [lines.get(what, Difference(what, None, None)) for lines in told]
            yield Beside(
                what, next((row.base for row in rows if row.base is not None), None),
                tuple(row.candidate for row in rows), tuple(row.better for row in rows), any(row.differs for row in rows),
            )  # fmt: skip

    def _line(self) -> str:
        names = ", ".join(repr(each.reference) for each in (self.base, *(one.candidate for one in self)))
        return f"Comparisons({names})"

    def __str__(self) -> str:
        from modelregistry.display.terminal import text

        return text(View(blocks=self._view().blocks), widest=WIDEST)

    def _view(self) -> View:
        said = [
            row
            for row in self._lines()
            if any(each not in (None, ()) for each in (row.base, *row.candidates))
        ]
        if len(said) > MOST_ROWS:
            said.sort(key=lambda row: not row.differs)
        columns = ("what", self.base.reference, *(each.candidate.reference for each in self), "change")
        table = Table(columns, [[*_cells(row)] for row in said[:MOST_ROWS]], more_than(said))
        return View("Comparisons", blocks=[Note(self.verdict), table])


def _said_by(number: int, row: Beside) -> object:
    return row.candidates[number]


def _cells(row: Beside) -> Iterator[object]:
    """What is shown of a line, where it is said of each candidate whether it is better."""
    pairs = [shown_values(Difference(row.what, row.base, each)) for each in row.candidates]
    yield row.what
    yield pairs[0][0]
    for (_, told), verdict in zip(pairs, row.better, strict=True):
        yield told if verdict is None else f"{text_of(told)} ({'better' if verdict else 'worse'})"
    yield Badge("differs") if row.differs else None
