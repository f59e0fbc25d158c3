"""Writes the files of a site: only what changed, each whole or not at all, and never over what others put there."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, Self

from modelregistry.display.shown import Shown
from modelregistry.display.view import Code, Facts, View
from modelregistry.errors import ExportError, InvalidInputError
from modelregistry.givenpath import given_path

MANIFEST = "modelregistry-site.json"
"""What says which files are ours. It is written before the first of them, and again after the last."""
_SCHEMA = 1
_LEFT = re.compile(r"\.[0-9a-f]{12}\.partial")
"""What one that was killed leaves: files that it had not written whole."""
_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}(?<!\.)")
_DEVICES = re.compile(
    r"(con|prn|aux|nul|com[0-9]|lpt[0-9]|index|audit)(\..*)?|catalogue\.json|modelregistry-site\.json"
)
"""What Windows keeps for itself, and the files at the top that have these names."""


@dataclass(frozen=True, slots=True, repr=False)
class Site(Shown):
    """What ``export_site`` did."""

    path: Path
    """The folder; ``index.html`` is its first page."""
    files: tuple[str, ...]
    """All of its files, as paths in the folder."""
    written: tuple[str, ...]
    """Those that are new or changed."""
    removed: tuple[str, ...]
    """Files of an earlier export that nothing stands for any more."""

    def _line(self) -> str:
        return (
            f"Site({os.fspath(self.path)!r}, {len(self.files):,} files, {len(self.written):,} written, "
            f"{len(self.removed):,} removed)"
        )

    def _view(self) -> View:
        counts = {"files": self.files, "written": self.written, "removed": self.removed}
        facts = [
            ("at", Code(os.fspath(self.path))),
            *((what, f"{len(names):,}") for what, names in counts.items()),
        ]
        return View("Site", blocks=[Facts(facts)])


def file_name(name: str) -> str:
    """A name for a file that every system takes, and no two names share."""
    if _PLAIN.fullmatch(name) and not _DEVICES.fullmatch(name):
        return name
    readable = re.sub(r"[^a-z0-9._-]+", "-", name.lower())[:60].strip("-.")
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{readable}~{digest}" if readable else f"~{digest}"


class SiteWriter:
    """The folder of a site. As a context, it is this one's alone: another export that is under way is waited for.

    Args:
        target: The folder, made if need be.

    Raises:
        InvalidInputError: It holds what no export put there.
        ExportError: It can't be read.
    """

    def __init__(self, target: str | os.PathLike[str]) -> None:
        self.folder = given_path(target, "target")
        with self._told("can't be read"):
            self._known, self.notes = self._read_manifest()
        self._digests: dict[str, str] = {}
        self._written: list[str] = []
        self._folders: set[Path] = set()
        self._lock: int | None = None

    def __enter__(self) -> Self:
        with self._told("can't be written"):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            with suppress(OSError):  # some file systems know no locks
                fcntl.flock(self._lock, fcntl.LOCK_EX)  # let go of when this process ends, however it does
            with self._told("can't be read"):
                self._known, self.notes = self._read_manifest()
        except BaseException:
            os.close(self._lock)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def last(self, name: str) -> str:
        """The text of a file as the last export wrote it; empty where it is not there, or something else."""
        data = self._kept(name)
        return data.decode("utf-8", "replace") if data is not None else ""

    def keep(self, names: Iterable[str]) -> bool:
        """Leave files as the last export wrote them; whether all of them are there, as it wrote them."""
        wanted = list(names)
        if any(self._kept(name) is None for name in wanted):
            return False
        self._digests.update((name, self._known[name]) for name in wanted)
        return True

    def _kept(self, name: str) -> bytes | None:
        """What a file has, if that is what the last export wrote."""
        known = self._known.get(name)
        with self._told("can't be read", name):
            data = _content(self.folder / name) if known else None
        return data if data is not None and hashlib.sha256(data).hexdigest() == known else None

    def begin(self, names: Iterable[str]) -> None:
        """Take the names of all files that will be written.

        Raises:
            InvalidInputError: Something else has one of the names.
            ExportError: The folder can't be written.
        """
        wanted = set(names)
        with self._told("can't be written"):
            for name in sorted(wanted - self._known.keys()):
                if os.path.lexists(self.folder / name):
                    raise InvalidInputError(
                        f"{os.fspath(self.folder / name)!r} is there, and no export of a site put it there: move it away, or "
                        "choose another folder"
                    )
            for place in sorted({parent for name in wanted for parent in PurePosixPath(name).parents}):
                if (self.folder / place).is_symlink() and place != PurePosixPath():
                    raise InvalidInputError(
                        f"{os.fspath(self.folder / place)!r} is a link, which may lead out of the site: remove it"
                    )
            self.folder.mkdir(parents=True, exist_ok=True)
            self._remove_left(wanted)
            if not wanted <= self._known.keys():
                # Were this killed, what it had written would be known for ours.
                self._save_manifest({**dict.fromkeys(wanted, ""), **self._known}, self.notes)

    def write(self, name: str, text: str) -> None:
        """Write a file, if it is not there with that very text.

        Raises:
            ExportError: It can't be written.
        """
        data = text.encode("utf-8", "backslashreplace")
        self._digests[name] = hashlib.sha256(data).hexdigest()
        place = self.folder / name
        with self._told("can't be written", name):
            if _content(place) != data:
                self._make_folder(place.parent)
                _replace(place, data)
                self._written.append(name)

    def finish(self, notes: Mapping[str, Any] = MappingProxyType({})) -> Site:
        """Remove the files of an earlier export that are left over, as far as they are as they were written.

        Args:
            notes: What the next export will find as ``notes``.

        Raises:
            ExportError: Something can't be written or removed.
        """
        removed = []
        for name in sorted(self._known.keys() - self._digests.keys()):
            place = self.folder / name
            with self._told("can't be removed", name):
                data = _content(place)
                if data is not None and self._known[name] in ("", hashlib.sha256(data).hexdigest()):
                    place.unlink()
                    removed.append(name)
                self._remove_empty(PurePosixPath(name).parent)
        with self._told("can't be written"):
            self._save_manifest(self._digests, notes)
        return Site(self.folder, tuple(sorted(self._digests)), tuple(sorted(self._written)), tuple(removed))

    def _remove_left(self, wanted: Iterable[str]) -> None:
        """Remove what one that was killed had begun to write; nobody else writes now."""
        if self._lock is None:
            return
        for folder in {parent for name in (*wanted, *self._known) for parent in PurePosixPath(name).parents}:
            with suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.folder / folder) as items:
                for item in items:
                    if _LEFT.fullmatch(item.name):
                        os.unlink(item.path)

    def _make_folder(self, folder: Path) -> None:
        if folder not in self._folders:
            folder.mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)

    def _remove_empty(self, folder: PurePosixPath) -> None:
        while folder.parts:
            place = self.folder / folder
            if place.is_symlink() or not place.is_dir() or any(place.iterdir()):
                return
            place.rmdir()
            folder = folder.parent

    def _read_manifest(self) -> tuple[dict[str, str], Mapping[str, Any]]:
        """The digests of the files that were written, and what was noted of them."""
        place = self.folder / MANIFEST
        if not os.path.lexists(self.folder):
            return {}, {}
        if not self.folder.is_dir():
            raise InvalidInputError(f"{os.fspath(self.folder)!r} is a file: name a folder")
        data = _content(place)
        if data is None:
            odd = next((name for name in sorted(os.listdir(self.folder)) if not _LEFT.fullmatch(name)), None)
            if odd is None:
                return {}, {}
            raise InvalidInputError(
                f"{os.fspath(self.folder)!r} is not empty, and no site of ours: it has {odd!r} and no {MANIFEST!r}; "
                "choose an empty folder, or one that an export wrote"
            )
        try:
            manifest = json.loads(data)
            files, notes = manifest["files"], manifest.get("notes")
            if not all(_is_inside(name) and isinstance(digest, str) for name, digest in files.items()):
                raise ValueError("it names a file outside of the site")
            if manifest.get("schema") != _SCHEMA:
                raise ValueError("another version of modelregistry wrote it")
            return dict(files), notes if isinstance(notes, dict) else {}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InvalidInputError(
                f"{os.fspath(place)!r} is no list of the files of a site ({error}): choose an empty folder"
            ) from error

    def _save_manifest(self, files: Mapping[str, str], notes: Mapping[str, Any]) -> None:
        told = {"files": dict(files), "notes": dict(notes)}
        parts = [f"{json.dumps(key)}: {_lines(values)}" for key, values in told.items()]
        body = ",\n".join([*parts, f'"schema": {_SCHEMA}'])
        data = f"{{{body}}}\n".encode()
        place = self.folder / MANIFEST
        if _content(place) != data:
            _replace(place, data)

    @contextmanager
    def _told(self, problem: str, name: str = "") -> Iterator[None]:
        try:
            yield
        except OSError as error:
            place = self.folder / name
            raise ExportError(
                f"the site at {os.fspath(place)!r} {problem}: {error.strerror or error}"
            ) from error


def _lines(values: Mapping[str, object]) -> str:
    """A JSON object with a line for each of its values."""
    body = (f"{json.dumps(key)}: {json.dumps(values[key], sort_keys=True)}" for key in sorted(values))
    return "{\n" + ",\n".join(body) + "\n}"


def _content(place: Path) -> bytes | None:
    """What a plain file holds; None where there is none."""
    return place.read_bytes() if place.is_file() and not place.is_symlink() else None


def _replace(place: Path, data: bytes) -> None:
    temporary = place.with_name(f".{os.urandom(6).hex()}.partial")
    try:
        temporary.write_bytes(data)
        temporary.replace(place)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return (
        bool(path.parts) and not path.is_absolute() and not {"..", "."} & set(path.parts) and "\\" not in name
    )
