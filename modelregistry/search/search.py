"""Finds the versions that a question asks for, and reads no more for that than the question needs."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from pydantic import JsonValue

from modelregistry.collector import paused
from modelregistry.display.tables import Rows
from modelregistry.errors import InvalidInputError, VersionNotFoundError
from modelregistry.lineage.node import flat
from modelregistry.log.history import History
from modelregistry.metadata.evaluation import evaluation_in
from modelregistry.names import version_key
from modelregistry.project.declarations import Declared
from modelregistry.project.measuring import Answer, Kind
from modelregistry.search.clues import Clue, clue_of
from modelregistry.search.fields import COSTS, FIELDS, NOTHING_READ, Cost, Row, reading
from modelregistry.search.matching import MISSING, UNKNOWN, Flat, Several, is_nothing, judging, kind_of
from modelregistry.search.query import Field, VersionText
from modelregistry.search.question import Question, SortKey
from modelregistry.version import ModelVersion

Direction = Literal["max", "min"]
_COLUMNS: Mapping[str, Callable[[ModelVersion], object]] = {
    "name": lambda row: row.name,
    "version": lambda row: row.version,
    "state": lambda row: row.state,
    "created_at": lambda row: row.created_at,
    "author": lambda row: row.author,
}
_BETTER: Mapping[str, Direction] = {"higher": "max", "lower": "min"}
_KINDS: tuple[Kind, ...] = ("metrics", "params")
_SORTED_KINDS = ("number", "time", "version", "text", "flag", "list", "mapping")
_LARGEST = 1.7976931348623157e308
Declarations = Callable[[Sequence[tuple[str, str]]], Sequence[Declared]]
"""What each commit declares of each model, for (commit, model) pairs."""
Measured = Callable[[Sequence[ModelVersion], Kind], Sequence[Answer]]
"""The metrics or parameters of each version."""


class Found(Rows[ModelVersion]):
    """The versions that a search found, with columns for what it spoke of.

    Attributes:
        total: How many there are, with those that ``limit`` left out.
        unread: Versions of which something could not be read, by their references, and why: they may be missing.
    """

    def __init__(
        self,
        versions: Iterable[ModelVersion],
        columns: Mapping[str, Callable[[ModelVersion], Any]],
        *,
        total: int,
        unread: Mapping[str, str],
    ) -> None:
        super().__init__(versions, columns)
        self.total = total
        self.unread = dict(unread)

    def _left_out(self) -> list[str]:
        lines = super()._left_out()
        if self.total > len(self):
            lines.append(f"({self.total - len(self):,} more were found, and are beyond the limit)")
        if self.unread:
            lines.append(f"({len(self.unread):,} versions could not be read whole: see .unread)")
        return lines


class Search:
    """One search.

    Args:
        question: What is asked.
        declared: Tells what each of many commits declares of a model.
        measured: Reads the metrics or parameters of many versions.
    """

    def __init__(self, question: Question, declared: Declarations, measured: Measured) -> None:
        self._question = question
        self._declared = declared
        self._measured = measured
        self._of_name = judging(question.condition, _reading_name)

    @property
    def models(self) -> tuple[str, ...] | None:
        """The only models that can answer; None where that is not told."""
        return self._question.models

    def may_be_in(self, model: str) -> bool:
        """Whether the question can find a version of that model, by its name."""
        return self._of_name(model) is not False

    @property
    def clue(self) -> Clue | None:
        """What the log of a model must hold, or the question finds nothing in it; None where that is not told."""
        return clue_of(self._question.condition)

    def candidates(
        self, history: History, version: Callable[[str], ModelVersion], *, deprecated: bool = False
    ) -> Iterator[Row]:
        """The versions of a model that may be asked for.

        Args:
            history: The model.
            version: Gives a version of it.
            deprecated: Also where the model is.
        """
        if history.deprecated is not None and not (deprecated or self._question.speaks_of("deprecated")):
            return
        latest, withdrawn = history.latest, self._question.is_of_withdrawn
        for name, record in history.versions.items():
            if record.served or withdrawn:
                yield Row(version(name), record.registered.email, is_latest=name == latest)

    def answer(self, candidates: Iterable[Row]) -> Found:
        """What is found among them, in order."""
        with paused():
            return self._answer(list(candidates))

    def _answer(self, rows: Sequence[Row]) -> Found:
        found = self._matching(rows)
        found.sort(key=lambda row: version_key(row.version.version), reverse=True)
        found.sort(key=lambda row: row.version.name)
        keys = self._question.sort
        self._load(found, [key.field for key in keys])
        for key in reversed(keys):
            _sort(found, key)
        shown = found[: self._question.limit]
        columns = self._columns(shown)
        return Found((row.version for row in shown), columns, total=len(found), unread=_unread(rows))

    def values(
        self, candidates: Iterable[Row], field: Field
    ) -> tuple[list[tuple[ModelVersion, object]], Mapping[str, str]]:
        """What a field is of those that the question asks for, the oldest first; None where it is missing.

        And the versions of which something could not be read, as ``Found.unread`` has them.
        """
        rows = list(candidates)
        found = self._matching(rows)
        found.sort(key=lambda row: (row.version.created_at, version_key(row.version.version)))
        self._load(found, [field])
        read = reading(field)
        return [(row.version, shown(read(row))) for row in found], _unread(rows)

    def _matching(self, rows: Sequence[Row]) -> list[Row]:
        """Those that fulfil the condition: by what costs nothing first, and what costs most only of who is left."""
        chosen: list[Row] = []
        judge = judging(self._question.condition, reading)
        for cost in Cost:
            fields = [field for field in self._question.fields if cost_of(field) == cost]
            if not fields and cost > Cost.LOG:
                continue
            self._load(rows, fields)
            undecided = []
            for row in rows:
                verdict = judge(row)
                if verdict is None:
                    undecided.append(row)
                elif verdict:
                    chosen.append(row)
            rows = undecided
        return chosen

    def _load(self, rows: Sequence[Row], fields: Sequence[Field]) -> None:
        """Have what is needed to know these fields."""
        costs = set(map(cost_of, fields))
        if Cost.DECLARATION in costs:
            new = [row for row in rows if row.declared is NOTHING_READ]
            pairs = [(row.version.rev, row.version.name) for row in new]
            for row, found in zip(new, self._declared(pairs), strict=True):
                row.declared = found
                row.problem = row.problem or found.problem
        for kind in _KINDS if Cost.MEASURED in costs else ():
            asked = [reading(field) for field in fields if field.name == kind]
            new = [
                row
                for row in rows
                if kind not in row.measured and any(read(row) is UNKNOWN for read in asked)
            ]
            answers = self._measured([row.version for row in new], kind) if new else ()
            for row, answer in zip(new, answers, strict=True):
                row.measured[kind] = answer.values
                row.problem = row.problem or answer.problem
        if Cost.LINEAGE in costs:
            for row in rows:
                row.most = Cost.LINEAGE

    def _columns(self, rows: Sequence[Row]) -> Mapping[str, Callable[[ModelVersion], object]]:
        fields = [field for field in self._question.fields if str(field) not in _COLUMNS]
        self._load(rows, fields)
        columns = dict(_COLUMNS)
        for field in fields:
            read = reading(field)
            values = {row.version.reference: shown(read(row)) for row in rows}
            if FIELDS[field.name] != "origin":
                columns[str(field)] = partial(_value_in, values)
        return columns


def _unread(rows: Iterable[Row]) -> Mapping[str, str]:
    return {row.version.reference: row.problem for row in rows if row.problem is not None}


def _reading_name(field: Field) -> Callable[[str], object]:
    """Reads a field where nothing but the name of the model is known."""
    is_name = field.name == "name"
    return lambda name: name if is_name else UNKNOWN


def cost_of(field: Field) -> Cost:
    """What must be read to know a field."""
    return COSTS.get(field.name, Cost.LOG)


def shown(value: object) -> object:
    """What a caller gets to see of a value."""
    match value:
        case Several():
            return [*value]
        case Flat():
            return dict(value)
        case VersionText():
            return str(value)
    return None if value is MISSING else value


def _value_in(values: Mapping[str, object], version: ModelVersion) -> object:
    return values.get(version.reference)


def _sort(rows: list[Row], key: SortKey) -> None:
    """Numbers come before texts, and those that do not say it last, whichever way it goes."""
    read = reading(key.field)
    keys = {id(row): _order(read(row)) for row in rows}
    rows.sort(key=lambda row: keys[id(row)][1:], reverse=key.is_descending)
    rows.sort(key=lambda row: keys[id(row)][:2])


def order_of(key: SortKey) -> Callable[[Mapping[str, object]], tuple[bool, int, Any]]:
    """What tells where a row stands by a key, among rows of several answers: from its values by column."""

    def order(values: Mapping[str, object]) -> tuple[bool, int, Any]:
        value = values.get(str(key.field))
        return _order(VersionText(value) if key.field.name == "version" and isinstance(value, str) else value)

    return order


def _order(value: object) -> tuple[bool, int, Any]:
    """What values of all kinds can be sorted by: whether it is missing, its kind, and where it stands in that."""
    if is_nothing(value):
        return True, 0, 0
    kind = kind_of(value)
    place = _SORTED_KINDS.index(kind)
    if kind == "version":
        return False, place, version_key(str(value))
    return False, place, str(value) if kind in ("list", "mapping") else value


# -- the best ----------------------------------------------------------------------------------------------


def best(found: Sequence[tuple[ModelVersion, object]], direction: Direction) -> ModelVersion | None:
    """The version with the greatest number, or the smallest; of equal ones the newest. None where none has a number."""
    numbers = [
        (value, version_key(version.version), version)
        for version, value in found
        if isinstance(value, int | float) and is_number(value)
    ]
    if not numbers:
        return None
    sign = 1 if direction == "max" else -1
    return max(numbers, key=lambda each: (sign * each[0], each[1]))[2]


def check_direction(direction: object) -> None:
    """Refuse what is no direction.

    Raises:
        InvalidInputError: It is none.
    """
    if direction not in (None, "max", "min"):
        raise InvalidInputError(f"direction={direction!r}: it must be 'max' or 'min', or left out")


def is_number(value: object) -> bool:
    """Whether it is a number, and one that a float can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


def direction_in(said: Iterable[Mapping[str, JsonValue]], field: Field) -> Direction | None:
    """Which way a metric is better, as the first ``evaluation`` block says that speaks of it."""
    key = ".".join(map(str, field.parts))
    for metadata in said if field.name == "metrics" else ():
        block = evaluation_in(metadata)
        if block is not None and key in block.metrics:
            return _BETTER[block.metrics[key].direction]
    return None


def nothing_to_measure(model: str, field: Field, values: Iterable[object]) -> VersionNotFoundError:
    """Why there is no best version, and no trend: none has a number there.

    Args:
        model: The model.
        field: Where a number was looked for.
        values: All that its versions say beside it: mappings by keys with dots.
    """
    known = sorted(
        {key for each in values if isinstance(each, Mapping) for key, value in flat(each) if is_number(value)}
    )
    key = ".".join(map(str, field.parts))
    if field.parts and key in known:
        return VersionNotFoundError(
            f"no version of {model!r} that is asked for has a number at {field}: ask for others, which have one"
        )
    close = difflib.get_close_matches(key, known, n=1) if key else ()
    shown = ", ".join(str(Field(field.name, tuple(each.split(".")))) for each in close or known[:10])
    more = f" and {len(known) - 10:,} more" if len(known) > 10 else ""
    hint = (
        f"did you mean {shown}?"
        if close
        else f"there is {shown}{more}"
        if known
        else "there is none, anywhere"
    )
    return VersionNotFoundError(f"no version of {model!r} has a number at {field}; {hint}")
