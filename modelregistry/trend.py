"""A metric of one model across its versions: a frozen value with a table and a picture."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from modelregistry.display import chart
from modelregistry.display.shown import Shown
from modelregistry.display.tables import Rows, Tabular
from modelregistry.display.view import Note, View
from modelregistry.display.words import clean, count
from modelregistry.search.search import is_number
from modelregistry.version import ModelVersion


@dataclass(frozen=True, slots=True, repr=False)
class Measure(Shown):
    """The metric of one version."""

    version: str
    value: float
    created_at: datetime
    stages: tuple[str, ...]
    """The stages it holds."""
    author: str
    message: str


TREND_COLUMNS: Mapping[str, Callable[[Measure], object]] = {
    "version": lambda row: row.version,
    "value": lambda row: row.value,
    "stages": lambda row: row.stages,
    "created_at": lambda row: row.created_at,
    "author": lambda row: row.author,
}


def trend(model: str, metric: str, values: Iterable[tuple[ModelVersion, object]]) -> Trend:
    """The trend of what each version of a model has for a metric, the oldest first; what is no number is left out."""
    points, without = [], []
    for version, value in values:
        if is_number(value):
            points.append(
                Measure(
                    version.version, float(value), version.created_at, version.stages, version.author, version.message  # type: ignore[arg-type]
                )
            )  # fmt: skip
        else:
            without.append(version.version)
    return Trend(model, metric, tuple(points), tuple(without))


@dataclass(frozen=True, slots=True, repr=False)
class Trend(Tabular):
    """What ``trend`` answers: a metric across the versions of a model, the oldest first.

    Its text is a table; a notebook draws it, with Vega-Lite where it can, else as SVG.
    """

    model: str
    metric: str
    """The field, such as ``metrics.auc``."""
    points: tuple[Measure, ...]
    without: tuple[str, ...] = ()
    """The versions that have no number there."""

    @property
    def rows(self) -> Rows[Measure]:
        """The table."""
        return Rows(self.points, TREND_COLUMNS)

    @property
    def title(self) -> str:
        """What it shows."""
        return f"{self.metric} of {self.model}"

    @property
    def note(self) -> str:
        """What is not in it."""
        if not self.without:
            return ""
        more = len(self.without) - 3
        return f"no number there: {', '.join(self.without[:3])}" + (f" and {more} more" if more > 0 else "")

    def __len__(self) -> int:
        return len(self.points)

    def _line(self) -> str:
        return f"Trend({self.model!r}, {self.metric!r}, {count(len(self.points), 'version')})"

    def __str__(self) -> str:
        return "\n".join(
            filter(
                None, (clean(self.title), "", str(self.rows), f"({clean(self.note)})" if self.note else "")
            )
        )

    def to_vega_lite(self) -> dict[str, Any]:
        """A specification of Vega-Lite 5, with the data in it."""
        return chart.to_vega_lite(self._drawn(), title=self.title, note=self.note, axis=self.metric)

    def to_svg(self) -> str:
        """An SVG document, for a page or a file."""
        return chart.to_svg(self._drawn(), title=self.title, note=self.note)

    def _drawn(self) -> list[chart.Point]:
        return [
            chart.Point(
                point.version, point.value, point.stages,
                {"registered": f"{point.created_at:%Y-%m-%d %H:%M}", "by": point.author},
            )
            for point in self.points
        ]  # fmt: skip

    def _view(self) -> View:
        notes = [Note(self.note)] if self.note else []
        return View(self.title, blocks=[self.rows._table(), *notes])

    _repr_html_ = None  # type: ignore[assignment]  # notebooks would take it before the drawing

    def _repr_mimebundle_(
        self, include: Container[str] | None = None, exclude: Container[str] | None = None
    ) -> dict[str, Any]:
        bundle = {
            "application/vnd.vegalite.v5+json": self.to_vega_lite,
            "image/svg+xml": self.to_svg,
            "text/plain": self.__str__,
        }
        return {
            kind: made()
            for kind, made in bundle.items()
            if (include is None or kind in include) and (exclude is None or kind not in exclude)
        }
