"""Which files of a commit hold the metrics and parameters of a model, by what its pipelines plan; nothing is read here."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from modelregistry.project.dvcfiles import resolve
from modelregistry.project.pipeline import OutKind, Pipeline, PlannedStep


class StepName(NamedTuple):
    """A step and the ``dvc.yaml`` that plans it, from the Git root."""

    file: str
    name: str
    wdir: str
    """Where it runs, as written."""

    @property
    def lock(self) -> str:
        """The file that records it."""
        return posixpath.join(posixpath.dirname(self.file), "dvc.lock")

    def place(self, path: str) -> str | None:
        """A path of the step, from the Git root; None where that is outside of it."""
        return resolve(self.file, self.wdir, path)


@dataclass(frozen=True, slots=True)
class MetricsFile:
    """A file of metrics, from the Git root."""

    path: str
    step: StepName | None = None
    """The step that makes it, and as what; None where it is only listed."""
    written: str = ""
    """Its path as the step has it."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What holds the metrics and parameters of one model."""

    metrics: tuple[MetricsFile, ...] = ()
    steps: tuple[StepName, ...] = ()
    """Those that made the model: what is recorded of them has the parameters."""
    params: tuple[str, ...] = ()
    """Files of parameters that are listed, where no step made the model."""
    is_whole: bool = True
    """Whether every step could be told."""


@dataclass(frozen=True, slots=True)
class _Made:
    path: str
    written: str
    kind: OutKind
    step: StepName


class _Plans:
    """The steps of all pipelines of a commit, and what they make."""

    def __init__(self, pipelines: Mapping[str, Pipeline]) -> None:
        self.steps: dict[StepName, PlannedStep] = {}
        self.made: dict[str, list[_Made]] = {}
        self.is_whole = True
        for file, pipeline in pipelines.items():
            listed = _listed(file, pipeline)
            for name, step in pipeline.steps.items():
                if step.problem is not None or step.wdir is None:
                    self.is_whole = False
                    continue
                self._add(StepName(file, name, step.wdir), step, listed)

    def _add(self, name: StepName, step: PlannedStep, listed: Mapping[str, OutKind]) -> None:
        self.steps[name] = step
        for out in step.outs:
            place = name.place(out.path)
            if place is not None:
                kind = listed.get(place, "outs") if out.kind == "outs" else out.kind
                self.made.setdefault(place, []).append(_Made(place, out.path, kind, name))

    def makers(self, path: str) -> Iterator[_Made]:
        """What makes a path, the innermost folder that has it, or what is in it."""
        if path in self.made:
            yield from self.made[path]
            return
        parent = posixpath.dirname(path)
        while parent:
            if parent in self.made:
                yield from self.made[parent]
                return
            parent = posixpath.dirname(parent)
        for place, made in self.made.items():
            if place.startswith(f"{path}/"):
                yield from made

    def inputs(self, name: StepName) -> Iterator[str]:
        """The paths that a step depends on."""
        step = self.steps[name]
        yield from filter(None, map(name.place, (*step.deps, *step.params)))

    def takes(self, name: StepName, path: str) -> bool:
        """Whether a step depends on a path, or on the folder that has it."""
        return any(path == place or path.startswith(f"{place}/") for place in self.inputs(name))

    def outs(self, name: StepName) -> Iterator[_Made]:
        """What a step makes."""
        for made in self.made.values():
            yield from (each for each in made if each.step == name)


def measured_files(pipelines: Mapping[str, Pipeline], file: str, path: str) -> Measured:
    """What holds the metrics and parameters of the artifact at ``path``, which ``file`` declares.

    Its metrics are those of the steps that it was made by, of steps that take it and have metrics, and those that the
    declaring ``dvc.yaml`` lists apart from any step, as DVCLive does.

    Args:
        pipelines: All of the commit, by the path of their ``dvc.yaml``.
        file: The ``dvc.yaml``.
        path: From the Git root.
    """
    plans = _Plans(pipelines)
    on_the_way: dict[StepName, None] = {}
    pending = [path]
    seen = {path}
    for each in pending:  # grows while it is walked
        for made in plans.makers(each):
            if made.step not in on_the_way:
                on_the_way[made.step] = None
                new = [place for place in plans.inputs(made.step) if place not in seen]
                seen.update(new)
                pending += new
    measuring = [name for name in plans.steps if name not in on_the_way and plans.takes(name, path)]
    found = {
        made.path: MetricsFile(made.path, made.step, made.written)
        for name in (*on_the_way, *measuring)
        for made in plans.outs(name)
        if made.kind == "metrics"
    }
    own = pipelines.get(file, Pipeline())
    for place, kind in _listed(file, own).items():
        if kind == "metrics" and place not in found and not any(plans.makers(place)):
            found[place] = MetricsFile(place)
    params = () if on_the_way else tuple(filter(None, (resolve(file, name) for name in own.params)))
    return Measured(tuple(found.values()), tuple(on_the_way), params, plans.is_whole)


def _listed(file: str, pipeline: Pipeline) -> Mapping[str, OutKind]:
    """What a ``dvc.yaml`` lists as metrics and plots apart from its steps, from the Git root."""
    kinds: tuple[tuple[OutKind, tuple[str, ...]], ...] = (
        ("plots", pipeline.plots),
        ("metrics", pipeline.metrics),
    )
    return {
        place: kind for kind, paths in kinds for path in paths if (place := resolve(file, path)) is not None
    }
