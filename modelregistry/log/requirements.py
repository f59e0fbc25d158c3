"""What a promotion requires of a version's figures: a bound, or a gain over the holder of a stage; nothing is evaluated."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from modelregistry.errors import InvalidInputError, RefusedError
from modelregistry.log.events import Judged
from modelregistry.log.history import History
from modelregistry.metadata.evaluation import figures
from modelregistry.names import check_stage

_OPERATORS: Mapping[str, Callable[[Decimal, Decimal], bool]] = {
    ">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt,
}  # fmt: skip
_NUMBER = r"[0-9]{1,30}(?:\.[0-9]{1,30})?(?:[eE][-+]?[0-9]{1,3})?"
_WISH = re.compile(
    # A stage may have a hyphen in its name, so a minus stands between spaces.
    rf"\s*(>=|<=|>|<)\s*(?:([-+]?{_NUMBER})|([A-Za-z][A-Za-z0-9_/-]*)(?:(\s*\+\s*|\s+-\s+)({_NUMBER}))?)\s*"
)
_METRICS = "metrics."

Recorded = Callable[[str], Mapping[str, float]]
"""Gives the metrics that the pipeline of a version recorded, which never change."""


def nothing_recorded(version: str) -> Mapping[str, float]:
    """Those of a version without a pipeline."""
    del version
    return {}


@dataclass(frozen=True, slots=True)
class Requirement:
    """One figure, and what it must be."""

    figure: str
    """Its key in the metadata, with dots between."""
    wish: str
    """As it was written: ``">= 0.9"``, ``"> current + 0.01"``."""
    operator: str
    number: Decimal
    """The bound; or, with a stage, what is added to the figure of its holder."""
    stage: str | None = None

    @classmethod
    def parse(cls, figure: object, wish: object) -> Requirement:
        """What ``require={figure: wish}`` says.

        Raises:
            InvalidInputError: It says nothing that is understood.
        """
        match = _WISH.fullmatch(wish) if isinstance(wish, str) else None
        if match is None or not isinstance(figure, str) or not figure:
            raise InvalidInputError(
                f"require={{{figure!r}: {wish!r}}} is not understood: write a figure in the metadata and a bound, "
                "{'metrics.auc': '>= 0.9'}, or the holder of a stage, {'metrics.auc': '> current + 0.01'}"
            )
        sign, bound, stage, way, gain = match.groups()
        number = Decimal(bound) if bound is not None else Decimal(f"{(way or '').strip()}{gain or 0}")
        return cls(figure, str(wish), sign, number, check_stage(stage) if stage is not None else None)


def parse_all(require: Mapping[str, str] | None) -> tuple[Requirement, ...]:
    """Everything that ``require=`` says; raises as ``Requirement.parse`` does."""
    if require is None:
        return ()
    if not isinstance(require, Mapping):
        raise InvalidInputError(f"require={require!r} must be a mapping, such as {{'metrics.auc': '>= 0.9'}}")
    return tuple(Requirement.parse(figure, wish) for figure, wish in require.items())


def judge(
    history: History, version: str, requirements: Sequence[Requirement], recorded: Recorded = nothing_recorded
) -> tuple[Judged, ...]:
    """The figures by which the version does what is required.

    Figures are numbers in the metadata; a metric that nobody said there is the one that was recorded. A gain over the holder of a stage that nobody holds is no bound.

    Args:
        history: The log.
        version: The version.
        requirements: What it must do.
        recorded: What pipelines recorded.

    Raises:
        RefusedError: It does not, or a figure is not known; the message has all the figures.
        InvalidInputError: A gain over the holders of a shared stage, of which there are several.
    """
    judged = [_judged(history, version, each, recorded) for each in requirements]
    reasons = [_reason(history.model, found) for found, met in judged if not met]
    if reasons:
        raise RefusedError(
            f"{history.model}@{version} is not promoted, and nothing was written: {'; '.join(reasons)}"
        )
    return tuple(found for found, _ in judged)


def again(judged: Sequence[Judged]) -> tuple[Requirement, ...]:
    """The requirements that were judged."""
    return tuple(Requirement.parse(each.figure, each.wish) for each in judged)


def _judged(history: History, version: str, wanted: Requirement, recorded: Recorded) -> tuple[Judged, bool]:
    value = _figure(history, version, wanted.figure, recorded)
    facts = Judged(figure=wanted.figure, wish=wanted.wish, value=value)
    bound: Decimal | None = wanted.number
    if wanted.stage is not None:
        holders = history.holders(wanted.stage)
        if len(holders) > 1:
            raise InvalidInputError(
                f"require={{{wanted.figure!r}: {wanted.wish!r}}}: {wanted.stage!r} is shared by {', '.join(holders)}"
            )
        if holders:
            theirs = _figure(history, holders[0], wanted.figure, recorded)
            facts = facts.model_copy(update={"holder": holders[0], "holder_value": theirs})
            bound = _exact(theirs) + wanted.number if theirs is not None else None
        else:
            return facts, value is not None
    if value is None or bound is None:
        return facts, False
    return facts, _OPERATORS[wanted.operator](_exact(value), bound)


def _figure(history: History, version: str, figure: str, recorded: Recorded) -> float | None:
    said = dict(figures(history.metadata(version)))
    if figure in said or not figure.startswith(_METRICS):
        return said.get(figure)
    return recorded(version).get(figure.removeprefix(_METRICS))


def _exact(value: float) -> Decimal:
    """As it is written: the sum of 0.1 and 0.2 is 0.3."""
    return Decimal(repr(value))


def _reason(model: str, found: Judged) -> str:
    if found.value is None:
        return f"it has no number {found.figure!r}: registry.evaluate(…) measures it, registry.annotate(…) says it"
    if found.holder is None:
        return f"{found.figure} is {found.value}, and {found.wish} is required"
    if found.holder_value is None:
        return f"{model}@{found.holder}, which it is compared with, has no number {found.figure!r}"
    return f"{found.figure} is {found.value}, and {found.wish} is required: {model}@{found.holder} has {found.holder_value}"
