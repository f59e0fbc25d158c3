"""Puts files and folders into the cache of a DVC project, as ``dvc add`` does, and leaves the project's own files alone."""

from __future__ import annotations

import fcntl
import os
import posixpath
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from modelregistry.artifacts.dvcquiet import first_failure, heard_failures, importing_dvc, opened_project
from modelregistry.errors import CacheError, RefusedError, WorkingCopyError
from modelregistry.git.repo import GitRepo

_PATIENCE = 600.0
"""Seconds that another DVC is waited for: what was trained is worth more than they are."""
_SCRATCH = "modelregistry-"


class DvcAdder:
    """Brings bytes into the DVC projects of a working copy.

    What is in the cache and in no ``.dvc`` file does no harm, so a call that is killed leaves nothing to mend.

    Args:
        repo: The repository.
    """

    def __init__(self, repo: GitRepo) -> None:
        self._repo = repo
        # DVC follows links to its project, and takes what is not below that for somewhere else.
        self._root = Path(os.path.realpath(repo.root)) if repo.root is not None else None

    def check(self, path: str, *, pushed: bool = False) -> None:
        """Refuse what could not be added, before anything is made.

        Args:
            path: Where the file or folder is to be, from the Git root.
            pushed: Whether it will be pushed to the project's remote.

        Raises:
            WorkingCopyError: No DVC project there; or something lies there whose bytes are in no cache, so that it
                would be lost.
            RefusedError: The project keeps it in another way, as the output of a step for one; or it has no remote; or
                another DVC is at work there.
        """
        with self._opened(path) as project:
            out = _output(project, self._place(path))
            remote = out.remote or project.config["core"].get("remote")
            if pushed and not remote:
                raise RefusedError(
                    f"{path!r} can't be pushed: the DVC project has no default remote: 'dvc remote add -d NAME URL'"
                )
            if remote and remote not in project.config["remote"]:  # then DVC has nothing lie anywhere, either
                raise RefusedError(
                    f"the DVC project has no remote {remote!r}, which is to have {path!r}: 'dvc remote add {remote} URL'"
                )
            if not _is_kept(out):
                raise WorkingCopyError(
                    f"at {path!r} lies something whose bytes DVC does not have: 'dvc add' or 'dvc commit' it, or move "
                    "it away"
                )

    def add(self, path: str, source: Path) -> bytes:
        """Put ``source`` into the cache; returns the text of the ``.dvc`` file by which it is at ``path``.

        What such a file says already, a description for one, stays.

        Args:
            path: Where the file or folder is to be, from the Git root.
            source: Where it lies, in or out of the repository. It stays there.

        Raises:
            WorkingCopyError: No DVC project there.
            RefusedError: As of ``check``.
            CacheError: The cache can't be written.
        """
        with self._opened(path) as project:
            from dvc.stage.serialize import to_single_stage_file
            from dvc.utils.serialize import dumps_yaml

            out = _output(project, self._place(path))
            out.update_legacy_hash_name(force=True)
            try:
                _transfer(out, os.fspath(source))
            except OSError as error:
                raise CacheError(
                    error.errno or 0, f"{path!r} can't be put into the DVC cache: {error}"
                ) from error
            text: str = dumps_yaml(to_single_stage_file(out.stage))
            return text.encode()

    def place(self, path: str) -> None:
        """Have what the ``.dvc`` file says lie at ``path``, as ``dvc checkout`` does.

        Raises:
            WorkingCopyError: It can't be written.
            RefusedError: Another DVC is at work there.
        """
        with self._opened(path) as project:
            from dvc.exceptions import CheckoutError

            try:
                project.checkout(targets=[f"{self._place(path)}.dvc"], force=True)
            except (CheckoutError, OSError) as error:
                raise WorkingCopyError(
                    f"{path!r} can't be written ({error}): 'dvc checkout {path}.dvc' once it can"
                ) from error

    @contextmanager
    def scratch(self, path: str) -> Iterator[Path]:
        """A folder of the project that Git does not see, for as long as the body runs; those of killed calls go.

        Raises:
            WorkingCopyError: No DVC project there, or one that can't be written.
        """
        top = self._project(path) / ".dvc" / "tmp"
        try:
            top.mkdir(exist_ok=True)
            for left in top.glob(f"{_SCRATCH}*"):
                _remove_if_left(left)
            folder, descriptor = _own_folder(top)
        except OSError as error:
            raise WorkingCopyError(f"{os.fspath(top)!r} can't be written: {error.strerror}") from error
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)

    # -- inside --------------------------------------------------------------------------------------------

    def _place(self, path: str) -> Path:
        if self._root is None:
            raise WorkingCopyError(
                f"{os.fspath(self._repo.git_dir)!r} is bare: DVC adds files of a working copy"
            )
        return self._root / path

    def _project(self, path: str) -> Path:
        """The folder of the DVC project that ``path`` is in."""
        folder = posixpath.dirname(path)
        while not (place := self._place(folder)).joinpath(".dvc").is_dir():
            if not folder:
                raise WorkingCopyError(
                    f"{path!r} is in no DVC project: run 'dvc init' in {os.fspath(place)!r} and commit what it makes"
                )
            folder = posixpath.dirname(folder)
        return place

    @contextmanager
    def _opened(self, path: str) -> Iterator[Any]:
        """The project, which no other DVC changes meanwhile."""
        top = self._project(path)
        with importing_dvc():
            from dvc.exceptions import DvcException
        try:
            with ExitStack() as held:
                try:
                    project = held.enter_context(opened_project(top))
                    _lock(project, top, held)
                except OSError as error:
                    raise WorkingCopyError(
                        f"the DVC project {os.fspath(top)!r} can't be opened: {error}"
                    ) from error
                yield project
        except DvcException as error:
            raise RefusedError(f"DVC can't keep {path!r}: {' '.join(str(error).split())}") from error


def _lock(project: Any, top: Path, held: ExitStack) -> None:
    """Hold the lock of DVC until ``held`` is left; another DVC may have it for a while."""
    from dvc.lock import LockError
    from dvc.repo import lock_repo

    end = time.monotonic() + _PATIENCE
    while True:
        try:
            held.enter_context(lock_repo(project))  # which itself tries for some seconds
            return
        except LockError as error:
            if time.monotonic() > end:
                raise RefusedError(
                    f"another DVC has been at work in {os.fspath(top)!r} for {_PATIENCE:g} seconds: try again once it is done"
                ) from error


def _output(project: Any, place: Path) -> Any:
    """The output that ``place`` is in its own ``.dvc`` file, whether that exists or not."""
    from dvc.repo.add import get_or_create_stage, translate_graph_error

    place.parent.mkdir(
        parents=True, exist_ok=True
    )  # DVC asks for the folder, and an empty one is nothing to Git
    stage, _ = get_or_create_stage(project, os.fspath(place))
    if stage.deps or stage.path != f"{place}.dvc":
        file = os.path.relpath(stage.path, project.root_dir)
        how = (
            f"comes from elsewhere, by {file!r}"
            if stage.deps
            else f"is in the folder that {file!r} keeps as one"
        )
        raise RefusedError(f"{place.name!r} {how}: choose another path")
    with translate_graph_error([stage]):
        project.check_graph(stages=[stage])
    return stage.outs[0]


def _transfer(out: Any, source: str) -> None:
    """Have the cache hold what lies at ``source``, and the output say so.

    DVC's own ``transfer`` copies first and asks then: what the cache has already would lie in it twice, under a name that
    nobody removes.

    Raises:
        OSError: The cache can't be written.
    """
    from dvc_data.hashfile.transfer import transfer

    staging, out.meta, found = out._build(out.cache, source, out.fs, "md5", no_progress_bar=True)
    with heard_failures([found.hash_info.value, *_files_of(found)]) as failures:
        failed = transfer(staging, out.cache, {found.hash_info}, hardlink=False, shallow=False).failed
    if failed:
        failure = first_failure(failures, failed)
        raise failure if isinstance(failure, OSError) else OSError(str(failure))
    out.hash_info, out.files = found.hash_info, None


def _is_kept(out: Any) -> bool:
    """Whether nothing would be lost if what lies at the place of an output went: DVC's cache has it, or it is nothing."""
    if not os.path.lexists(out.fs_path):
        return True
    _, _, found = out._build(
        out.cache, out.fs_path, out.fs, "md5", ignore=out.dvcignore, dry_run=True, no_progress_bar=True
    )
    return all(out.cache.exists(each) for each in _files_of(found) or [found.hash_info.value])


def _files_of(built: Any) -> list[str]:
    """The hashes of the files of a folder; none of a file."""
    return [item.value for _, _, item in built] if built.hash_info.isdir else []


def _own_folder(top: Path) -> tuple[Path, int]:
    """A new folder, and a descriptor that holds its lock."""
    while True:
        folder = top / f"{_SCRATCH}{secrets.token_hex(8)}"
        folder.mkdir()
        with suppress(FileNotFoundError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # let go of when this process ends, however it does
            if folder.is_dir():
                return folder, descriptor
            os.close(descriptor)
        # Before it was locked, another call took it for one that was left.


def _remove_if_left(folder: Path) -> None:
    """Remove the folder, unless the process that made it lives."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)
