"""load_model(): from a reference to the object, in one call."""

from __future__ import annotations

import os
import warnings

from modelregistry.errors import DeprecatedModelWarning
from modelregistry.progress import Progress
from modelregistry.registry import Registry
from modelregistry.version import Trust, Verify


def load_model(
    reference: str,
    *,
    version: str | None = None,
    stage: str | None = None,
    registry: Registry | str | os.PathLike[str] | None = None,
    trust: Trust = None,
    loader: str | None = None,
    verify: Verify = "once",
    offline: bool = False,
    progress: Progress = None,
) -> object:
    """The model that a reference names: resolved, its bytes verified, then loaded.

    Args:
        reference: ``churn#current``, ``churn@v1.2.0``, ``churn`` (the latest version).
        version: Instead of a version in the reference.
        stage: Instead of a stage in the reference.
        registry: A registry, or a path or Git URL of one. Left out: ``$MODELREGISTRY_URL``, else the current folder.
        trust: Names (``["mypkg.Clipper"]``) or digests (``["sha256:…"]``) to trust, or ``"code"`` for anything.
        loader: The loader to use, such as ``"skops"``; else the one that recognises the file.
        verify: ``"once"``: files that look as they did when they were last hashed are not hashed again; ``"always"``:
            every byte is.
        offline: Read a URL's mirror as it is, without the network.
        progress: Who is told while missing bytes are fetched: a callback of fsspec, True for a bar, False for none;
            left out, there is a bar where somebody looks and it takes long.

    Raises:
        NotFoundError: No such model, version, or holder of the stage.
        WithdrawnError: The version was withdrawn.
        UntrustedModelError: Loading would run code that the caller does not trust; it says which.
        UnknownFormatError: No loader recognises the file.
        MissingBytesError: The bytes are nowhere to be had.
        IntegrityError: They are not the registered bytes.
        MissingDependencyError: The library of the format is not installed.
    """
    opened = registry if isinstance(registry, Registry) else Registry(registry, offline=offline)
    found = opened.get(reference, version=version, stage=stage)
    if found.deprecated:
        warnings.warn(f"model {found.name!r} is deprecated", DeprecatedModelWarning, stacklevel=2)
    return found.load(trust=trust, loader=loader, verify=verify, progress=progress)
