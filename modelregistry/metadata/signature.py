"""What goes into a model and what comes out, as far as its file tells; and whether one model can stand in for another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from pydantic import JsonValue

from modelregistry.display.shown import Shown


@dataclass(frozen=True, slots=True, repr=False)
class Column(Shown):
    """One input or output."""

    name: str | None = None
    """None where the model goes by position."""
    type: str | None = None
    """As numpy spells it (``float64``, ``str``); None where the file does not tell."""
    shape: tuple[int | None, ...] | None = None
    """Lengths, None for one that may be any; None as a whole where the file does not tell."""
    required: bool = True


@dataclass(frozen=True, slots=True, repr=False)
class ModelSignature(Shown):
    """The inputs and outputs of a model."""

    inputs: tuple[Column, ...] = ()
    outputs: tuple[Column, ...] = ()

    def to_dict(self) -> dict[str, JsonValue]:
        """As JSON; what is not known is left out."""
        return {"inputs": [*map(_to_dict, self.inputs)], "outputs": [*map(_to_dict, self.outputs)]}

    @classmethod
    def from_dict(cls, value: object) -> ModelSignature | None:
        """What ``to_dict`` gave; None for anything else."""
        if not isinstance(value, Mapping):
            return None
        try:
            return cls(_columns(value.get("inputs", ())), _columns(value.get("outputs", ())))
        except (TypeError, ValueError, AttributeError):
            return None


def incompatibilities(holder: ModelSignature, candidate: ModelSignature) -> list[str]:
    """Why the candidate can't stand in where the holder is called; nothing if it can, as far as is known.

    What the holder was called with must do for the candidate, and what the holder answered must be in what the
    candidate answers. What one of the two does not tell is no difference.
    """
    found: list[str] = []
    if holder.inputs and candidate.inputs:
        widths = _width(holder.inputs), _width(candidate.inputs)
        if _is_array(holder.inputs) == _is_array(candidate.inputs):
            found += _lacking(candidate.inputs, holder.inputs, "input", needed="is needed and was not")
        elif None not in widths and widths[0] != widths[1]:  # one goes by name, the other by position
            found.append(f"{widths[1]} features are needed, and there were {widths[0]}")
    if holder.outputs and candidate.outputs:
        found += _lacking(holder.outputs, candidate.outputs, "output", needed="is gone")
    return found


def _is_array(columns: Sequence[Column]) -> bool:
    """Whether all features are in one array."""
    return len(columns) == 1 and len(columns[0].shape or ()) > 1


def _width(columns: Sequence[Column]) -> int | None:
    """How many features there are; None where that is not known."""
    return (columns[0].shape or (None,))[-1] if _is_array(columns) else len(columns)


def _lacking(wanted: Sequence[Column], there: Sequence[Column], what: str, *, needed: str) -> Iterable[str]:
    """What of ``wanted`` is not in ``there``, or is another thing there."""
    by_name = {column.name: column for column in there if column.name is not None}
    for position, column in enumerate(wanted):
        label = f"{what} {column.name!r}" if column.name is not None else f"{what} {position}"
        if column.name is not None and by_name:
            found = by_name.get(column.name)
        else:
            found = there[position] if position < len(there) else None
        if found is None:
            if column.required:
                yield f"{label} {needed}"
            continue
        if None not in (column.type, found.type) and column.type != found.type:
            yield f"{label} is {_change(what, column.type, found.type)}"
        if not _same_shape(column.shape, found.shape):
            yield f"{label} has the shape {_change(what, column.shape, found.shape)}"


def _change(what: str, wanted: object, there: object) -> str:
    before, after = (there, wanted) if what == "input" else (wanted, there)
    return f"{after}, and was {before}"


def _same_shape(one: Sequence[int | None] | None, other: Sequence[int | None] | None) -> bool:
    if one is None or other is None:
        return True
    return len(one) == len(other) and all(None in (a, b) or a == b for a, b in zip(one, other, strict=True))


def _to_dict(column: Column) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    if column.name is not None:
        found["name"] = column.name
    if column.type is not None:
        found["type"] = column.type
    if column.shape is not None:
        found["shape"] = [*column.shape]
    if not column.required:
        found["required"] = False
    return found


def _columns(values: object) -> tuple[Column, ...]:
    return tuple(_column(value) for value in cast("Iterable[Mapping[str, object]]", values))


def _column(value: Mapping[str, object]) -> Column:
    name, type_, shape = value.get("name"), value.get("type"), value.get("shape")
    if not isinstance(name, str | None) or not isinstance(type_, str | None):
        raise TypeError("a name or type that is no text")
    if shape is not None:
        shape = tuple(cast("Iterable[object]", shape))
        if not all(length is None or type(length) is int for length in shape):
            raise TypeError("a length that is no number")
    return Column(
        name, type_, cast("tuple[int | None, ...] | None", shape), value.get("required", True) is True
    )
