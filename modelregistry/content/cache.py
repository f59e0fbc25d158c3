"""What this user's store holds, for people: listed, verified, pruned."""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from modelregistry.content.store import Store, verify_file
from modelregistry.display.shown import Shown
from modelregistry.display.tables import Rows
from modelregistry.display.view import Code, Facts, Note, View
from modelregistry.errors import IntegrityError, InvalidInputError
from modelregistry.progress import Progress, check_progress, counted
from modelregistry.project import documents
from modelregistry.version import ModelVersion

_IN_USE = 60.0
"""Seconds for which what was just handed out stays, whatever is asked: somebody may be about to open it."""
_ARRIVING = 3600.0
"""Seconds for which bytes without a name stay: the rest of their folder may still be on its way."""
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kMGT]?)B?")


@dataclass(frozen=True, slots=True, repr=False)
class Cached(Shown):
    """One artifact in the store, or one file that has no name in it (yet, or any more)."""

    digest: str
    """The identity of the whole, algorithm first."""
    name: str | None
    """What the file or folder is called; None for a file without a name."""
    files: int
    size: int
    """Bytes in all."""
    frees: int
    """Bytes that are in nothing else: neither in another artifact of the store nor in DVC's cache."""
    used_at: datetime
    """When it was last handed out."""
    versions: tuple[str, ...] = ()
    """The versions of this registry that have these bytes, as references."""
    stages: tuple[str, ...] = ()
    """The stages that they hold, as references."""


@dataclass(frozen=True, slots=True, repr=False)
class Damaged(Shown):
    """A file of the store that was not what its name says, and where it is now."""

    digest: str
    found: str
    set_aside: str | None


COLUMNS: Mapping[str, Callable[[Cached], object]] = {
    "digest": lambda row: row.digest[:19],
    "name": lambda row: row.name,
    "files": lambda row: row.files,
    "size": lambda row: row.size,
    "frees": lambda row: row.frees,
    "used": lambda row: row.used_at,
    "versions": lambda row: row.versions,
    "stages": lambda row: row.stages,
}
DAMAGE_COLUMNS: Mapping[str, Callable[[Damaged], object]] = {
    "digest": lambda row: row.digest,
    "found": lambda row: row.found,
    "set_aside": lambda row: row.set_aside,
}


@dataclass(slots=True)
class _Item:
    """What is listed, with what it consists of."""

    digest: str
    name: str | None
    paths: list[Path] = field(default_factory=list)
    inodes: dict[tuple[int, int], int] = field(default_factory=dict)
    used: float = 0.0


_Links = dict[tuple[int, int], tuple[int, int, int]]
"""By device and inode: how many names a file has, how many of them in the store, and its size."""


class Cache(Shown):
    """The store of this user, which all registries share, as one registry sees it.

    Args:
        store: The store.
        versions: Gives every version of the registry.
    """

    def __init__(self, store: Store, versions: Callable[[], Iterator[ModelVersion]]) -> None:
        self._store = store
        self._versions = versions

    def _line(self) -> str:
        return f"Cache({os.fspath(self.folder)!r})"

    def _view(self) -> View:
        return View(
            "Cache",
            blocks=[Facts([("at", Code(os.fspath(self.folder)))]), Note("list() shows what is in it.")],
        )

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self._store.folder

    @property
    def size(self) -> int:
        """Bytes that are there and nowhere else."""
        links, _ = self._scan()
        return sum(size for count, names, size in links.values() if names == count)

    def verify(self, *, progress: Progress = None) -> Rows[Damaged]:
        """Hash every fetched file; those that are not what their names say are set aside, and come back as rows.

        Bytes that lie in a DVC cache are DVC's; they are verified when they are used.

        Args:
            progress: Who is told how many files were hashed, as of ``ModelVersion.local_path``.

        Raises:
            InvalidInputError: ``progress`` is nobody who can be told.
        """
        check_progress(progress)
        found = []
        objects = [*self._objects()]
        everything = [path for _, _, path in objects]
        views = list(_files(self.folder / "views"))
        for algorithm, value, path in counted(objects, progress, "verifying the store", "files"):
            try:
                verify_file(path, f"{algorithm}:{value}", name=value)
            except FileNotFoundError:
                continue  # it went while this was looking, or with another of its names
            except IntegrityError as error:
                names = [each for each in (*everything, *views) if each != path]
                aside = self._store.set_aside(path, names)
                found.append(
                    Damaged(error.expected, error.found, os.fspath(aside) if aside is not None else None)
                )
        return Rows(found, DAMAGE_COLUMNS)

    def prune(
        self,
        *,
        older_than: timedelta | None = None,
        max_size: int | str | None = None,
        unheld: bool = False,
        dry_run: bool = False,
    ) -> Rows[Cached]:
        """Remove artifacts from the store; what is needed again is fetched again. DVC's cache is left alone.

        What was handed out within the last minute stays, since a process may be about to open it.

        Args:
            older_than: Those that were not used for so long; what a fetch that died left behind, damaged files that
                were set aside, and what was parsed for lineages, too.
            max_size: The least recently used ones, until no more than that is left: bytes, or ``"20 GB"``.
            unheld: Those of which this registry has versions, none of which holds a stage.
            dry_run: Remove nothing.

        Returns:
            What was removed. With several conditions, what meets any of them.

        Raises:
            InvalidInputError: No condition, or one that is none.
        """
        if older_than is None and max_size is None and not unheld:
            raise InvalidInputError("prune what? older_than=, max_size= or unheld=True says it")
        most = _bytes(max_size) if max_size is not None else None
        if older_than is not None and not (isinstance(older_than, timedelta) and older_than >= timedelta(0)):
            raise InvalidInputError(
                f"older_than={older_than!r} is no time that has gone by: timedelta(days=30), for one"
            )
        links, items = self._scan()
        rows = self._rows(links, items)
        now = time.time()
        chosen: dict[int, Cached] = {}
        for position, row in enumerate(rows):
            age = now - row.used_at.timestamp()
            old = older_than is not None and age >= older_than.total_seconds()
            idle = unheld and bool(row.versions) and not row.stages
            if (old or idle) and age >= (_IN_USE if row.name is not None else _ARRIVING):
                chosen[position] = row
        if most is not None:
            left = sum(row.frees for row in rows) - sum(row.frees for row in chosen.values())
            for position in reversed(range(len(rows))):  # the least recently used first
                row = rows[position]
                age = now - row.used_at.timestamp()
                if left <= most:
                    break
                if position not in chosen and age >= (_IN_USE if row.name is not None else _ARRIVING):
                    chosen[position] = row
                    left -= row.frees
        if not dry_run:
            gone = [items[position] for position in chosen]
            for item in gone:
                self._remove(item)
            self._remove_nameless(gone, items)
            if older_than is not None:
                self._remove_leftovers(max(older_than.total_seconds(), _ARRIVING))
                documents.prune(self.folder / "documents", older_than.total_seconds())
        return Rows(chosen.values(), COLUMNS)

    def list(self) -> Rows[Cached]:
        """The artifacts in the store, and files without a name; last used first."""
        links, items = self._scan()
        return Rows(self._rows(links, items), COLUMNS)

    # -- looking -------------------------------------------------------------------------------------------

    def _objects(self) -> Iterator[tuple[str, str, Path]]:
        """Algorithm, digest and place of each file that is kept under its digest."""
        for path in _files(self.folder / "objects"):
            if not path.name.startswith("."):
                yield path.parent.parent.name, path.name, path

    def _scan(self) -> tuple[_Links, Sequence[_Item]]:
        """Every file of the store, and the artifacts, last used first."""
        links: _Links = {}
        items: dict[tuple[str, str | None], _Item] = {}
        named: set[tuple[int, int]] = set()
        for path in _files(self.folder / "views"):
            parts = path.relative_to(self.folder / "views").parts
            if len(parts) < 4 or parts[3].startswith("."):
                continue
            algorithm, _, value, called, *_ = parts
            key = f"{algorithm}:{value}", called
            item = items.setdefault(key, _Item(*key))
            mark, size = _count(links, path)
            item.paths.append(path)
            item.inodes[mark] = size
            named.add(mark)
        for item in items.values():
            receipt = self._store.receipt(item.digest, str(item.name))
            item.used = _changed(receipt) or max(map(_changed, item.paths))
            item.paths.append(receipt)
        for algorithm, value, path in self._objects():
            mark, size = _count(links, path)
            if mark not in named and algorithm == "sha256":
                item = items.setdefault((f"{algorithm}:{value}", None), _Item(f"{algorithm}:{value}", None))
                item.paths.append(path)
                item.inodes[mark] = size
                item.used = max(item.used, _changed(path))
        return links, sorted(items.values(), key=lambda item: item.used, reverse=True)

    def _rows(self, links: _Links, items: Sequence[_Item]) -> Sequence[Cached]:
        known: dict[str, list[ModelVersion]] = {}
        for version in self._versions():
            if version.digest is not None:
                known.setdefault(version.digest, []).append(version)
        shares: dict[tuple[int, int], int] = {}
        for item in items:
            for mark in item.inodes:
                shares[mark] = shares.get(mark, 0) + 1
        return [
            Cached(
                item.digest, item.name, max(len(item.paths) - (item.name is not None), 1), sum(item.inodes.values()),
                sum(
                    size for mark, size in item.inodes.items()
                    if shares[mark] == 1 and links[mark][0] == links[mark][1]
                ),
                datetime.fromtimestamp(item.used, UTC),
                tuple(version.reference for version in known.get(item.digest, ())),
                tuple(f"{version.name}#{stage}" for version in known.get(item.digest, ()) for stage in version.stages),
            )
            for item in items
        ]  # fmt: skip

    # -- removing ------------------------------------------------------------------------------------------

    def _remove(self, item: _Item) -> None:
        for path in reversed(item.paths):  # the receipt first: without it nobody relies on the rest
            path.unlink(missing_ok=True)
        if item.name is not None:
            place = self._store.view(item.digest)
            shutil.rmtree(place / item.name, ignore_errors=True)
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()

    def _remove_nameless(self, removed: Sequence[_Item], items: Sequence[_Item]) -> None:
        """The files of removed artifacts that no other artifact has, under each of their digests."""
        kept = {mark for item in items if item not in removed for mark in item.inodes}
        gone = {mark for item in removed for mark in item.inodes} - kept
        for _, _, path in self._objects():
            status = os.lstat(path)
            if (status.st_dev, status.st_ino) in gone:
                path.unlink(missing_ok=True)

    def _remove_leftovers(self, seconds: float) -> None:
        before = time.time() - seconds
        for folder in ("incoming", "links", "set-aside"):
            for path in (self.folder / folder).glob("*"):
                if max(map(_changed, [path, *path.rglob("*")])) < before:
                    if path.is_dir():
                        shutil.rmtree(path, ignore_errors=True)
                    else:
                        path.unlink(missing_ok=True)


def _files(top: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(top):
        for name in sorted(names):
            yield Path(folder, name)


def _count(links: _Links, path: Path) -> tuple[tuple[int, int], int]:
    """Add one name of a file; returns which file it is, and its size."""
    status = os.lstat(path)
    mark = status.st_dev, status.st_ino
    size = status.st_size if stat.S_ISREG(status.st_mode) else 0  # what a link leads to is elsewhere
    _, names, _ = links.get(mark, (0, 0, 0))
    links[mark] = status.st_nlink, names + 1, size
    return mark, size


def _changed(path: Path) -> float:
    try:
        status = os.lstat(path)
    except OSError:
        return 0.0
    return max(status.st_mtime, status.st_ctime)


def _bytes(size: int | str) -> int:
    match = _SIZE.fullmatch(size.strip()) if isinstance(size, str) else None
    if match is not None:
        return int(float(match[1]) * _UNITS[match[2]])
    if isinstance(size, int) and size >= 0:
        return size
    raise InvalidInputError(f"max_size={size!r} is neither bytes nor a text such as '20 GB'")
