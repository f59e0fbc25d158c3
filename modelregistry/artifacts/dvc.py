"""Finds what DVC tracks by the project's own files, and brings bytes through DVC's remotes; the one door to DVC."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import posixpath
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from modelregistry.artifacts.base import Arrived, Content, Entry, Report, Storage
from modelregistry.artifacts.dvcconfig import Project
from modelregistry.artifacts.dvcfetch import Fetcher
from modelregistry.artifacts.dvcoutputs import find_output
from modelregistry.artifacts.dvcquiet import first_failure, heard_failures, importing_dvc, opened_project
from modelregistry.artifacts.dvcruns import has_run, was_committed_here
from modelregistry.errors import IntegrityError, InvalidFileError, MissingBytesError, RegistryError
from modelregistry.git.repo import GitRepo
from modelregistry.project.dvcfiles import (
    CARRIED,
    ListedFile,
    Output,
    listing_md5,
    object_path,
    read_manifest,
)
from modelregistry.trust.privatefile import make_private
from modelregistry.urlsecrets import without_secrets

_FEW_BYTES = 1 << 20
_MAX_LISTING_BYTES = 128 << 20
_EXTRAS = ("s3", "gs", "azure", "ssh")
_log = logging.getLogger("modelregistry")


class DvcStorage(Storage):
    """What DVC tracks in one Git repository.

    Args:
        repo: The repository.
        home: A folder of ours: what must be kept goes below ``home / "dvc"``.
        source: Where the repository was cloned from, if it is a mirror: relative remotes lead from there.
    """

    name: ClassVar[str] = "dvc"

    def __init__(self, repo: GitRepo, *, home: Path, source: str | None = None) -> None:
        self._repo = repo
        self._home = home / "dvc"
        self._source = source
        self._origins: dict[str, _Origin] = {}

    # -- locating ------------------------------------------------------------------------------------------

    def locate(self, rev: str, path: str) -> Content | None:
        """What ``path`` consists of at commit ``rev``; None if DVC does not keep it.

        Files that DVC 2 tracked have the address ``md5-dos2unix:…``: an md5 over text with its line ends
        changed, so a caller can't verify such a file by its md5.

        Raises:
            InvalidFileError: A metadata file on the way can't be read, or says what only DVC can work out.
            IntegrityError: A directory's listing is not the recorded one.
            MissingBytesError: A directory's listing can't be found.
            PathNotFoundError: ``path`` is no output, but a folder that holds some.
        """
        path = posixpath.normpath(path)
        if path == "." or path.startswith(("/", "../")) or path == "..":
            return None
        output = find_output(self._repo, rev, path)
        if output is None:
            return None
        out = output.out
        origin = _Origin(self._project, output, rev)
        kind = "md5-dos2unix" if out.legacy else "md5"
        if out.files:
            listed: Sequence[ListedFile] = sorted(out.files, key=lambda file: file.path)
        elif out.md5 is None:
            raise InvalidFileError(
                f"{output.file!r} records no md5 for {path!r}: DVC has not fetched it yet, or a cloud keeps its "
                "versions, which is not supported here. 'dvc update' or 'dvc commit' it, and commit the file",
                path=output.file,
            )
        elif out.is_directory:
            listed = self._listing(origin, Entry(f"{output.path}/", f"{kind}:{out.md5}"))
        else:
            entry = Entry(posixpath.basename(path), f"{kind}:{out.md5}", out.size)
            return self._content(path, [entry], origin, address=entry.address)
        if path == output.path:
            address = f"{kind}:{out.md5 or listing_md5(listed)}"
            entries = [Entry(file.path, f"{kind}:{file.md5}", file.size) for file in listed]
            return self._content(path, entries, origin, address=address, is_directory=True)
        inside = path[len(output.path or "") + 1 :]
        for file in listed:
            if file.path == inside:
                entry = Entry(posixpath.basename(path), f"{kind}:{file.md5}", file.size)
                return self._content(path, [entry], origin, address=entry.address)
        entries = [
            Entry(file.path[len(inside) + 1 :], f"{kind}:{file.md5}", file.size)
            for file in listed
            if file.path.startswith(f"{inside}/")
        ]
        return self._content(path, entries, origin, is_directory=True) if entries else None

    def _content(
        self,
        path: str,
        entries: Sequence[Entry],
        origin: _Origin,
        *,
        address: str = "",
        is_directory: bool = False,
    ) -> Content:
        for entry in entries:
            self._origins[entry.address] = origin
        return Content(self.name, path, tuple(entries), is_directory, address)

    def _listing(self, origin: _Origin, entry: Entry) -> Sequence[ListedFile]:
        """The files of a directory output."""
        return read_manifest(self._listing_text(origin, entry), entry.path.rstrip("/"))

    def _listing_text(self, origin: _Origin, entry: Entry) -> bytes:
        """What lists them: from what we kept, from the cache, or from the remote.

        It is kept in any case: the files may stay here longer than in either of the two.
        """
        md5 = entry.address.partition(":")[2]
        self._origins.setdefault(entry.address, origin)
        kept = self._home / "listings" / md5
        with suppress(OSError):
            if _md5(data := _read_listing(kept, entry)) == md5:
                return data
        place = self.find(entry)
        data = _read_listing(place, entry) if place is not None else self._fetch_listing(entry)
        if (found := _md5(data)) != md5:
            where = repr(os.fspath(place)) if place is not None else "the object in the remote"
            raise IntegrityError(
                f"the listing of {entry.path.rstrip('/')!r} is not the recorded one: {where} has the md5 {found!r}; "
                "delete the damaged object and 'dvc push' it again where the files are",
                path=entry.path.rstrip("/"),
                expected=entry.address,
                found=f"md5:{found}",
            )
        with suppress(OSError):  # where nothing can be written, the next process looks for it again
            make_private(kept.parent)
            temporary = kept.with_name(f".{os.getpid()}-{os.urandom(6).hex()}")
            temporary.write_bytes(data)
            temporary.replace(kept)
        return data

    def objects(self, content: Content, rev: str, files: Mapping[str, Path]) -> Mapping[str, Path | bytes]:
        """The objects that DVC keeps of an artifact: its files, and the listing that leads to them."""
        found: dict[str, Path | bytes] = {}
        for entry in content.entries:
            if name := object_path(entry.address):
                found[name] = files[entry.path]
        output = find_output(self._repo, rev, content.path)
        if output is not None and output.out.md5 and output.out.is_directory and not output.out.files:
            address = f"{'md5-dos2unix' if output.out.legacy else 'md5'}:{output.out.md5}"
            listing = Entry(f"{output.path}/", address)
            if name := object_path(address):
                found[name] = self._listing_text(_Origin(self._project, output, rev), listing)
        return found

    def _fetch_listing(self, entry: Entry) -> bytes:
        found: list[bytes] = []

        def read(filesystem: Any, path: str, entry: Entry) -> bool:
            try:
                _check_size(filesystem.info(path).get("size") or 0, entry)
                found.append(filesystem.cat_file(path))
            except FileNotFoundError as error:
                if not _is_lost(error):
                    raise
                return False
            return True

        self._check_found(self._visit([entry], read))
        return found[0]

    # -- the project and its cache -------------------------------------------------------------------------

    def _project(self, file: str, rev: str) -> Project:
        """The DVC project that ``file`` of commit ``rev`` belongs to."""
        folders = [posixpath.dirname(file)]
        while folders[-1]:
            folders.append(posixpath.dirname(folders[-1]))
        root = self._repo.root
        if root is not None:
            for folder in folders:
                base = root / folder
                if (base / ".dvc").is_dir():
                    config = base / ".dvc" / "config"
                    return Project(base, config.read_bytes() if config.is_file() else None)
        # Where remotes are is what the default branch says today, not what a commit of last year said.
        for branch in (*self._repo.default_branches(), rev):
            names = [f"{branch}:{posixpath.join(folder, '.dvc/config')}" for folder in folders]
            for folder, blob in zip(folders, self._repo.read(names, limit=_FEW_BYTES), strict=True):
                if blob is not None and blob.data is not None:
                    source = root or _folder(self._source, self._repo.git_dir)
                    return Project(source / folder if source else None, blob.data, root is not None)
        return Project(root, None, root is not None)

    def find(self, entry: Entry) -> Path | None:
        """Where the bytes lie in the cache of the DVC project, or came with a bundle (unverified), or None."""
        place = self._in_folder(entry.address, self._origin(entry).project.cache)
        return place if place is not None else self._in_folder(entry.address, self._carried)

    def cached(self, address: str, file: str, rev: str) -> Path | None:
        """Where bytes lie in the cache of the DVC project that ``file`` of commit ``rev`` belongs to, or None."""
        return self._in_folder(address, self._project(file, rev).cache)

    @cached_property
    def _carried(self) -> Path | None:
        """Where the objects of bundles lie, in the repository itself or in the one on this machine that it mirrors."""
        folder = _folder(self._source, self._repo.common_dir)
        return folder / CARRIED if folder is not None else None

    @staticmethod
    def _in_folder(address: str, cache: Path | None) -> Path | None:
        name = object_path(address)
        if cache is None or name is None:
            return None
        path = os.path.join(cache, name)
        try:
            # In a shared cache there may be what this user can't read.
            return Path(path) if stat.S_ISREG(os.lstat(path).st_mode) and os.access(path, os.R_OK) else None
        except OSError:
            return None

    def _origin(self, entry: Entry) -> _Origin:
        # An entry that was not located here (it was recorded, say) is looked for in the project at the Git root.
        return self._origins.get(entry.address) or _Origin(self._project, None, "HEAD")

    # -- the remote ----------------------------------------------------------------------------------------

    def fetch(
        self, entries: Sequence[Entry], into: Path, arrived: Arrived, *, report: Report | None = None
    ) -> None:
        """Bring the bytes of each entry to a file in ``into``, unverified, and give it to ``arrived``.

        They come from the remote that the project's configuration names, through DVC's own file systems and
        with the user's credentials; DVC's cache and the working copy are left alone.

        Raises:
            InvalidFileError: The project's configuration can't be read.
            MissingBytesError: Some are not to be had; the message says which and what to do.
            OSError: ``into`` can't be written.
        """
        wanted = list({entry.address: entry for entry in entries}.values())

        def bring(fetcher: Fetcher, filesystem: Any, path: str, entry: Entry) -> bool:
            part = into / f"{entry.address.replace(':', '-')}.part"
            try:
                if fetcher.bring(filesystem, path, entry, part):
                    try:
                        arrived(entry, part)
                    except IntegrityError:  # what was there may have been damaged since
                        part.unlink(missing_ok=True)
                        fetcher.bring(filesystem, path, entry, part)
                    else:
                        return True
            except FileNotFoundError as error:
                if not _is_lost(error):
                    raise
                return False
            arrived(entry, part)
            return True

        with Fetcher(wanted, report) as fetcher:
            lost = self._visit(wanted, partial(bring, fetcher), stop=fetcher.stop)
        self._check_found(lost)

    def _check_found(self, lost: Sequence[Entry]) -> None:
        """Say what is nowhere to be had, and what to do."""
        if lost:
            entry = lost[0]
            origin = self._origin(entry)
            url = origin.output.imported_from if origin.output else None
            advice = (
                f"it was imported from {without_secrets(url)!r}: 'dvc pull' brings it"
                if url
                else "run 'dvc push' where it was made"
            )
            more = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
            raise MissingBytesError(
                f"{entry.path!r} ({entry.address}){more} is neither in the DVC cache nor in the remote: {advice}",
                paths=[each.path for each in lost],
            )

    def push(self, content: Content) -> None:
        """Push the bytes from the DVC cache to the remote, as ``dvc push`` does.

        Raises:
            MissingBytesError: The remote can't be written, or the project has no working copy.
        """
        with importing_dvc():
            from dvc_data.hashfile.hash_info import HashInfo

        for group in self._groups(content.entries):
            origin = self._origin(group[0])
            if origin.project.base is None or not origin.project.is_working_copy:
                raise MissingBytesError(
                    f"{content.path!r} can't be pushed from a bare repository: open the registry in a clone with files",
                    paths=[entry.path for entry in group],
                )
            addresses = dict.fromkeys(
                [content.address or group[0].address, *(entry.address for entry in group)]
            )
            objects = [HashInfo(*address.split(":", 1)) for address in addresses]
            try:
                hashes = [str(each.value) for each in objects]
                with heard_failures(hashes) as failures, opened_project(origin.project.base) as project:
                    failed = project.cloud.push(objects, remote=origin.remote).failed
                if failed:
                    raise first_failure(failures, failed)
            except Exception as error:  # each kind of remote has errors of its own
                said = without_secrets(f"{type(error).__name__}: {' '.join(str(error).split())}")[:300]
                raise MissingBytesError(
                    f"{content.path!r} can't be pushed to the DVC remote ({said}): 'dvc push' must work here",
                    paths=[entry.path for entry in group],
                ) from error

    def missing(self, entries: Sequence[Entry], *, cached: bool = True) -> tuple[Entry, ...]:
        """Those of ``entries`` that are neither in the cache (unless not ``cached``) nor, at their size, in the remote.

        Raises:
            InvalidFileError: The project's configuration can't be read.
            MissingBytesError: The remote can't be asked.
        """
        absent = list(
            {entry.address: entry for entry in entries if not cached or self.find(entry) is None}.values()
        )

        def exists(filesystem: Any, path: str, entry: Entry) -> bool:
            try:
                size = filesystem.info(path).get("size")
            except FileNotFoundError as error:
                if not _is_lost(error):
                    raise
                return False
            return None in (size, entry.size) or size == entry.size

        lost = set()
        for group in self._groups(absent):
            origin = self._origin(group[0])
            try:
                origin.project.remote(origin.remote)
            except MissingBytesError:
                if not cached:  # what is asked is whether others can fetch them
                    raise
                lost |= {entry.address for entry in group}  # there is nowhere to fetch them from
            else:
                lost |= {entry.address for entry in self._visit(group, exists)}
        return tuple(entry for entry in entries if entry.address in lost)

    def _groups(self, entries: Sequence[Entry]) -> Iterable[list[Entry]]:
        """The entries, those of one remote together."""
        groups: dict[tuple[object, ...], list[Entry]] = {}
        for entry in entries:
            origin = self._origin(entry)
            groups.setdefault((origin.project, origin.remote), []).append(entry)
        return groups.values()

    def _visit(
        self,
        entries: Sequence[Entry],
        do: Callable[[Any, str, Entry], bool],
        *,
        stop: Callable[[], object] = bool,
    ) -> list[Entry]:
        """Call ``do(file system, path, entry)`` for the object of each entry; those for which it is False.

        ``stop`` is called when this is interrupted, and ends what is going on.
        """
        lost: list[Entry] = []
        for group in self._groups(entries):
            origin = self._origin(group[0])
            name, remotes = _reworded(group, origin.project.remote, origin.remote)
            try:
                with _opened(name, remotes) as (filesystem, top):
                    lost += self._visit_group(group, do, filesystem, top, stop)
            except RegistryError:  # what `do` found of the bytes
                raise
            except Exception as error:
                if _is_local(error):
                    raise
                raise _unreachable(group, name, remotes, origin.project, error) from error
        return lost

    def _visit_group(
        self,
        group: Sequence[Entry],
        do: Callable[[Any, str, Entry], bool],
        filesystem: Any,
        top: str,
        stop: Callable[[], object],
    ) -> list[Entry]:
        from concurrent.futures import ThreadPoolExecutor

        lost: list[Entry] = []
        pending = {}
        with ThreadPoolExecutor(max_workers=min(filesystem.jobs, len(group), 16)) as pool:
            for entry in group:
                if name := object_path(entry.address):
                    path = filesystem.join(top, *name.split("/"))
                    pending[pool.submit(do, filesystem, path, entry)] = entry
                else:
                    lost.append(entry)
            try:
                lost += [entry for future, entry in pending.items() if not future.result()]
            except BaseException as error:
                if not isinstance(error, Exception):
                    stop()
                pool.shutdown(cancel_futures=True)
                raise
        return lost

    # -- evidence ------------------------------------------------------------------------------------------

    def made_here(self, rev: str, content: Content) -> bool:
        """Whether a step of this clone's own pipeline made these bytes, and its result was committed here.

        Both must be so: the project's cache has a record of the run (DVC writes one when it ran or committed a
        step), and a commit that was made in this very clone, and is no merge, brought the md5 into the
        ``dvc.lock``. Pulled, imported and added bytes have neither. Two ways around need the user's own hands:
        to fetch the records of others (``--run-cache``), let DVC restore from them and commit that; and to squash
        others' commits into one's own, pull their bytes and ``dvc commit`` them.
        """
        output = find_output(self._repo, rev, content.path)
        kind, _, md5 = content.address.partition(":")
        if output is None or output.step is None or output.path != content.path or kind != "md5":
            return False
        if not md5 or output.out.md5 != md5:
            return False
        origin = _Origin(self._project, output, rev)
        cache = origin.project.cache
        return cache is not None and has_run(cache, md5) and was_committed_here(self._repo, output.file, md5)


class _Origin:
    """Where an entry was located: what its bytes are looked for by."""

    def __init__(self, project: Callable[[str, str], Project], output: Output | None, rev: str) -> None:
        self._find = project
        self._rev = rev
        self.output = output
        self.remote = output.out.remote if output else None

    @cached_property
    def project(self) -> Project:
        return self._find(self.output.file if self.output else "", self._rev)


def _md5(data: bytes) -> str:
    """What a listing is called."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest() + ".dir"


def _read_listing(path: Path, entry: Entry) -> bytes:
    _check_size(path.stat().st_size, entry)
    return path.read_bytes()


def _check_size(size: int, entry: Entry) -> None:
    if size > _MAX_LISTING_BYTES:
        name = entry.path.rstrip("/")
        raise InvalidFileError(
            f"the listing of {name!r} is larger than {_MAX_LISTING_BYTES} bytes: nothing lists so many files",
            path=name,
        )


def _folder(source: str | None, git_dir: Path) -> Path | None:
    """The folder on this machine that ``source`` names."""
    if source is None:
        return git_dir
    if source.startswith("file://"):
        return Path(unquote(urlsplit(source).path))
    return Path(source).absolute() if "://" not in source and os.path.isdir(source) else None


@contextmanager
def _opened(name: str, remotes: dict[str, dict[str, str]]) -> Iterator[tuple[Any, str]]:
    """DVC's file system for a remote, and the path of its top."""
    from fsspec.asyn import sync

    with importing_dvc():
        from dvc.fs import get_cloud_fs
    kind, options, top = get_cloud_fs({"core": {}, "remote": remotes}, name=name)
    # In a worktree remote, what is addressed by its hash is apart from the files themselves.
    filesystem = kind(**options)
    if connect := getattr(filesystem.fs, "set_session", None):
        sync(filesystem.fs.loop, connect)  # many threads would each make a session, and keep the last
    try:
        yield filesystem, filesystem.join(top, ".dvc") if options.get("worktree") else top
    finally:
        # DVC leaves it to the garbage collector, which complains of HTTP sessions that are still open.
        session: Any = getattr(filesystem.fs, "_session", None)
        if hasattr(session, "close"):
            with suppress(Exception):
                sync(filesystem.fs.loop, session.close, timeout=5)


def _is_local(error: Exception) -> bool:
    """Whether the disk of this machine is full or can't be written, rather than a remote out of reach."""
    return isinstance(error, OSError) and error.errno in (
        errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS
    )  # fmt: skip


def _is_lost(error: FileNotFoundError) -> bool:
    """Whether it is not there, rather than out of reach: over HTTP both are a FileNotFoundError."""
    cause = error.__cause__
    out_of_reach = isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError)
    return not out_of_reach and getattr(cause, "status", 404) in (404, 410)


def _reworded(
    entries: Sequence[Entry],
    ask: Callable[[str | None], tuple[str, dict[str, dict[str, str]]]],
    name: str | None,
) -> tuple[str, dict[str, dict[str, str]]]:
    """What ``ask`` says of the remote; an error names the entries too."""
    try:
        return ask(name)
    except MissingBytesError as error:
        raise MissingBytesError(
            f"{entries[0].path!r} is not in the DVC cache, and {error}",
            paths=[entry.path for entry in entries],
        ) from error


def _unreachable(
    entries: Sequence[Entry],
    name: str,
    remotes: dict[str, dict[str, str]],
    project: Project,
    error: Exception,
) -> MissingBytesError:
    scheme = urlsplit(remotes[name]["url"]).scheme
    said = without_secrets(f"{type(error).__name__}: {error}".splitlines()[0])[:300]
    advice = "check the address, the network and your credentials ('dvc pull' must work here)"
    if isinstance(error, ImportError) or type(error).__name__ == "RemoteMissingDepsError":
        package = f"'modelregistry[{scheme}]'" if scheme in _EXTRAS else f"dvc-{scheme}"
        advice = f"pip install {package}"
    elif project.ignored:
        options = ", ".join(project.ignored)
        advice += f"; {options} of the committed .dvc/config could run something, so set it with 'dvc remote modify --local'"
    return MissingBytesError(
        f"{entries[0].path!r} is not in the DVC cache, and the remote {name!r} can't be read ({said}): {advice}",
        paths=[entry.path for entry in entries],
    )
