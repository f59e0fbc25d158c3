"""verify_export(): is what lies at a target whole, and what its manifest says?"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping
from typing import Any

from modelregistry.content.identity import whole_digest
from modelregistry.errors import (
    IntegrityError,
    InvalidFileError,
    InvalidInputError,
    MissingBytesError,
    NotFoundError,
)
from modelregistry.exports.manifest import MANIFEST, ExportManifest
from modelregistry.exports.state import There, flaws
from modelregistry.exports.target import Target
from modelregistry.log.events import FileDigest
from modelregistry.progress import Progress, check_progress

_DIGEST = re.compile("sha256:[0-9a-f]{64}")


def verify_export(
    target: str | os.PathLike[str],
    *,
    digest: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    progress: Progress = None,
) -> ExportManifest:
    """Check an export against its ``manifest.json``, byte by byte, where it is received. No registry is needed.

    The manifest comes from the same place as the files, and whoever can write there can change both. To know that these
    are the registered bytes, pass the digest that the registry told (``version.digest``).

    Args:
        target: The folder, or a URL that fsspec knows.
        digest: ``sha256:…`` of the version that it must be.
        storage_options: What the file system of the URL takes.
        progress: As for ``load_model``.

    Returns:
        The manifest.

    Raises:
        InvalidInputError: ``digest`` is none.
        NotFoundError: There is no manifest: nothing was exported there, or an export is under way or was broken off.
        InvalidFileError: The manifest is none, contradicts itself, or is of another version of its schema.
        MissingBytesError: Files are missing.
        IntegrityError: Files are not what was exported, the version is another one, or there are files too many.
        ExportError: The target can't be read.
    """
    check_progress(progress)
    if digest is not None and not (isinstance(digest, str) and _DIGEST.fullmatch(digest)):
        raise InvalidInputError(
            f"digest={digest!r} is none: pass version.digest, 'sha256:' and 64 hexadecimal digits in lower case"
        )
    place = Target(target, storage_options)
    there = There.look(place)
    manifest = there.manifest
    if manifest is None:
        reason = (
            "an export to it did not end" if there.unfinished is not None else "nothing was exported there"
        )
        raise NotFoundError(f"{place.url!r} has no {MANIFEST}: {reason}")
    _check_itself(manifest, place.shown(MANIFEST))
    if digest is not None and manifest.digest != digest:
        raise IntegrityError(
            f"{place.url!r} is {manifest.reference}, and not the version that was expected: expected {digest}, found "
            f"{manifest.digest}",
            path=MANIFEST, expected=digest, found=manifest.digest,
        )  # fmt: skip
    if odd := there.foreign(file.path for file in manifest.files):
        raise IntegrityError(
            f"{place.url!r} holds {odd[0]!r}, which {MANIFEST} does not list: remove it, or export anew",
            path=odd[0], expected="no file", found="a file",
        )  # fmt: skip
    found = flaws(place, manifest, there.files, progress)
    if missing := sorted(path for path, sha256 in found.items() if sha256 is None):
        raise MissingBytesError(
            f"{len(missing)} of {len(manifest.files)} files of {manifest.reference} are not at {place.url!r}, "
            f"{missing[0]!r} for one: export it again",
            paths=missing,
        )
    for path, sha256 in sorted(found.items()):
        expected = next(file.sha256 for file in manifest.files if file.path == path)
        raise IntegrityError(
            f"{place.shown(path)!r} is not what was exported: expected {expected}, found {sha256}; nothing was parsed: "
            "export it again with overwrite=True",
            path=path, expected=f"sha256:{expected}", found=str(sha256),
        )  # fmt: skip
    return manifest


def _check_itself(manifest: ExportManifest, place: str) -> None:
    """Refuse a manifest whose digest is not that of the files it lists."""
    for listed in (manifest.files, manifest.contents):
        if len({file.path for file in listed}) != len(listed):
            raise InvalidFileError(f"{place!r} contradicts itself: it lists a file twice", path=place)
    contents = [FileDigest(path=file.path, sha256=file.sha256, size=file.size) for file in manifest.contents]
    names = {whole_digest(contents, is_directory=True)}
    if len(contents) == 1:
        names.add(whole_digest(contents, is_directory=False))
    if manifest.digest not in names:
        raise InvalidFileError(
            f"{place!r} contradicts itself: its digest is not that of its contents", path=place
        )
    if manifest.artifact is None:
        return
    files = {file.path: file for file in manifest.files}
    for file in manifest.contents:
        paths = (posixpath.normpath(f"{manifest.artifact}/{file.path}"), manifest.artifact)
        if not any(path in files and files[path].sha256 == file.sha256 for path in paths):
            raise InvalidFileError(
                f"{place!r} contradicts itself: {file.path!r} is in the artifact, and not among the files",
                path=place,
            )
