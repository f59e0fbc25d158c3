"""What a DVC project takes in: objects that are known by their md5, into its cache; and what is at a URL."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from modelregistry.artifacts.dvcconfig import Project
from modelregistry.artifacts.dvcquiet import make_project, opened_project
from modelregistry.errors import (
    AccessDeniedError,
    CacheError,
    IntegrityError,
    InvalidInputError,
    MissingBytesError,
    MissingDependencyError,
    PathNotFoundError,
    RegistryError,
    WorkingCopyError,
)
from modelregistry.git.repo import GitRepo
from modelregistry.urlsecrets import without_secrets

_EXTRAS = ("s3", "gs", "azure", "ssh")


class DvcIntake:
    """The DVC project of a working copy that a path belongs to.

    Args:
        repo: The repository.
        path: The path, from the Git root.

    Attributes:
        base: The folder of the project.

    Raises:
        WorkingCopyError: The repository is bare, or there is no such project.
    """

    def __init__(self, repo: GitRepo, path: str) -> None:
        if repo.root is None:
            raise WorkingCopyError(
                f"{os.fspath(repo.git_dir)!r} is bare: nothing can be brought in there; open a clone of it"
            )
        bases = [folder for folder in (repo.root / path).parents if folder.is_relative_to(repo.root)]
        found = next((folder for folder in bases if (folder / ".dvc").is_dir()), None)
        if found is None:
            raise WorkingCopyError(
                f"{os.fspath(repo.root)!r} has no DVC project to keep {path!r} in: run 'dvc init' there, and commit it"
            )
        self.base = found
        config = found / ".dvc" / "config"
        self._project = Project(found, config.read_bytes() if config.is_file() else None)

    def has_remote(self) -> bool:
        """Whether the project has a default remote to push to."""
        return bool(self._project.settings.get("core", {}).get("remote"))

    def copies(self) -> bool:
        """Whether what lies in the working copy is a copy of what is in the cache, and no link to it."""
        kinds = self._project.settings.get("cache", {}).get("type", "")
        return {*kinds.replace(" ", "").split(",")} <= {"", "copy", "reflink"}

    def keeps(self, md5: str) -> bool:
        """Whether the cache has an object."""
        cache = self._project.cache
        return cache is not None and (cache / "files" / "md5" / md5[:2] / md5[2:]).is_file()

    def keep(self, objects: Mapping[str, Path | bytes], *, given: bool) -> None:
        """Have objects in the cache: each whole, under its md5, or not at all.

        Args:
            objects: Verified content, by md5 (with ``.dir`` at the end for a listing).
            given: Whether nobody else writes to the files, so that they need not be copied.

        Raises:
            CacheError: The cache can't be written.
        """
        cache = self._project.cache
        if cache is None:
            raise CacheError(
                None, f"the DVC cache of {os.fspath(self.base)!r} is not a folder on this machine"
            )
        is_shared = self._project.settings.get("cache", {}).get("shared") == "group"
        try:
            for md5, content in objects.items():
                _make_folder(cache / "files" / "md5" / md5[:2], is_shared=is_shared)
                _keep_one(cache / "files" / "md5" / md5[:2] / md5[2:], content, given=given)
        except OSError as error:
            raise CacheError(
                error.errno, f"the DVC cache {os.fspath(cache)!r} can't be written: {error.strerror or error}"
            ) from error

    def import_url(self, url: str, into: Path, name: str, *, version_aware: bool) -> bytes:
        """Have DVC import a URL into a project of its own; returns the text of the ``*.dvc`` file.

        Args:
            url: One that DVC knows; ``remote://name/path`` for one of the project's remotes.
            into: An empty folder for it.
            name: What the file or folder is to be called there.
            version_aware: Record the version that a store with versions keeps it as.

        Raises:
            MissingDependencyError: DVC needs a package for it.
            MissingBytesError: It can't be had.
        """
        remotes = {
            section.removeprefix("remote."): dict(options)
            for section, options in self._project.settings.items()
            if section.startswith("remote.")
        }
        try:
            make_project(into)
            with opened_project(into, config={"remote": remotes}) as project:
                stage = project.imp_url(url, out=os.fspath(into / name), version_aware=version_aware)
                _close(stage.deps[0].fs)
        except Exception as error:  # DVC's own, or that of the store
            raise _failed(url, error) from error
        return (into / f"{name}.dvc").read_bytes()


def _make_folder(folder: Path, *, is_shared: bool) -> None:
    """Make a folder of a cache; in one that a group shares, all of the group may write to it, as DVC has it."""
    if folder.is_dir():
        return
    _make_folder(folder.parent, is_shared=is_shared)
    with suppress(FileExistsError):  # somebody was faster, and it is theirs
        folder.mkdir()
        if is_shared:
            folder.chmod(0o2775)


def _keep_one(place: Path, content: Path | bytes, *, given: bool) -> None:
    if place.is_file() and _same(place, content):
        return
    md5 = place.parent.name + place.name
    temporary = place.with_name(f".{place.name}-{os.urandom(6).hex()}")
    try:
        if isinstance(content, bytes):
            temporary.write_bytes(content)
        else:
            if given:
                with suppress(OSError):  # another file system
                    os.link(content.resolve(), temporary)
            if not temporary.exists():
                _copy(content, temporary, md5)
        temporary.chmod(0o444)
        temporary.replace(place)
    finally:
        temporary.unlink(missing_ok=True)


def _copy(source: Path, target: Path, md5: str) -> None:
    """Copy a file that may be written to meanwhile."""
    found = hashlib.md5(usedforsecurity=False)
    with open(source, "rb") as reading, open(target, "wb") as writing:
        while chunk := reading.read(1 << 20):
            found.update(chunk)
            writing.write(chunk)
    if found.hexdigest() != md5:
        raise IntegrityError(
            f"{os.fspath(source)!r} changed while it was read: try again once nobody writes to it",
            path=os.fspath(source), expected=f"md5:{md5}", found=f"md5:{found.hexdigest()}",
        )  # fmt: skip


def _same(place: Path, content: Path | bytes) -> bool:
    """Whether the object that is there is the content, and not a damaged one."""
    if isinstance(content, bytes):
        return place.read_bytes() == content
    if place.stat().st_size != content.stat().st_size:
        return False
    if place.samefile(content):
        return True
    with open(place, "rb") as one, open(content, "rb") as other:
        while chunk := one.read(1 << 20):
            if chunk != other.read(len(chunk)):
                return False
    return True


def _close(filesystem: Any) -> None:
    """DVC leaves it to the garbage collector, which complains of HTTP sessions that are still open."""
    from fsspec.asyn import sync

    session: Any = getattr(filesystem.fs, "_session", None)
    if hasattr(session, "close"):
        with suppress(Exception):
            sync(filesystem.fs.loop, session.close, timeout=5)


def _failed(url: str, error: Exception) -> RegistryError:
    scheme = url.partition("://")[0]
    if isinstance(error, ImportError) or type(error).__name__ == "RemoteMissingDepsError":
        package = f"'modelregistry[{scheme}]'" if scheme in _EXTRAS else f"dvc-{scheme}"
        return MissingDependencyError(f"{scheme} URLs need a package that is not here: pip install {package}")
    if isinstance(error, FileNotFoundError) or type(error).__name__ in (
        "URLMissingError", "DependencyDoesNotExistError"
    ):  # fmt: skip
        return PathNotFoundError(f"nothing is at {without_secrets(url)!r}, or it can't be reached")
    if isinstance(error, PermissionError):
        return AccessDeniedError(
            f"{without_secrets(url)!r} can't be read by you: log in, or ask for the right"
        )
    if type(error).__name__ in ("RemoteNotFoundError", "InvalidArgumentError"):
        return InvalidInputError(f"{without_secrets(url)!r} can't be imported: {without_secrets(str(error))}")
    said = without_secrets(f"{type(error).__name__}: {error}".splitlines()[0])[:300]
    return MissingBytesError(
        f"{without_secrets(url)!r} can't be had ({said}): check the address, the network and your credentials",
        paths=[without_secrets(url)],
    )
