"""Loading a model of a few sizes, beside a bare script, DVC and MLflow: how long it takes, and how much memory."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import modelregistry
from tests.bench.loads import Model
from tests.bench.measure import Row, amount, timed
from tests.bench.registries import commit, git

PEAK_HEAD = {
    "what": "---", "at most": "---:", "the loader alone": "---:", "beyond it": "---:", "budget": "---", "kept": "---",
}  # fmt: skip
"""The columns of the table of memory, and to which side their cells stand."""
_LARGE, _HUGE = (
    100,
    1_000,
)  # MB: from here on the bytes weigh more than what is done once in a call, in a process
_CACHED, _FETCHED, _BEYOND, _AGAIN = 1.15, 1.3, 64_000_000, 100e-6
"""The budgets: of a bare script's time, of a copy's, in bytes, and in seconds."""
_IMPORTED = 0.3
"""Seconds for what a process does once: it imports this library, GitPython and pydantic, and opens the registry."""


class Way(NamedTuple):
    """A function of `tests.bench.loads`, and what this user's cache holds when it is called."""

    call: str
    is_first: bool = True
    """Nothing; else what the same call left in it."""


LOADER, BARE, COPIED, COPIED_BYTES, DVC_READ, DVC_GET, MLFLOW = map(
    Way, ("loader", "bare", "copied", "copied_bytes", "dvc_read", "dvc_get", "mlflow")
)
FIRST, MISSING, MISSING_BYTES = map(Way, ("ours", "ours_missing", "ours_missing_bytes"))
VERIFIED, ALWAYS = (Way(call, is_first=False) for call in ("ours", "ours_always"))
OPENED = Way("ours_opened")
_TITLES = {
    FIRST: "`load_model`",
    VERIFIED: "`load_model`, verified by an earlier process",
    ALWAYS: '`load_model(verify="always")`',
    MISSING: "`load_model`, fetched from a folder",
    MISSING_BYTES: "`local_path()`, fetched from a folder",
    OPENED: "`load_model(registry=registry)`",
    LOADER: "joblib.load",
    BARE: "read, sha256, joblib.load",
    COPIED: "copy, sha256, joblib.load",
    COPIED_BYTES: "copy, sha256",
    DVC_READ: "dvc.api.read, joblib.load",
    DVC_GET: "dvc artifacts get, joblib.load",
    MLFLOW: "mlflow.sklearn.load_model",
}


@dataclass(frozen=True)
class Peak:
    """The most memory that a process had, beside one that runs the loader and nothing else; in bytes."""

    what: str
    ours: int
    loader: int
    beyond: int | None = None
    """The budget."""

    @property
    def excess(self) -> float:
        """How much of its budget the row needs: 1 is all of it."""
        return (self.ours - self.loader) / self.beyond if self.beyond is not None else 0

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        budget = f"≤ {amount(self.beyond)}" if self.beyond is not None else ""
        kept = ("**no**" if self.excess > 1 else "yes") if budget else ""
        beyond = amount(self.ours - self.loader)
        return self.what, amount(self.ours), amount(self.loader), beyond, budget, kept


class Findings(NamedTuple):
    """What the section shows."""

    rows: list[Row]
    peaks: list[Peak]


def measure(folder: Path, sizes: Sequence[int], *, repeats: int, say: Callable[[str], None]) -> Findings:
    """Everything in the section.

    Args:
        folder: Where to make what is measured.
        sizes: Of the models, in MB; the largest is held to the budgets that only large ones have.
        repeats: How many rounds count.
        say: Tells someone who waits.
    """
    # MLflow would tell its makers, and the terminal.
    os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true", MLFLOW_LOGGING_LEVEL="ERROR")
    say("making models")
    other, *models = make(folder, [0, *sizes])
    found = Findings([], [])
    for size, model in zip(sizes, models, strict=True):
        say(f"loading {size:,} MB, each time in a process of its own")
        in_whole_processes(found, folder, size, model, repeats=repeats, is_largest=size == max(sizes))
        say(f"loading {size:,} MB after another model")
        after_another(found, folder, size, model, other, repeats=repeats, is_largest=size == max(sizes))
    return found


# -- what is loaded --------------------------------------------------------------------------------------------


def make(folder: Path, sizes: Sequence[int]) -> list[Model]:
    """A scikit-learn model of each size in MB, current in a DVC project, in its remote, in a clone and in MLflow."""
    import joblib
    import numpy
    from sklearn.neighbors import KNeighborsClassifier

    project, clone, remote = folder / "project", folder / "clone", folder / "remote"
    project.mkdir(parents=True)
    git(project, "init", "--quiet")
    _dvc(project, "init")
    _dvc(project, "config", "cache.type", "hardlink")  # a file in the working copy is the one in the cache
    _dvc(project, "remote", "add", "--default", "disk", os.fspath(remote))
    store = f"sqlite:///{folder / 'mlflow.db'}"
    names = [f"knn-{size}" for size in sizes]
    entries = ""
    for size, name in zip(sizes, names, strict=True):
        rows = max(size * 12_500, 100)
        features = numpy.random.default_rng(0).random((rows, 9))  # with the label, 80 bytes a row
        model = KNeighborsClassifier(algorithm="brute").fit(features, features[:, 0] > 0.5)
        joblib.dump(model, project / f"{name}.joblib")
        _log_to_mlflow(folder, store, name, model)
        entries += f"  {name}:\n    path: {name}.joblib\n    type: model\n"
    (project / "dvc.yaml").write_text(f"artifacts:\n{entries}")
    _dvc(project, "add", *(f"{name}.joblib" for name in names))
    _dvc(project, "push")
    commit(project, "Trained.")
    registry = modelregistry.Registry(project)
    made = []
    for name in names:
        version = registry.register(name, message="Measured.")
        registry.promote(name, version.version, "current", message="Measured.")
        md5 = version.files()[0].md5 or ""
        model = Model(
            name=name, project=os.fspath(project), clone=os.fspath(clone), path=version.path,
            tag=f"{name}@{version.version}", cached=os.fspath(project / ".dvc/cache/files/md5" / md5[:2] / md5[2:]),
            digest=(version.digest or "").removeprefix("sha256:"), store=store, output=os.fspath(folder / "output"),
        )  # fmt: skip
        made.append(model)
    git(folder, "clone", "--quiet", os.fspath(project), os.fspath(clone))
    os.sync()  # so that nobody still writes what was made while it is read
    return made


def _dvc(project: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *arguments, "--quiet"], cwd=project, check=True)


def _log_to_mlflow(folder: Path, store: str, name: str, model: object) -> None:
    """Register it there as a pickle, which of MLflow's formats is the fastest to load, under the same stage."""
    import mlflow.sklearn

    mlflow.set_tracking_uri(store)
    mlflow.set_registry_uri(store)
    if mlflow.get_experiment_by_name("loading") is None:
        mlflow.create_experiment("loading", artifact_location=(folder / "artifacts").as_uri())
    mlflow.set_experiment("loading")
    with mlflow.start_run():
        mlflow.sklearn.log_model(
            model, name="model", registered_model_name=name, serialization_format="pickle",
            pip_requirements=["scikit-learn"],  # else it tries out which it needs
        )  # fmt: skip
    mlflow.MlflowClient().set_registered_model_alias(name, "current", "1")


# -- what is measured ------------------------------------------------------------------------------------------


def in_whole_processes(
    found: Findings, folder: Path, size: int, model: Model, *, repeats: int, is_largest: bool
) -> None:
    """From the start of the interpreter to its end, and the most memory that it had."""
    ways = (LOADER, BARE, FIRST, VERIFIED, ALWAYS, DVC_READ, DVC_GET, MLFLOW, COPIED, MISSING)
    spent = _in_turn(folder, ways, "whole", (model,), repeats=repeats)
    seconds = {way: statistics.median(each for each, _ in spent[way]) for way in ways}

    def add(ours: Way, peer: Way, times: float | None = None, most: float | None = None) -> None:
        what = f"{_TITLES[ours]}, {size:,} MB, the whole process"
        found.rows.append(Row(what, seconds[ours], _TITLES[peer], seconds[peer], times, most))

    if size >= _HUGE:
        add(FIRST, BARE, _CACHED)
    else:
        add(FIRST, BARE, most=_IMPORTED)
    for peer in (DVC_READ, DVC_GET, MLFLOW):
        add(FIRST, peer)
    for ours, peer in ((VERIFIED, BARE), (VERIFIED, LOADER), (VERIFIED, MLFLOW), (ALWAYS, BARE)):
        add(ours, peer)
    add(MISSING, COPIED, _FETCHED if is_largest else None)
    peaks = {way: [told for _, told in spent[way]] for way in ways}
    least = min(peaks[LOADER])
    for way in (FIRST, VERIFIED, ALWAYS, MISSING, BARE, DVC_READ, MLFLOW):
        budget = _BEYOND if way in {FIRST, VERIFIED, ALWAYS, MISSING} else None
        found.peaks.append(Peak(f"{_TITLES[way]}, {size:,} MB", max(peaks[way]), least, budget))


def after_another(
    found: Findings, folder: Path, size: int, model: Model, other: Model, *, repeats: int, is_largest: bool
) -> None:
    """In a process that has loaded another model before: the first time, and once more."""
    ways = (BARE, FIRST, OPENED, DVC_READ, MLFLOW, COPIED_BYTES, MISSING_BYTES)
    spent = _in_turn(folder, ways, "after_another", (other, model), repeats=repeats)
    first, again = (
        {way: statistics.median(told[number] for _, told in spent[way]) for way in ways} for number in (0, 1)
    )

    def add(
        seconds: Mapping[Way, float], when: str, ours: Way, peer: Way, times: float | None = None
    ) -> None:
        what = f"{_TITLES[ours]}, {size:,} MB, {when}"
        found.rows.append(Row(what, seconds[ours], _TITLES[peer], seconds[peer], times))

    add(first, "after another model", FIRST, BARE, _CACHED if size >= _LARGE else None)
    for peer in (DVC_READ, MLFLOW):
        add(first, "after another model", FIRST, peer)
    add(first, "after another model", MISSING_BYTES, COPIED_BYTES, _FETCHED if is_largest else None)
    for ours in (FIRST, OPENED):
        found.rows.append(Row(f"{_TITLES[ours]}, {size:,} MB, again", again[ours], most=_AGAIN))
    for peer in (BARE, DVC_READ, MLFLOW):
        add(again, "again", FIRST, peer)


def _in_turn(
    folder: Path, ways: Sequence[Way], task: str, models: Sequence[Model], *, repeats: int
) -> dict[Way, list[tuple[float, Any]]]:
    """Each way's processes: their seconds, and what they told. One round before is not counted, as everywhere."""
    spent: dict[Way, list[tuple[float, Any]]] = {way: [] for way in ways}
    for number in range(repeats + 1):
        for way in ways:
            cache = folder / (f"first-{way.call}" if way.is_first else f"kept-{way.call}")
            told: list[bytes] = []
            seconds = timed(partial(_run, task, way, models, cache, told))
            if number:
                spent[way].append((seconds, json.loads(told[0])))
            # Removed at once, so that the disk need not write it while others are timed.
            if way.is_first:
                shutil.rmtree(cache, ignore_errors=True)
            Path(models[0].output).unlink(missing_ok=True)
    return spent


def _run(task: str, way: Way, models: Sequence[Model], cache: Path, told: list[bytes]) -> None:
    given = ", ".join(map(repr, models))
    code = f"from tests.bench import loads; from tests.bench.loads import Model; loads.{task}(loads.{way.call}, {given})"
    package = os.path.dirname(os.path.dirname(modelregistry.__file__))
    environment = {**os.environ, "PYTHONPATH": package, "MODELREGISTRY_CACHE": os.fspath(cache)}
    done = subprocess.run([sys.executable, "-c", code], check=True, env=environment, stdout=subprocess.PIPE)
    told.append(done.stdout)
