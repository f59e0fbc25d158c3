"""load_model() and download(): from a reference to the object, or to a copy of its files, in one call."""

from __future__ import annotations

import os
import threading
from collections.abc import Hashable
from pathlib import Path
from weakref import WeakKeyDictionary

from modelregistry import config
from modelregistry.callers import warn
from modelregistry.errors import DeprecatedModelWarning, InvalidInputError
from modelregistry.loading.loadedmodels import LoadedModels
from modelregistry.progress import Progress
from modelregistry.registry import Registry
from modelregistry.trust.trust import Trust as Given
from modelregistry.version import ModelVersion, Reader, Trust, Verify

_opened: dict[Hashable, Registry] = {}
_loaded: WeakKeyDictionary[Reader, LoadedModels] = WeakKeyDictionary()
"""By what reads for the versions of one registry."""
_lock = threading.RLock()
_MOST_OPENED = 32


def load_model(
    reference: str | ModelVersion,
    *,
    version: str | None = None,
    stage: str | None = None,
    registry: Registry | str | os.PathLike[str] | None = None,
    trust: Trust = None,
    loader: str | None = None,
    verify: Verify = "once",
    offline: bool = False,
    copy: bool = False,
    progress: Progress = None,
) -> object:
    """The model that a reference names: resolved, its bytes verified, then loaded.

    The reference is resolved at every call. While it names the same version, with the same trust, the same object
    comes back, in microseconds and to every thread: don't change it, or ask for a copy. The last two versions of each
    model are kept.

    Args:
        reference: ``churn#current``, ``churn@v1.2.0``, ``churn`` (the latest version); or a version that was read.
        version: Instead of a version in the reference.
        stage: Instead of a stage in the reference.
        registry: A registry, or a path or Git URL of one. Left out: that which the version was read from, else
            ``$MODELREGISTRY_URL``, else the current folder.
        trust: Names (``["mypkg.Clipper"]``) or digests (``["sha256:…"]``) to trust, or ``"code"`` for anything.
        loader: The loader to use, such as ``"skops"``; else the one that recognises the file.
        verify: ``"once"``: files that look as they did when they were last hashed are not hashed again; ``"always"``:
            every byte is. What is in memory already was verified when it was loaded.
        offline: Read a URL's mirror as it is, and only bytes that are on this machine, without the network. A registry
            that is passed says that itself.
        copy: Load an object of the caller's own.
        progress: Who is told while missing bytes are fetched: a function of what is done and what there is in all, a
            callback of fsspec, True for a bar, False for none. Left out, there is a bar where somebody looks (a terminal, a
            notebook) and it takes longer than a second.

    Raises:
        NotFoundError: No such model, version, or holder of the stage.
        WithdrawnError: The version was withdrawn.
        UntrustedModelError: Loading would run code that the caller does not trust; it says which.
        UnknownFormatError: No loader recognises the file.
        MissingBytesError: The bytes are nowhere to be had.
        IntegrityError: They are not the registered bytes.
        CacheError: They can't be kept.
        MissingDependencyError: The library of the format is not installed.
    """
    found = _find(reference, version, stage, registry, offline=offline)

    def load() -> object:
        return found.load(trust=trust, loader=loader, verify=verify, progress=progress)

    if copy:
        return load()
    if not isinstance(loader, str | None):
        raise InvalidInputError(f"loader={loader!r} must be the name of a loader, such as 'skops'")
    allowed = Given.parse(trust)
    key = (found.version, found.rev, found.digest, allowed, loader)
    return _models_of(found._reader).get(found.name, key, load)


def download(
    reference: str | ModelVersion,
    to: str | os.PathLike[str],
    *,
    version: str | None = None,
    stage: str | None = None,
    registry: Registry | str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    verify: Verify = "once",
    offline: bool = False,
    progress: Progress = None,
) -> Path:
    """Copy the verified file or folder of a model version into a folder: for images and batch jobs.

    It appears there whole or not at all. What is there already, with the same bytes, is left alone.

    Args:
        reference: As for ``load_model``.
        to: The folder, made if need be. The file or folder has in it the name that it has in the repository.
        version: Instead of a version in the reference.
        stage: Instead of a stage in the reference.
        registry: As for ``load_model``.
        overwrite: Replace what is there under that name with other bytes.
        verify: As for ``load_model``.
        offline: As for ``load_model``.
        progress: As for ``load_model``.

    Returns:
        Where it is now.

    Raises:
        NotFoundError: No such model, version, or holder of the stage.
        WithdrawnError: The version was withdrawn.
        InvalidInputError: Something else is there under that name, or ``to`` is a file.
        MissingBytesError: The bytes are nowhere to be had.
        IntegrityError: They are not the registered bytes.
        CacheError: They can't be kept.
    """
    found = _find(reference, version, stage, registry, offline=offline)
    return found.download(to, overwrite=overwrite, verify=verify, progress=progress)


def open_registry(target: Registry | str | os.PathLike[str] | None, *, offline: bool) -> Registry:
    """The registry; opened once a process, and again where what opening it goes by has changed."""
    if isinstance(target, Registry):
        return target
    key = (os.getcwd(), config.choose_target(target), bool(offline), config.token())
    known = _opened.get(key)
    if known is None:
        with _lock:
            known = _opened.get(key)
            if known is None:
                if len(_opened) >= _MOST_OPENED:
                    _opened.clear()
                known = _opened[key] = Registry(target, offline=offline)
    return known


def _find(
    reference: str | ModelVersion,
    version: str | None,
    stage: str | None,
    target: Registry | str | os.PathLike[str] | None,
    *,
    offline: bool,
) -> ModelVersion:
    if isinstance(reference, ModelVersion) and target is None and version is None and stage is None:
        found = reference
    else:
        found = open_registry(target, offline=offline).get(reference, version=version, stage=stage)
    if found.deprecated:
        warn(f"model {found.name!r} is deprecated", DeprecatedModelWarning)
    return found


def _models_of(reader: Reader) -> LoadedModels:
    found = _loaded.get(reader)
    if found is None:
        with _lock:
            found = _loaded.setdefault(reader, LoadedModels())
    return found
