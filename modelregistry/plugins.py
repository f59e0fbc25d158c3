"""The tables of plug-ins: a name leads to a class, imported on first use."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from modelregistry.errors import InvalidInputError, MissingDependencyError

if TYPE_CHECKING:
    from modelregistry.backends.base import Backend

LOADERS = {
    "joblib": "modelregistry.loaders.pickles:JoblibLoader",
    "pickle": "modelregistry.loaders.pickles:PickleLoader",
    "skops": "modelregistry.loaders.skops:SkopsLoader",
}
STORAGES = {
    "dvc": "modelregistry.artifacts.dvc:DvcStorage",
    "git": "modelregistry.artifacts.gitblob:GitBlobStorage",
}
GIT = "git"
BACKENDS = {
    GIT: "modelregistry.backends.git:GitBackend",
    "memory": "modelregistry.backends.memory:MemoryBackend",
    "postgresql": "modelregistry.backends.sql:SqlBackend",
    "sqlite": "modelregistry.backends.sql:SqlBackend",
}


def load_class(target: str) -> Any:
    """The class that ``module:name`` names."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


def backend_class(address: str) -> type[Backend]:
    """The class of the backend that keeps its logs at such an address.

    Raises:
        InvalidInputError: There is none. The address is not repeated: it may hold a password.
        MissingDependencyError: What it needs is not installed.
    """
    name = address.partition(":")[0].partition("+")[0]
    if name in BACKENDS:
        try:
            return cast("type[Backend]", load_class(BACKENDS[name]))
        except ImportError as error:
            raise MissingDependencyError(
                f"a {name} log needs {error.name}: pip install 'modelregistry[{'sql' if name == 'sqlite' else name}]'"
            ) from error
    from importlib.metadata import entry_points

    plugged = entry_points(group="modelregistry.backends")
    for entry in plugged:
        if entry.name == name:
            return cast("type[Backend]", entry.load())
    known = ", ".join(sorted({*BACKENDS, *plugged.names}))
    raise InvalidInputError(f"no backend for such an address; known: {known}, followed by a colon")


def open_backend(address: str, **options: Any) -> Backend:
    """The log kept at an address, for ``Registry(backend=)``.

    Args:
        address: ``sqlite:///file.db``, ``postgresql://user:password@host/database?sslmode=verify-full``, or that of
            a plug-in. What follows the question mark is for the database's own driver; a password is never shown.
        options: What the backend takes; of a database, what SQLAlchemy's ``create_engine`` does (``pool_size=5``).

    Raises:
        InvalidInputError: No such backend, or no such options.
        MissingDependencyError: What it needs is not installed.
        UnreachableError: It can't be reached.
        SchemaError: It has no tables for a log, or not those of this version.
    """
    return backend_class(address).open(address, **options)


def migrate(address: str) -> None:
    """Make what the log at an address needs, or bring it to the form that this version reads and writes.

    Nothing else does: to open a database changes none of it. It may be called again, and by two at once.

    Raises:
        InvalidInputError: No such backend.
        MissingDependencyError: What it needs is not installed.
        UnreachableError: It can't be reached.
        SchemaError: A newer version of this library made it.
    """
    backend_class(address).migrate(address)


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
