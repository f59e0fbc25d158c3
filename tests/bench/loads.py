"""The ways to one model: this library's, and those it is measured beside; a process imports what its own way needs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from modelregistry import Registry

_AGAIN, _WHILE = 3, 0.25
"""Calls, at least, and seconds for more of them, whose median is what it takes to load the model once more."""


class Model(NamedTuple):
    """One model, wherever it can be loaded from."""

    name: str
    project: str
    """The repository, with the bytes in its DVC cache."""
    clone: str
    """A clone without them: its remote is a folder on this disk."""
    path: str
    """In the repository."""
    tag: str
    cached: str
    """The bytes in the DVC cache."""
    digest: str
    """Their sha256."""
    store: str
    """MLflow's database."""
    output: str
    """Where a copy may be put."""


def ours(model: Model, **options: object) -> object:
    """This library, as it comes."""
    import modelregistry

    return modelregistry.load_model(model.name, stage="current", registry=model.project, **options)


def ours_always(model: Model) -> object:
    """The same, and every byte is hashed."""
    return ours(model, verify="always")


def ours_missing(model: Model) -> object:
    """The same, where the bytes must be fetched."""
    return ours(model._replace(project=model.clone))


def ours_opened(model: Model) -> object:
    """The same, by a registry that the process keeps open."""
    import modelregistry

    return modelregistry.load_model(model.name, stage="current", registry=_open(model.project))


@cache
def _open(project: str) -> Registry:
    import modelregistry

    return modelregistry.Registry(project)


def ours_missing_bytes(model: Model) -> object:
    """Fetch and verify the bytes, without a loader."""
    import modelregistry

    return modelregistry.Registry(model.clone).get(model.name, stage="current").local_path()


def loader(model: Model) -> object:
    """What turns the bytes into the model, and nothing else: the least of time and memory that it takes."""
    import joblib

    return joblib.load(model.cached)


def bare(model: Model) -> object:
    """Hash the file where it lies, and load it."""
    _check(model.cached, model)
    return loader(model)


def copied(model: Model) -> object:
    """Copy the file, hash the copy, and load that."""
    copied_bytes(model)
    return loader(model._replace(cached=model.output))


def copied_bytes(model: Model) -> object:
    """Copy the file, and hash the copy."""
    import shutil

    shutil.copyfile(model.cached, model.output)
    return _check(model.output, model)


def _check(path: str, model: Model) -> object:
    import hashlib

    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    assert digest == model.digest
    return path


def dvc_read(model: Model) -> object:
    """DVC's own function, and the loader on what it returns; nothing is verified."""
    import io

    import dvc.api
    import joblib

    return joblib.load(io.BytesIO(dvc.api.read(model.path, repo=model.project, rev=model.tag, mode="rb")))


def dvc_get(model: Model) -> object:
    """DVC's command, and the loader on the file that it makes; nothing is verified."""
    import subprocess
    import sys

    get = ("artifacts", "get", model.project, model.name, "--stage", "current", "--out", model.output)
    subprocess.run([sys.executable, "-m", "dvc", *get, "--force", "--quiet"], check=True)
    return loader(model._replace(cached=model.output))


def mlflow(model: Model) -> object:
    """MLflow's registry in SQLite, its artifacts on this disk; nothing is verified."""
    import mlflow.sklearn

    mlflow.set_tracking_uri(model.store)
    mlflow.set_registry_uri(model.store)
    return mlflow.sklearn.load_model(f"models:/{model.name}@current")


# -- in a process of its own -----------------------------------------------------------------------------------


def whole(way: Callable[[Model], object], model: Model) -> None:
    """Load it and do nothing else; the process tells the most memory that it ever had, in bytes."""
    loaded = way(model)
    print(json.dumps(_peak()))
    assert loaded


def after_another(way: Callable[[Model], object], other: Model, model: Model) -> None:
    """Load another model, then this one, then this one again; the process tells the seconds of the last two."""

    def seconds() -> float:
        nonlocal loaded
        start = time.perf_counter()
        loaded = way(model)
        return time.perf_counter() - start

    loaded = way(other)
    first = seconds()
    again: list[float] = []
    while len(again) < _AGAIN or sum(again) < _WHILE:
        again.append(seconds())
    print(json.dumps((first, sorted(again)[len(again) // 2])))
    assert loaded


def _peak() -> int:
    # Not resource.getrusage: what that tells begins with the memory of the process that started this one.
    with open("/proc/self/status", encoding="ascii") as file:
        (line,) = (line for line in file if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
