"""A version leaves: laid out by an exporter, written to a target, and told in a manifest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from modelregistry.content.store import hash_file
from modelregistry.errors import ExportError, InvalidInputError, RegistryError
from modelregistry.exporters.base import Arrangement, Exporter, ExportFile, Source
from modelregistry.exports.bom import BOM
from modelregistry.exports.manifest import Exported, ExportManifest, ManifestFile
from modelregistry.exports.state import OURS, UNFINISHED, There, flaws
from modelregistry.exports.target import Target
from modelregistry.exports.writing import Writing
from modelregistry.progress import Progress, reported
from modelregistry.version import ModelVersion


def export(
    version: ModelVersion,
    to: str | os.PathLike[str],
    exporter: Exporter,
    *,
    bring: Callable[[], Source],
    bom: bool,
    overwrite: bool,
    storage_options: Mapping[str, Any] | None,
    progress: Progress,
) -> Exported:
    """Have the version at the target.

    Args:
        version: The version.
        to: The folder, or what the exporter itself delivers to.
        exporter: What lays it out.
        bring: Gives the verified bytes.
        bom: Whether its bill of materials is to be with them.
        overwrite: Replace what another export left there, or what has the name of one of its files.
        storage_options: What the file system of the URL takes.
        progress: Who is told.

    Raises:
        InvalidInputError: Something else is there, or it is no target.
        ExportError: It can't be written, or is not there as it was written.
        IntegrityError: The bytes are not the registered bytes.
    """
    if isinstance(to, str) and to.partition("://")[0] in exporter.schemes:
        return _deliver(
            to, exporter, bring(), overwrite=overwrite, options=storage_options or {}, progress=progress
        )
    target = Target(to, storage_options)
    there = There.look(target)
    if _is_there(there, version, exporter, overwrite=overwrite, target=target):
        assert there.manifest is not None
        is_enough = there.manifest.bom or not bom
        if is_enough and not flaws(target, there.manifest, there.files, progress):
            if there.unfinished is not None:
                target.remove(UNFINISHED)
            return Exported(target.url, there.manifest, ())
    source = bring()
    with TemporaryDirectory(prefix="modelregistry-") as scratch:
        arrangement = _arrange(source, exporter, Path(scratch))
        plan = _plan(_all_files(source, arrangement), exporter)
        manifest = _manifest(source, exporter, plan, arrangement)
        written = Writing(target, there, plan, manifest).run(overwrite=overwrite, progress=progress)
    return Exported(target.url, manifest, written)


def _deliver(
    to: str,
    exporter: Exporter,
    source: Source,
    *,
    overwrite: bool,
    options: Mapping[str, Any],
    progress: Progress,
) -> Exported:
    """Have the exporter itself bring it where no file system is."""
    with TemporaryDirectory(prefix="modelregistry-") as scratch:
        arrangement = _arrange(source, exporter, Path(scratch))
        plan = _plan(_all_files(source, arrangement), exporter)
        manifest = _manifest(source, exporter, plan, arrangement)
        with reported(progress, f"exporting {manifest.reference}") as report:
            place, written = exporter.deliver(plan, to, overwrite=overwrite, options=options, report=report)
    return Exported(place, manifest, tuple(written))


def _is_there(
    there: There, version: ModelVersion, exporter: Exporter, *, overwrite: bool, target: Target
) -> bool:
    """Whether the target has the manifest of the very same.

    Raises:
        InvalidInputError: An export of something else is there, and is not to be overwritten.
    """
    if there.identity is None:
        return False
    format_, registry, name, number, digest = there.identity
    wanted = (exporter.name, version.registered.registry, version.name, version.version)
    if (format_, registry, name, number) == wanted and version.digest in (None, digest):
        return there.manifest is not None
    if overwrite:
        return False
    state = "is there already" if there.manifest is not None else "is there in part"
    raise InvalidInputError(
        f"{target.url!r}: {name}@{number} ({digest}) {state}, by the exporter {format_!r}; to put {version.reference} "
        "in its place say overwrite=True, or name a folder of its own"
    )


def _arrange(source: Source, exporter: Exporter, scratch: Path) -> Arrangement:
    try:
        return exporter.arrange(source, scratch)
    except RegistryError:
        raise
    except OSError as error:
        raise ExportError(
            f"{source.version.reference} can't be laid out by exporter {exporter.name!r} in {os.fspath(scratch.parent)!r} "
            f"({error.strerror or error}): make room there, or set $TMPDIR to another folder"
        ) from error


def _all_files(source: Source, arrangement: Arrangement) -> Sequence[ExportFile]:
    if source.bom is None or arrangement.has_bom:
        return arrangement.files
    return (*arrangement.files, ExportFile(BOM, source.bom))


def _plan(files: Sequence[ExportFile], exporter: Exporter) -> dict[str, ExportFile]:
    """What is to be there, by path; what was not hashed yet is."""
    plan: dict[str, ExportFile] = {}
    for file in files:
        parts = PurePosixPath(file.path).parts
        if not parts or parts[0] == "/" or ".." in parts or file.path != "/".join(parts):
            raise ExportError(
                f"exporter {exporter.name!r} names a file {file.path!r}, which no target can have"
            )
        if file.path in plan or file.path in OURS:
            raise ExportError(
                f"exporter {exporter.name!r} has two files for {file.path!r}: rename the artifact, or choose another "
                "format"
            )
        plan[file.path] = file if file.sha256 is not None else replace(file, sha256=_sha256(file.content))
    return plan


def _sha256(content: Path | bytes) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    return hash_file(content).sha256.removeprefix("sha256:")


def _manifest(
    source: Source, exporter: Exporter, plan: Mapping[str, ExportFile], arrangement: Arrangement
) -> ExportManifest:
    version = source.version
    signature = version.signature
    contents = tuple(
        ManifestFile(path=file.path, size=file.size or 0, sha256=str(file.sha256)) for file in source.files
    )
    return ExportManifest(
        format=exporter.name, registry=version.registered.registry, name=version.name, version=version.version,
        digest=source.digest, size=sum(file.size for file in contents), state=version.state, stages=version.stages,
        exported_at=datetime.now(UTC).replace(microsecond=0), rev=version.rev, source_rev=version.source_rev,
        path=version.path, created_at=version.created_at, author=version.author, message=version.message,
        type=version.type, labels=version.labels, description=version.description, loader=source.loader,
        signature=signature.to_dict() if signature is not None else None,
        environment=dict(version.environment) if version.environment is not None else None,
        metadata=dict(version.metadata), lineage=source.lineage.to_dict(), artifact=arrangement.artifact, contents=contents,
        bom=source.bom is not None,
        files=tuple(
            ManifestFile(path=path, size=file.size, sha256=str(file.sha256)) for path, file in sorted(plan.items())
        ),
    )  # fmt: skip
