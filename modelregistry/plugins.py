"""The tables of plug-ins: a name leads to a class, imported on first use."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
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
def _own_loaders() -> tuple[Any, ...]:
    return tuple(load_class(target)() for target in LOADERS.values())


@cache
def _plugged_loaders() -> tuple[Any, ...]:
    from importlib.metadata import entry_points

    return tuple(entry.load()() for entry in entry_points(group="modelregistry.loaders"))


def loaders_for(path: Path, name: str, wanted: str | None) -> tuple[Any, ...]:
    """The loaders to choose from for a file or folder.

    Those of installed packages (entry points ``modelregistry.loaders``) are looked for only where none of ours is
    wanted or recognises it: to find them takes as long as to find the version.
    """
    ours = _own_loaders()
    if any(each.name == wanted if wanted else each.recognises(path, name) for each in ours):
        return ours
    return (*ours, *_plugged_loaders())


def import_library(name: str, wanted: str | None) -> None:
    """Import what the loader of a file with this name will import, if that can be told and is installed."""
    for each in _own_loaders():
        if each.library and (each.name == wanted if wanted else name.endswith(each.suffixes)):
            with suppress(ImportError):  # the loader says it better
                import_module(each.library)
