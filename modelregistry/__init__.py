"""An ML model registry over Git and DVC, with no server.

Nothing heavy is imported until a name is used::

    import modelregistry as mr

    registry = mr.Registry(".")
    registry.register("churn", bump="minor", message="more data")
    registry.promote("churn", "v0.2.0", "current", message="better AUC")
    model = mr.load_model("churn", stage="current")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from modelregistry.collector import paused

if TYPE_CHECKING:
    from modelregistry.catalog import Catalog
    from modelregistry.display.listing import Model
    from modelregistry.errors import (
        AccessDeniedError,
        CacheError,
        ConflictError,
        ConversionError,
        DatabaseError,
        DeprecatedModelWarning,
        EnvironmentMismatchWarning,
        ExportError,
        GitError,
        GitTimeoutError,
        IntegrityError,
        InvalidFileError,
        InvalidInputError,
        InvalidNameError,
        InvalidReferenceError,
        InvalidSettingsError,
        MissingBytesError,
        MissingDependencyError,
        ModelNotFoundError,
        NotDeclaredError,
        NotFoundError,
        OutcomeUnknownError,
        PartialViewWarning,
        PartlyRegisteredError,
        PathNotFoundError,
        QueryError,
        RefusedError,
        RegistryError,
        RegistryWarning,
        RemoteError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
        RewoundError,
        SchemaError,
        SeveralHoldersError,
        SignatureError,
        StageEmptyError,
        UncountedEventWarning,
        UnknownFormatError,
        UnreachableError,
        UntrustedModelError,
        VersionExistsError,
        VersionNotFoundError,
        WithdrawnError,
        WorkingCopyError,
    )
    from modelregistry.exports.check import verify_export
    from modelregistry.exports.manifest import Exported, ExportManifest
    from modelregistry.intake.imports import Import, ImportUpdate
    from modelregistry.lineage.declared import Input
    from modelregistry.loading.following import follow
    from modelregistry.loading.loading import download, load_model
    from modelregistry.log.history import ANY, EMPTY
    from modelregistry.mlflow.migration import Migration, MigrationStep
    from modelregistry.names import Reference
    from modelregistry.plugins import migrate, open_backend, register_exporter, register_loader
    from modelregistry.refevent import event_from_ref
    from modelregistry.registry import Registry
    from modelregistry.site.writer import Site
    from modelregistry.version import ModelVersion

__version__ = "0.1.0"

_HOMES = {
    "ANY": "log.history",
    "Catalog": "catalog",
    "EMPTY": "log.history",
    "ExportManifest": "exports.manifest",
    "Exported": "exports.manifest",
    "Migration": "mlflow.migration",
    "MigrationStep": "mlflow.migration",
    "Import": "intake.imports",
    "ImportUpdate": "intake.imports",
    "Input": "lineage.declared",
    "Model": "display.listing",
    "ModelVersion": "version",
    "Reference": "names",
    "Registry": "registry",
    "Site": "site.writer",
    "download": "loading.loading",
    "event_from_ref": "refevent",
    "follow": "loading.following",
    "load_model": "loading.loading",
    "migrate": "plugins",
    "open_backend": "plugins",
    "register_exporter": "plugins",
    "register_loader": "plugins",
    "verify_export": "exports.check",
}

__all__ = [
    "ANY",
    "EMPTY",
    "AccessDeniedError",
    "CacheError",
    "Catalog",
    "ConflictError",
    "ConversionError",
    "DatabaseError",
    "DeprecatedModelWarning",
    "EnvironmentMismatchWarning",
    "ExportError",
    "ExportManifest",
    "Exported",
    "GitError",
    "GitTimeoutError",
    "Import",
    "ImportUpdate",
    "Input",
    "IntegrityError",
    "InvalidFileError",
    "InvalidInputError",
    "InvalidNameError",
    "InvalidReferenceError",
    "InvalidSettingsError",
    "Migration",
    "MigrationStep",
    "MissingBytesError",
    "MissingDependencyError",
    "Model",
    "ModelNotFoundError",
    "ModelVersion",
    "NotDeclaredError",
    "NotFoundError",
    "OutcomeUnknownError",
    "PartialViewWarning",
    "PartlyRegisteredError",
    "PathNotFoundError",
    "QueryError",
    "Reference",
    "RefusedError",
    "Registry",
    "RegistryError",
    "RegistryWarning",
    "RemoteError",
    "RepositoryNotFoundError",
    "RevisionNotFoundError",
    "RewoundError",
    "SchemaError",
    "SeveralHoldersError",
    "SignatureError",
    "Site",
    "StageEmptyError",
    "UncountedEventWarning",
    "UnknownFormatError",
    "UnreachableError",
    "UntrustedModelError",
    "VersionExistsError",
    "VersionNotFoundError",
    "WithdrawnError",
    "WorkingCopyError",
    "__version__",
    "download",
    "event_from_ref",
    "follow",
    "load_model",
    "migrate",
    "open_backend",
    "register_exporter",
    "register_loader",
    "verify_export",
]


def load_ipython_extension(shell: Any) -> None:
    """Complete references, versions and stages in IPython and Jupyter: ``%load_ext modelregistry``."""
    from modelregistry.display.completion import attach

    attach(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Complete them no more: ``%unload_ext modelregistry``."""
    from modelregistry.display.completion import detach

    detach(shell)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with paused():
        value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
