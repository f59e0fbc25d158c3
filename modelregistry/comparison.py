"""Two versions side by side, and whether one can stand in for the other."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import JsonValue

from modelregistry.display.fields import dressed
from modelregistry.display.shown import Shown
from modelregistry.display.tables import MOST_ROWS, Rows, Tabular, more_than
from modelregistry.display.view import Badge, Code, Look, Note, Size, Table, View
from modelregistry.display.words import clean, count, shortened, text_of
from modelregistry.lineage.node import Node, flat
from modelregistry.log.history import History
from modelregistry.metadata.evaluation import Metric, better, is_number, known_metrics
from modelregistry.metadata.signature import Column, ModelSignature, incompatibilities
from modelregistry.version import ModelVersion, said_of

if TYPE_CHECKING:
    from modelregistry.lineage.lineage import Lineage

_GROUPS = {
    "metrics": "metrics", "params": "params", "data": "data", "code": "code", "steps": "steps", "inputs": "signature",
    "outputs": "signature", "environment": "environment", "size": "size",
}  # fmt: skip
"""What the verdict says of lines that differ, by what their names begin with."""
_INGREDIENTS = {"dataset": "data", "model": "data", "code": "code", "step": "steps"}
"""The kinds of nodes of a lineage that have a line, and what its name begins with."""
_MEASURED_ON = "metadata.evaluated.digest"
"""The line of the data on which ``evaluate`` measured last."""
_LOOKS: Mapping[str, Look] = {"incompatible": "bad", "nobody can tell": "warn"}
_MOST_NAMED = 3
_LONGEST_NAME = 60
_LONGEST_REASON = 160
WIDEST = 40
"""Characters of a cell in a terminal, where two versions are to stand side by side."""


@dataclass(frozen=True, slots=True, repr=False)
class Recorded(Shown):
    """What was recorded where a version was made."""

    metrics: Mapping[str, JsonValue] = field(default_factory=dict, hash=False)
    """By keys with dots, as are the parameters."""
    params: Mapping[str, JsonValue] = field(default_factory=dict, hash=False)
    lineage: Lineage | None = None
    """None where it can't be told."""


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
        """Whether they say other things; ``1`` and ``true`` are not the same."""
        return self.base != self.candidate or isinstance(self.base, bool) != isinstance(self.candidate, bool)


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
        """The answer in one line: whether the candidate can stand in, which metrics are better, and what else is different."""
        return clean("; ".join([self._standing, *_summed_up(self.differences, self._untold)]))

    @property
    def summary(self) -> str:
        """The verdict in a few words, where it is known what the candidate is held against."""
        found = "; ".join(_summed_up(self.differences, self._untold))
        return f"{self.candidate.reference} {self._answer}" + (f" ({found})" if found else "")

    @property
    def _untold(self) -> Container[str]:
        """What one of the two does not tell, so that nobody knows whether it is different."""
        return {
            what
            for each in (self.base, self.candidate)
            for what, said in (
                ("size", each.size), ("signature", each.signature), ("environment", each.metadata.get("environment")),
            )
            if said is None
        }  # fmt: skip

    @property
    def _answer(self) -> str:
        """How the verdict begins."""
        if self.incompatibilities:
            return "incompatible"
        if self.base.digest is not None and self.base.digest == self.candidate.digest:
            return "the same bytes"
        return "compatible" if self.base.signature and self.candidate.signature else "nobody can tell"

    @property
    def _standing(self) -> str:
        """Whether the candidate can stand in."""
        one, other = self.candidate.reference, self.base.reference
        match answer := self._answer:
            case "incompatible":
                return f"{answer}: {one} can't stand in for {other}: {_listed(self.incompatibilities)}"
            case "the same bytes":
                return f"{answer}: {one} and {other}"
            case "compatible":
                return f"{answer}: {one} can stand in for {other}, as far as their signatures tell"
        unknown = self.base if self.base.signature is None else self.candidate
        return (
            f"{answer} whether {one} can stand in for {other}: no signature of {unknown.reference} is known"
        )

    @property
    def differences(self) -> Rows[Difference]:
        """The lines that differ."""
        return Rows((row for row in self.rows if row.differs), COMPARISON_COLUMNS, widest=WIDEST)

    def _line(self) -> str:
        told = f"{self.base.reference!r}, {self.candidate.reference!r}, {count(len(self.differences), 'difference')}"
        return f"Comparison({told}: {self._answer})"

    def __str__(self) -> str:
        from modelregistry.display.terminal import text

        return text(View(blocks=self._view().blocks), widest=WIDEST)

    def _view(self) -> View:
        columns = ("what", self.base.reference, self.candidate.reference, "change")
        said = [row for row in self.rows if row.base not in (None, ()) or row.candidate not in (None, ())]
        if len(said) > MOST_ROWS:
            said.sort(key=lambda row: not row.differs)
        lines = [(row.what, *shown_values(row), _judged(row)) for row in said[:MOST_ROWS]]
        left_out = [*more_than(said)]
        if more := sum(row.differs for row in said[MOST_ROWS:]):
            left_out = [f"{each}, {more:,} of which differ" for each in left_out]
        note = Note(self.verdict, _LOOKS.get(self._answer, "good"))
        return View("Comparison", blocks=[note, Table(columns, lines, left_out)])


def shown_values(row: Difference) -> tuple[object, object]:
    """The two as they are shown; in full, where they would look alike and are not."""
    one, other = _dressed(row.what, row.base), _dressed(row.what, row.candidate)
    if not row.differs or row.base is None or row.candidate is None or text_of(one) != text_of(other):
        return one, other
    if isinstance(one, Size) and isinstance(other, Size):
        return f"{one.size:,} bytes", f"{other.size:,} bytes"
    return repr(row.base), repr(row.candidate)


def _dressed(what: str, value: object) -> object:
    """The value as it is shown: of data and code, a digest."""
    is_digest = what.startswith(("data.", "code."))
    return Code(value) if is_digest and isinstance(value, str) else dressed(what, value)


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
    recorded: tuple[Recorded, Recorded] = (Recorded(), Recorded()),
    *,
    metrics: Mapping[str, Metric] | None = None,
) -> Comparison:
    """The two side by side.

    Args:
        base: A version.
        candidate: Another one.
        recorded: What was recorded of each.
        metrics: What is known of metrics, where the versions do not say it.
    """
    reasons: tuple[str, ...] = ()
    if base.signature is not None and candidate.signature is not None:
        reasons = tuple(incompatibilities(base.signature, candidate.signature))
    lines = _lines(
        base, candidate, recorded, {**(metrics or {}), **known_metrics(base.metadata, candidate.metadata)}
    )
    return Comparison(base, candidate, Rows(lines, COMPARISON_COLUMNS, widest=WIDEST), reasons)


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
        f"{one} can't stand in for {other}, which held {stage!r}: {_listed(reasons)}; "
        f'registry.compare("{other}", "{one}") shows both'
    )


def _lines(
    base: ModelVersion, candidate: ModelVersion, recorded: tuple[Recorded, Recorded], known: Mapping[str, Metric]
) -> Iterator[Difference]:  # fmt: skip
    for name in ("name", "version", "state", "created_at", "author", "rev", "digest", "size"):
        yield Difference(name, getattr(base, name), getattr(candidate, name))
    for name in ("inputs", "outputs"):
        yield Difference(
            name, _words(getattr(base.signature, name, ())), _words(getattr(candidate.signature, name, ()))
        )
    both = [*zip((base, candidate), recorded, strict=True)]
    metrics = [{**found.metrics, **said_of(each, "metrics")} for each, found in both]
    yield from _beside("metrics.", *metrics, known=known)
    yield from _beside("params.", *({**found.params, **said_of(each, "params")} for each, found in both))
    before, after = (each.lineage for each in recorded)
    if before is not None and after is not None:  # what can't be told of one is no difference
        one, other = _ingredients(before, after), _ingredients(after, before)
        for begin in dict.fromkeys(_INGREDIENTS.values()):
            yield from _beside(f"{begin}.", one[begin], other[begin])
    yield from _beside("", *(_environment(each.metadata) for each in (base, candidate)))
    yield from _beside("metadata.", *(dict(flat(_described(each.metadata))) for each in (base, candidate)))


def _beside(
    begin: str, one: Mapping[str, object], other: Mapping[str, object], *, known: Mapping[str, Metric] | None = None
) -> Iterator[Difference]:  # fmt: skip
    for name in sorted(one.keys() | other.keys()):
        before, after = one.get(name), other.get(name)
        is_better = None
        if known and name in known and is_number(before) and is_number(after):
            is_better = better(known[name].direction, before, after)  # type: ignore[arg-type]
        yield Difference(f"{begin}{name}", before, after, is_better)


def _environment(metadata: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    return dict(flat({name: value for name, value in metadata.items() if name == "environment"}))


def _described(metadata: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """The metadata that has no lines of its own above."""
    elsewhere = {"environment", "signature"}
    elsewhere |= {name for name in ("metrics", "params") if isinstance(metadata.get(name), dict)}
    return {name: value for name, value in metadata.items() if name not in elsewhere}


def _ingredients(lineage: Lineage, beside: Lineage) -> Mapping[str, Mapping[str, object]]:
    """What a model was made from and with, as far as the same could be told of another: by kind, then by name, what it was."""
    found: dict[str, dict[str, object]] = {begin: {} for begin in _INGREDIENTS.values()}
    is_hidden = any(node.status == "unreachable" for node in beside)
    for node in lineage:
        if is_hidden and node not in beside and node.repository is not None:
            continue
        begin = _begin_of(node)
        if begin is not None and node is not lineage.subject:
            of_kind = found[begin]
            is_plain = lineage.is_own(node) and node.name not in of_kind
            of_kind[node.name if is_plain else node.id.partition(":")[2]] = _content(node)
    return found


def _begin_of(node: Node) -> str | None:
    """What the name of its line begins with; None where it has none."""
    if node.declared and node.kind in ("source", "repository"):
        return "data"  # of what somebody declared, nothing else stands for it
    return _INGREDIENTS.get(node.kind)


def _content(node: Node) -> object:
    """What is other where the same thing has other bytes or values."""
    if node.kind == "step":
        return node.values.get("cmd", node.status)
    rev = node.rev if node.declared and node.repository is not None else None
    return node.digest or node.version or dict(node.values) or rev or node.note or node.status


def _summed_up(differences: Iterable[Difference], untold: Container[str]) -> Iterator[str]:
    """Which metrics are better or worse, and what else is different, in a few words."""
    judged: dict[str, list[str]] = {"better": [], "worse": []}
    others = set()
    is_other_data = False
    for row in differences:
        is_other_data |= row.what == _MEASURED_ON and None not in (row.base, row.candidate)
        begin, _, name = row.what.partition(".")
        if row.better is not None:
            judged["better" if row.better else "worse"].append(clean(shortened(name, _LONGEST_NAME)))
        else:
            others.add(_GROUPS.get(begin))
    for verdict, names in judged.items():
        if names:
            yield f"{verdict}: {_few(names)}"
    if any(judged.values()) and is_other_data:
        yield "measured on other data"
    different = [each for each in dict.fromkeys(_GROUPS.values()) if each in others and each not in untold]
    if different:
        yield f"different: {', '.join(different)}"


def _few(names: Sequence[str], between: str = ", ") -> str:
    more = len(names) - _MOST_NAMED
    return between.join(names[:_MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _listed(reasons: Iterable[str]) -> str:
    return _few([shortened(clean(each), _LONGEST_REASON) for each in reasons], "; ")


def _words(columns: tuple[Column, ...]) -> tuple[str, ...]:
    return tuple(
        " ".join(str(part) for part in (column.name, column.type, column.shape) if part is not None)
        or "(any)"
        for column in columns
    )
