"""From what is at a target to what is to be there: nothing of others overwritten unasked, the manifest last."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from modelregistry.errors import ExportError, IntegrityError, InvalidInputError
from modelregistry.exporters.base import ExportFile
from modelregistry.exports.manifest import MANIFEST, ExportManifest, Unfinished
from modelregistry.exports.state import UNFINISHED, Moved, There, different, each
from modelregistry.exports.target import Target
from modelregistry.progress import Progress, reported

_ATTEMPTS = 5
"""To leave a note, which others who export the same at that moment take away."""


class Writing:
    """One export to one target.

    While it is under way there is no manifest, and a note beside the files says whose they are. So a reader never
    takes half an export for a whole one, and the next call goes on where a killed one ended.

    Args:
        target: The folder.
        there: What is in it.
        plan: The files that are to be in it, by path, each with its sha256.
        manifest: What is to be said of them.
    """

    def __init__(
        self, target: Target, there: There, plan: Mapping[str, ExportFile], manifest: ExportManifest
    ) -> None:
        self._target = target
        self._there = there
        self._plan = plan
        self._manifest = manifest

    def run(self, *, overwrite: bool, progress: Progress) -> tuple[str, ...]:
        """Write what is missing; returns what that was.

        Raises:
            InvalidInputError: Something else is there; nothing was written.
            ExportError: It can't be written, or is not there as it was written.
            IntegrityError: A file changed since it was verified.
        """
        missing = self._missing(overwrite=overwrite, progress=progress)
        owned = self._there.owned
        self._begin(owned)
        sizes = {file.path: file.size for file in self._manifest.files}
        with reported(progress, f"exporting {self._manifest.reference}") as report:
            moved = Moved(report, 2 * sum(sizes[path] for path in missing))
            each(lambda path: self._put(path, moved), missing)
        for path in sorted(owned - self._plan.keys()):
            self._target.remove(path)
        self._write(MANIFEST, self._manifest.to_json())
        self._target.remove(UNFINISHED)
        return (*missing, MANIFEST)

    def _missing(self, *, overwrite: bool, progress: Progress) -> list[str]:
        """The files to write."""
        there, target = self._there, self._target
        if foreign := there.foreign(self._plan):
            raise InvalidInputError(
                f"{target.url!r} holds {foreign[0]!r}, which no export put there: name a folder for this export alone"
            )
        present = [file for file in self._manifest.files if file.path in there.files]
        differ = different(target, present, there.files, progress)
        if differ and not overwrite and not self._goes_on:
            path = min(differ)
            raise InvalidInputError(
                f"{target.shown(path)!r} has other bytes than {self._manifest.reference}: expected "
                f"{self._plan[path].sha256}, found {differ[path]}; overwrite=True replaces it"
            )
        return [path for path in self._plan if path not in there.files or path in differ]

    @property
    def _goes_on(self) -> bool:
        """Whether what is there was left by a killed export of the very same."""
        there = self._there
        return there.manifest is None and there.identity == self._manifest.identity

    def _begin(self, owned: set[str]) -> None:
        files = tuple(sorted(owned | self._plan.keys()))
        note = Unfinished(identity=self._manifest.identity, files=files).to_json()
        for left in reversed(range(_ATTEMPTS)):
            sent = self._target.write(UNFINISHED, note, _nobody)
            try:
                self._read_back(UNFINISHED, sent, _nobody)
                break
            except ExportError:
                # Another export of the very same may have written a note of its own, or have ended and taken this one away.
                found = There.look(self._target).identity
                if found == self._manifest.identity:
                    break
                if found is not None or not left:
                    raise
        if MANIFEST in self._there.files:
            self._target.remove(MANIFEST)

    def _put(self, path: str, moved: Moved) -> None:
        file = self._plan[path]
        sent = self._target.write(path, file.content, moved)
        if sent != file.sha256:
            raise IntegrityError(
                f"{path!r} of {self._manifest.reference} changed while it was exported: expected {file.sha256}, found "
                f"{sent}; try again",
                path=path, expected=f"sha256:{file.sha256}", found=f"sha256:{sent}",
            )  # fmt: skip
        self._read_back(path, sent, moved)

    def _write(self, name: str, content: bytes) -> None:
        self._read_back(name, self._target.write(name, content, _nobody), _nobody)

    def _read_back(self, path: str, sent: str, moved: Callable[[int], object]) -> None:
        found = self._target.hash(path, moved)
        if found != sent:
            raise ExportError(
                f"{self._target.shown(path)!r} was written, and what is read there is something else: expected {sent}, "
                f"found {found or 'nothing'}; try again"
            )


def _nobody(count: int) -> None:
    del count
