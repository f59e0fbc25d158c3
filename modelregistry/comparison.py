"""Two versions side by side, and whether one can stand in for the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter

from modelregistry.display.fields import dressed
from modelregistry.display.shown import Shown
from modelregistry.display.tables import MOST_ROWS, Rows, Tabular, more_than
from modelregistry.display.view import Badge, Look, Note, Table, View
from modelregistry.display.words import clean
from modelregistry.log.history import History
from modelregistry.metadata.evaluation import Metric, better
from modelregistry.metadata.signature import Column, ModelSignature, incompatibilities
from modelregistry.version import ModelVersion, metrics_of


@dataclass(frozen=True, slots=True, repr=False)
class Difference(Shown):
    """One line of a comparison: what is compared, and what each of the two says; None where it says nothing."""

    what: str
    base: object
    candidate: object
    better: bool | None = None
    """Whether the candidate's metric is the better one; None where they are alike, or nobody said which way is better."""

    @property
    def differs(self) -> bool:
        """Whether they say other things."""
        return self.base != self.candidate


@dataclass(frozen=True, slots=True, repr=False)
class Comparison(Tabular):
    """What ``compare`` answers: a version, the candidate that is held against it, and a line for each fact of theirs.

    Its text and its notebook view are the verdict and a table.
    """

    base: ModelVersion
    candidate: ModelVersion
    rows: Rows[Difference] = field(hash=False)
    incompatibilities: tuple[str, ...]
    """Why the candidate can't stand in where the base is called; nothing if it can, as far as is known."""

    @property
    def verdict(self) -> str:
        """The answer in one line."""
        one, other = self.candidate.reference, self.base.reference
        if self.incompatibilities:
            return f"incompatible: {one} can't stand in for {other}: {'; '.join(self.incompatibilities)}"
        if self.base.digest is not None and self.base.digest == self.candidate.digest:
            return f"the same bytes: {one} and {other}"
        unknown = [each.reference for each in (self.base, self.candidate) if each.signature is None]
        if unknown:
            return f"nobody can tell whether {one} can stand in for {other}: no signature of {unknown[0]} is known"
        return f"compatible: {one} can stand in for {other}, as far as their signatures tell"

    @property
    def differences(self) -> Rows[Difference]:
        """The lines that differ."""
        return Rows((row for row in self.rows if row.differs), COMPARISON_COLUMNS)

    def _line(self) -> str:
        told = f"{self.base.reference!r}, {self.candidate.reference!r}, {len(self.differences)} differences"
        return f"Comparison({told}: {self.verdict.partition(':')[0]})"

    def __str__(self) -> str:
        return f"{clean(self.verdict)}\n\n{self.rows}"

    def _view(self) -> View:
        answer = self.verdict.partition(" ")[0].rstrip(":")
        look: Look = {"incompatible": "bad", "nobody": "warn"}.get(answer, "good")  # type: ignore[assignment]
        columns = ("what", self.base.reference, self.candidate.reference, "change")
        said = [row for row in self.rows if row.base not in (None, ()) or row.candidate not in (None, ())]
        if len(said) > MOST_ROWS:
            said.sort(key=lambda row: not row.differs)
        lines = [
            (row.what, dressed(row.what, row.base), dressed(row.what, row.candidate), _judged(row))
            for row in said[:MOST_ROWS]
        ]
        return View("Comparison", blocks=[Note(self.verdict, look), Table(columns, lines, more_than(said))])


def _judged(row: Difference) -> Badge | None:
    if row.better is not None:
        return Badge("better", "good") if row.better else Badge("worse", "bad")
    return Badge("differs") if row.differs else None


COMPARISON_COLUMNS: Mapping[str, Callable[[Difference], object]] = {
    "what": lambda row: row.what,
    "base": lambda row: row.base,
    "candidate": lambda row: row.candidate,
    "differs": lambda row: row.differs,
    "better": lambda row: row.better,
}


def compare(
    base: ModelVersion,
    candidate: ModelVersion,
    *,
    metrics: Mapping[str, Metric] | None = None,
    recorded: Callable[[ModelVersion], Mapping[str, object]] = lambda _: {},
) -> Comparison:
    """The two side by side.

    Args:
        base: A version.
        candidate: Another one.
        metrics: What is known of metrics, where the versions do not say it.
        recorded: What the pipeline of a version measured.
    """
    reasons: tuple[str, ...] = ()
    if base.signature is not None and candidate.signature is not None:
        reasons = tuple(incompatibilities(base.signature, candidate.signature))
    one, other = (metrics_of(each, recorded(each)) for each in (base, candidate))
    measured = _metrics(one, other, _known(metrics or {}, base, candidate))
    return Comparison(base, candidate, Rows(_lines(base, candidate, measured), COMPARISON_COLUMNS), reasons)


def unfit(history: History, version: str, stage: str) -> str | None:
    """Why the version can't stand in for the one that holds the stage, in one line; None where it can, or nobody knows."""
    if stage in history.stages.shared or not (holders := history.holders(stage)):
        return None
    candidate, known = (
        ModelSignature.from_dict(history.metadata(each).get("signature")) for each in (version, holders[0])
    )
    reasons = incompatibilities(known, candidate) if candidate is not None and known is not None else ()
    if not reasons:
        return None
    one, other = f"{history.model}@{version}", f"{history.model}@{holders[0]}"
    return (
        f"{one} can't stand in for {other}, which held {stage!r}: {'; '.join(reasons)}; "
        f'registry.compare("{other}", "{one}") shows both'
    )


def _lines(
    base: ModelVersion, candidate: ModelVersion, measured: Iterable[Difference]
) -> Iterator[Difference]:
    def line(what: str, say: Callable[[ModelVersion], object]) -> Difference:
        return Difference(what, say(base), say(candidate))

    for name in ("name", "version", "state", "created_at", "author", "rev", "digest", "size"):
        yield line(name, attrgetter(name))
    yield line("inputs", lambda each: _words(each.signature.inputs if each.signature else ()))
    yield line("outputs", lambda each: _words(each.signature.outputs if each.signature else ()))
    yield from measured
    for name in sorted({*base.metadata, *candidate.metadata} - {"signature", "metrics"}):
        yield Difference(name, base.metadata.get(name), candidate.metadata.get(name))


def _known(metrics: Mapping[str, Metric], *versions: ModelVersion) -> Mapping[str, Metric]:
    """What is known of metrics, where what the versions say themselves comes first."""
    for each in versions:
        metrics = {**metrics, **(each.evaluation.metrics if each.evaluation is not None else {})}
    return metrics


def _metrics(
    one: Mapping[str, float], other: Mapping[str, float], metrics: Mapping[str, Metric]
) -> Iterator[Difference]:
    for name in sorted(one.keys() | other.keys()):
        is_better = None
        if name in one and name in other and name in metrics:
            is_better = better(metrics[name].direction, one[name], other[name])
        yield Difference(f"metrics.{name}", one.get(name), other.get(name), is_better)


def _words(columns: tuple[Column, ...]) -> tuple[str, ...]:
    return tuple(
        " ".join(str(part) for part in (column.name, column.type, column.shape) if part is not None)
        or "(any)"
        for column in columns
    )
