"""The ``evaluation`` block of metadata: how a model is measured, and which way its metrics are better."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue

from modelregistry.display.shown import Shown

Direction = Literal["higher", "lower"]
PLACEHOLDERS = ("{model}", "{data}", "{output}")
_MOST_DEPTH = 16
_MOST = 1e300


class Metric(Shown, BaseModel):
    """What is known of a metric."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    direction: Direction
    """Which way is better."""
    threshold: FiniteFloat | None = None
    """The worst value that will do."""

    def is_met(self, value: float) -> bool:
        """Whether a value will do."""
        if self.threshold is None:
            return True
        return value >= self.threshold if self.direction == "higher" else value <= self.threshold


class Evaluation(Shown, BaseModel):
    """How a model is measured: what ``metadata["evaluation"]`` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    command: tuple[Annotated[str, Field(min_length=1)], ...] | None = Field(default=None, min_length=1)
    """The program and its arguments, run in a copy of the version's commit; ``{model}``, ``{data}`` and ``{output}``
    stand for paths."""
    metrics: dict[str, Metric] = {}
    """By their keys, with dots between where they are nested."""
    text: str | None = None
    """For people, in Markdown."""


def evaluation_in(metadata: Mapping[str, JsonValue]) -> Evaluation | None:
    """The block in the metadata; None where there is none, or none that can be understood."""
    value = metadata.get("evaluation")
    try:
        return Evaluation.model_validate(value) if isinstance(value, dict) else None
    except ValueError:
        return None


def known_metrics(*said: Mapping[str, JsonValue]) -> dict[str, Metric]:
    """What the blocks in some metadata say of each metric; what comes later is heard first."""
    return {
        name: metric
        for found in map(evaluation_in, said)
        if found is not None
        for name, metric in found.metrics.items()
    }


def figures(value: object, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, float]]:
    """The finite numbers in nested metrics, by their keys with dots between; what is none is left out."""
    if isinstance(value, Mapping) and depth < _MOST_DEPTH:
        for key, item in value.items():
            yield from figures(item, f"{prefix}.{key}" if prefix else str(key), depth + 1)
    elif prefix and is_number(value):
        yield prefix, cast("float", value)


def is_number(value: object) -> bool:
    """Whether it is a number that is finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < _MOST and not math.isnan(value)


def better(direction: Direction, base: float, candidate: float) -> bool | None:
    """Whether the second is better than the first; None where they are alike."""
    if base == candidate:
        return None
    return (candidate > base) is (direction == "higher")
