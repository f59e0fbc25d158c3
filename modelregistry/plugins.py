"""The tables of plug-ins: a name leads to a class, imported on first use."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from modelregistry.errors import InvalidInputError, MissingDependencyError

if TYPE_CHECKING:
    from modelregistry.backends.base import Backend
    from modelregistry.exporters.base import Exporter
    from modelregistry.loaders.base import Loader

_logger = logging.getLogger("modelregistry")

LOADERS = {
    "catboost": "modelregistry.loaders.catboost:CatBoostLoader",
    "gguf": "modelregistry.loaders.paths:GGUFLoader",
    "joblib": "modelregistry.loaders.pickles:JoblibLoader",
    "keras": "modelregistry.loaders.keras:KerasLoader",
    "lightgbm": "modelregistry.loaders.lightgbm:LightGBMLoader",
    "mlflow": "modelregistry.loaders.mlflow:MLflowLoader",
    "onnx": "modelregistry.loaders.onnx:OnnxLoader",
    "path": "modelregistry.loaders.paths:PathLoader",
    "pickle": "modelregistry.loaders.pickles:PickleLoader",
    "safetensors": "modelregistry.loaders.safetensors:SafetensorsLoader",
    "sentence-transformers": "modelregistry.loaders.sentencetransformers:SentenceTransformersLoader",
    "skops": "modelregistry.loaders.skops:SkopsLoader",
    "spacy": "modelregistry.loaders.spacy:SpacyLoader",
    "torch": "modelregistry.loaders.torch:TorchLoader",
    "transformers": "modelregistry.loaders.transformers:TransformersLoader",
    "xgboost": "modelregistry.loaders.xgboost:XGBoostLoader",
}
EXPORTERS = {
    "folder": "modelregistry.exporters.folder:FolderExporter",
    "mlflow": "modelregistry.exporters.mlflow:MLflowExporter",
    "oci": "modelregistry.exporters.oci:OciExporter",
    "tar.gz": "modelregistry.exporters.targz:TarGzExporter",
}
STORAGES = {
    "dvc": "modelregistry.artifacts.dvc:DvcStorage",
    "git": "modelregistry.artifacts.gitblob:GitBlobStorage",
}
ADDERS = {
    "dvc": "modelregistry.artifacts.dvcadd:DvcAdder",
}
DVC_INTAKE = "modelregistry.artifacts.dvcintake:DvcIntake"
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
    name = address.partition(":")[0].partition("+")[0] if isinstance(address, str) else ""
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


_Kind = TypeVar("_Kind")


def _made(given: object, kind: type[_Kind], what: str, taken: Collection[str]) -> tuple[str, _Kind]:
    """The name and an instance of what somebody registers, which may be a class.

    Args:
        given: What was passed.
        kind: What it must be.
        what: What people call that.
        taken: Names that it may not have.

    Raises:
        InvalidInputError: It is something else, or its name is none or taken.
    """
    made: object = given() if isinstance(given, type) and issubclass(given, kind) else given
    if not isinstance(made, kind):
        raise InvalidInputError(
            f"{given!r} is no {what}; pass a subclass of {kind.__module__}.{kind.__name__}, or an instance of one"
        )
    name: object = getattr(made, "name", None)
    if not isinstance(name, str) or not name:
        raise InvalidInputError(f'{given!r} has no name: give the class one, name = "mine"')
    if name in taken:
        raise InvalidInputError(
            f"{what} {name!r} ships with modelregistry; call yours something else, or pass replace=True"
        )
    return name, made


_exporters: dict[str, Exporter] = {}

ExporterT = TypeVar("ExporterT", bound="Exporter | type[Exporter]")


def register_exporter(exporter: ExporterT, *, replace: bool = False) -> ExporterT:
    """Have an exporter of one's own found, in this process, by its name.

    Args:
        exporter: A subclass of ``modelregistry.exporters.base.Exporter`` (as a decorator, too), or an instance. One that
            was registered under the same name before gives way to it.
        replace: Take the place of an exporter that ships with this library.

    Returns:
        The exporter, as it was passed.

    Raises:
        InvalidInputError: It is no exporter or has no name, or the name is taken by an exporter that ships.
    """
    from modelregistry.exporters.base import Exporter

    name, made = _made(exporter, Exporter, "exporter", () if replace else EXPORTERS)  # type: ignore[type-abstract]  # nothing is made of it
    _exporters[name] = made
    return exporter


def find_exporter(name: str) -> Exporter:
    """The exporter of that name: one that was registered here, or ships, or an installed package brings.

    Raises:
        InvalidInputError: There is none.
        MissingDependencyError: The package that brings it needs what is not installed.
    """
    if not isinstance(name, str):
        raise InvalidInputError(f"format={name!r} must be the name of an exporter, such as 'folder'")
    if name in _exporters:
        return _exporters[name]
    if name in EXPORTERS:
        return cast("Exporter", load_class(EXPORTERS[name])())
    from importlib.metadata import entry_points

    plugged = entry_points(group="modelregistry.exporters")
    for entry in plugged:
        if entry.name == name:
            try:
                return cast("Exporter", entry.load()())
            except ImportError as error:
                raise MissingDependencyError(f"exporter {name!r} can't be imported: {error}") from error
    known = ", ".join(map(repr, sorted({*EXPORTERS, *_exporters, *plugged.names})))
    raise InvalidInputError(f"format={name!r}: there is no such exporter; known: {known}")


_registered: dict[str, Loader] = {}

LoaderT = TypeVar("LoaderT", bound="Loader | type[Loader]")


def register_loader(loader: LoaderT, *, replace: bool = False) -> LoaderT:
    """Have a loader of one's own considered, in this process, before all others.

    Args:
        loader: A subclass of ``modelregistry.loaders.base.Loader`` (as a decorator, too), or an instance. One that was
            registered under the same name before gives way to it.
        replace: Take the place of a loader that ships with this library.

    Returns:
        The loader, as it was passed.

    Raises:
        InvalidInputError: It is no loader or has no name, or the name is taken by a loader that ships.
    """
    from modelregistry.loaders.base import Loader

    name, made = _made(loader, Loader, "loader", () if replace else LOADERS)  # type: ignore[type-abstract]  # nothing is made of it
    _registered[name] = made
    return loader


@cache
def _own_loaders() -> tuple[Loader, ...]:
    return tuple(load_class(target)() for target in LOADERS.values())


@cache
def _plugged_loaders() -> tuple[Loader, ...]:
    from importlib.metadata import entry_points

    found: list[Loader] = []
    for entry in entry_points(group="modelregistry.loaders"):
        try:
            found.append(entry.load()())
        except Exception:  # whatever stops one plug-in stops no other loader
            _logger.exception("loader %r, which an installed package brings, can't be used", entry.name)
    return tuple(found)


def loaders_for(path: Path, name: str, wanted: str | None) -> tuple[Loader, ...]:
    """The loaders to choose from for a file or folder.

    Those of installed packages (entry points ``modelregistry.loaders``) are looked for only where none of the others
    is wanted or recognises it: to find them takes as long as to find the version.
    """
    near = _near_loaders()
    if any(each.name == wanted if wanted else each.recognises(path, name) for each in near):
        return near
    taken = {loader.name for loader in near}
    return (*near, *(loader for loader in _plugged_loaders() if loader.name not in taken))


def _near_loaders() -> tuple[Loader, ...]:
    ours = (loader for loader in _own_loaders() if loader.name not in _registered)
    return (*_registered.values(), *ours)


def savers() -> tuple[Loader, ...]:
    """The loaders that save objects too, those whose files hold pickles last."""
    from modelregistry.loaders.base import Loader

    near = _near_loaders()
    taken = {loader.name for loader in near}
    every = (*near, *(loader for loader in _plugged_loaders() if loader.name not in taken))
    able = (loader for loader in every if type(loader).save is not Loader.save)
    return tuple(sorted(able, key=lambda loader: loader.confines))


_MADE_OF = {"scikit-learn": "sklearn"}
"""What the objects of other loaders' files are made of, and the module that making them imports: never taken from what a
registration says."""


def import_library(name: str, wanted: str | None, packages: Iterable[str] = ()) -> None:
    """Import what the loader of a file with this name will import, if that can be told and is installed.

    Args:
        name: What the file is called.
        wanted: The loader that was asked for.
        packages: The distributions that the model was made with.
    """
    for each in _near_loaders():
        if each.library and (each.name == wanted if wanted else name.endswith(each.suffixes)):
            for module in (each.library, *filter(None, map(_MADE_OF.get, packages))):
                with suppress(ImportError, OSError):  # the loader says it better
                    import_module(module)
