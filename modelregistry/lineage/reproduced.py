"""What came of making a version again: a verdict for each output, by pure comparison."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue

from modelregistry.display.shown import Shown
from modelregistry.display.tables import Rows, Tabular
from modelregistry.display.view import Listing, Look, Note, View
from modelregistry.display.words import clean
from modelregistry.errors import InvalidInputError
from modelregistry.lineage.node import Node, flat

Verdict = Literal["identical", "within tolerance", "different", "missing"]


@dataclass(frozen=True, slots=True, repr=False)
class Compared(Shown):
    """One output of the pipeline: as recorded, and as made again."""

    path: str
    kind: str
    """As in the lineage: ``model``, ``artifact``, ``metrics``, ``plots``."""
    verdict: Verdict
    recorded: str | None
    """Its digest, algorithm first."""
    made: str | None
    note: str = ""
    """Of metrics: which values differ."""


@dataclass(frozen=True, slots=True, repr=False)
class Reproduction(Tabular):
    """What came of making a version again."""

    reference: str
    outputs: Rows[Compared]
    """A verdict for each output of the steps, the model first."""
    seconds: float
    log: str = field(repr=False)
    """The end of what the pipeline printed."""

    @property
    def identical(self) -> bool:
        """Whether every output is, bit for bit."""
        return all(output.verdict == "identical" for output in self.outputs)

    def __bool__(self) -> bool:
        """Whether every output is identical, or within the tolerance."""
        return all(output.verdict in ("identical", "within tolerance") for output in self.outputs)

    @property
    def rows(self) -> Rows[Compared]:
        """The verdicts."""
        return self.outputs

    def _line(self) -> str:
        return f"Reproduction({self._said!r}, {len(self.outputs)} outputs, seconds={self.seconds:.1f})"

    def __str__(self) -> str:
        return f"{clean(self._said)}\n{self.outputs}"

    def _view(self) -> View:
        log = [Listing("What the pipeline printed last", self.log, folded=True)] if self.log else []
        look: Look = "good" if self else "bad"
        return View("Reproduction", blocks=[Note(self._said, look), self.outputs._table(), *log])

    @property
    def _said(self) -> str:
        how = (
            "was made again, bit for bit"
            if self.identical
            else "was made again"
            if self
            else "was not made again"
        )
        return f"{self.reference} {how}"


COLUMNS: Mapping[str, Callable[[Compared], object]] = {
    "output": lambda row: row.path,
    "verdict": lambda row: row.verdict,
    "recorded": lambda row: row.recorded,
    "made": lambda row: row.made,
    "note": lambda row: row.note,
}


def check_tolerance(tolerance: float | Mapping[str, float]) -> None:
    """Refuse what is no distance.

    Raises:
        InvalidInputError: It is none.
    """
    values = tolerance.values() if isinstance(tolerance, Mapping) else [tolerance]
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            raise InvalidInputError(f"tolerance={tolerance!r}: a distance is a number that is not negative")


def compare(
    node: Node,
    made: str | None,
    read: Callable[[str], Mapping[str, JsonValue]],
    tolerance: float | Mapping[str, float],
) -> Compared:
    """The verdict on one output.

    Args:
        node: It, in the lineage.
        made: The digest of what was made again, as DVC writes it; None where there is nothing.
        read: Gives the values of a metrics file that was made again.
        tolerance: How far a metric may be from what was recorded.
    """
    path = str(node.path)
    address = node.values.get("address") if node.kind == "model" else node.digest
    recorded = address if isinstance(address, str) else node.digest
    if made is None:
        return Compared(path, node.kind, "missing", recorded, None)
    if made == recorded:
        return Compared(path, node.kind, "identical", recorded, made)
    if node.kind == "metrics" and node.values:
        odd = _odd_values(node.values, read(path), tolerance)
        verdict: Verdict = "different" if odd else "within tolerance"
        return Compared(path, node.kind, verdict, recorded, made, "; ".join(odd))
    return Compared(path, node.kind, "different", recorded, made)


def _odd_values(
    before: Mapping[str, JsonValue], after: Mapping[str, JsonValue], tolerance: float | Mapping[str, float]
) -> list[str]:
    """The metrics that are further from what they were than they may be."""
    old, new = dict(flat(before)), dict(flat(after))
    return [
        f"{key}: {old.get(key)!r}, now {new.get(key)!r}"
        for key in dict.fromkeys([*old, *new])
        if not _near(old.get(key), new.get(key), _allowed(key, tolerance))
    ]


def _allowed(key: str, tolerance: float | Mapping[str, float]) -> float:
    if not isinstance(tolerance, Mapping):
        return tolerance
    fitting = [name for name in tolerance if key == name or key.endswith(f".{name}")]
    return tolerance[max(fitting, key=len)] if fitting else 0.0


def _near(one: JsonValue, other: JsonValue, distance: float) -> bool:
    numbers = isinstance(one, int | float) and isinstance(other, int | float)
    if numbers and not isinstance(one, bool) and not isinstance(other, bool):
        return one == other or math.isclose(one, other, rel_tol=0.0, abs_tol=distance)  # type: ignore[arg-type]
    return one == other
