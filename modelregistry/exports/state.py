"""What is at the target of an export: whose files, whether there are too few or too many, and what they hash to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

from modelregistry.errors import ExportError, InvalidFileError
from modelregistry.exports.manifest import MANIFEST, ExportManifest, Identity, ManifestFile, Unfinished
from modelregistry.exports.target import Target, is_partial
from modelregistry.progress import Progress, Report, reported

UNFINISHED = ".manifest.json.unfinished"
OURS = frozenset({MANIFEST, UNFINISHED})
_THREADS = 8


@dataclass(frozen=True, slots=True)
class There:
    """What is at a target."""

    files: Mapping[str, int | None]
    """Sizes, by path; None for what is no file."""
    manifest: ExportManifest | None
    unfinished: Unfinished | None

    @classmethod
    def look(cls, target: Target) -> Self:
        """Read it.

        Raises:
            InvalidInputError: It is a file.
            InvalidFileError: Its manifest is none of ours.
            ExportError: It can't be read.
        """
        files = target.files()
        # A web server that is silent, or lists nothing, has no files either.
        is_bare = not files and not target.is_local
        manifest = target.read(MANIFEST) if MANIFEST in files or is_bare else None
        if (
            manifest is not None and not files
        ):  # a web server that lists nothing; where it is silent, reading told so
            raise ExportError(
                f"{target.url!r} does not list what is there, so that nobody can tell whether there is too much: copy it to this "
                "machine, and verify it there"
            )
        unfinished = target.read(UNFINISHED) if UNFINISHED in files else None
        mark = _marked(unfinished, target.shown(UNFINISHED)) if unfinished else None
        try:
            found = ExportManifest.from_json(manifest, target.shown(MANIFEST)) if manifest else None
        except InvalidFileError:
            if mark is None:
                raise
            found = None  # killed while that was written
        return cls(files, found, mark)

    @property
    def identity(self) -> Identity | None:
        """What an export, finished or not, brought there."""
        if self.manifest is not None:
            return self.manifest.identity
        return self.unfinished.identity if self.unfinished is not None else None

    @property
    def owned(self) -> set[str]:
        """The files that exports put there."""
        found = {name for name in self.files if is_partial(name)}
        if self.manifest is not None:
            found |= {file.path for file in self.manifest.files}
        if self.unfinished is not None:
            found |= {*self.unfinished.files}
        return found & self.files.keys()

    def foreign(self, planned: Iterable[str]) -> list[str]:
        """The files that nobody but others can have put there."""
        return sorted(self.files.keys() - self.owned - OURS - {*planned})


def _marked(text: bytes, place: str) -> Unfinished | None:
    try:
        return Unfinished.from_json(text, place)
    except InvalidFileError:  # killed while that was written: so nothing else was
        return None


def flaws(
    target: Target, manifest: ExportManifest, files: Mapping[str, int | None], progress: Progress
) -> dict[str, str | None]:
    """The files of an export that are not what its manifest says, with what is there instead (None: nothing).

    Every byte is read.
    """
    present = [file for file in manifest.files if file.path in files]
    found: dict[str, str | None] = {file.path: None for file in manifest.files if file.path not in files}
    return found | different(target, present, files, progress)


def different(
    target: Target, wanted: Sequence[ManifestFile], files: Mapping[str, int | None], progress: Progress
) -> dict[str, str | None]:
    """Those that are otherwise at the target, and what is there: a sha256, or what tells without one."""
    by_path = {file.path: file for file in wanted}

    def look(path: str) -> str | None:
        size = files[path]
        if size != by_path[path].size:
            return "no file" if size is None else f"{size} bytes"
        return target.hash(path, moved)

    with reported(progress, f"checking {target.url}") as report:
        moved = Moved(report, sum(file.size for file in wanted))
        found = each(look, [*by_path])
    return {path: what for path, what in found.items() if what != by_path[path].sha256}


def each(work: Callable[[str], Any], paths: Sequence[str]) -> dict[str, Any]:
    """What ``work`` gives for each path, a few at once."""
    if len(paths) < 2:
        return {path: work(path) for path in paths}
    with ThreadPoolExecutor(max_workers=min(_THREADS, len(paths))) as pool:
        try:
            return dict(zip(paths, pool.map(work, paths), strict=True))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


class Moved:
    """Adds up what many threads move, and tells."""

    def __init__(self, report: Report, total: int) -> None:
        self._report, self._total, self._done = report, total, 0
        self._lock = threading.Lock()

    def __call__(self, count: int) -> None:
        """So many bytes more."""
        with self._lock:
            self._done += count
            self._report(self._done, self._total)
