"""The tables of plug-ins: a name leads to a class, imported on first use."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

LOADERS = {
    "joblib": "modelregistry.loaders.pickles:JoblibLoader",
    "pickle": "modelregistry.loaders.pickles:PickleLoader",
    "skops": "modelregistry.loaders.skops:SkopsLoader",
}
STORAGES = {
    "dvc": "modelregistry.artifacts.dvc:DvcStorage",
    "git": "modelregistry.artifacts.gitblob:GitBlobStorage",
}
BACKENDS = {
    "git": "modelregistry.backends.git:GitBackend",
    "memory": "modelregistry.backends.memory:MemoryBackend",
}


def load_class(target: str) -> Any:
    """The class that ``module:name`` names."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


@cache
def all_loaders() -> tuple[Any, ...]:
    """One of each loader: those of installed packages (entry points ``modelregistry.loaders``) first, then ours."""
    found = [entry.load()() for entry in entry_points(group="modelregistry.loaders")]
    return (*found, *(load_class(target)() for target in LOADERS.values()))
