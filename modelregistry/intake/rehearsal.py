"""The version that a call with ``dry_run=True`` would make: what is known of it, and one error for what can't be known."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from modelregistry.errors import VersionNotFoundError
from modelregistry.log.events import FileDigest
from modelregistry.progress import Progress
from modelregistry.project.declarationtexts import Declaration
from modelregistry.version import ModelVersion, Trust, Verify

if TYPE_CHECKING:
    from modelregistry.cards.card import ModelCard


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The ``Reader`` of a version that was not made: there is no commit that has it, and its bytes are kept nowhere."""

    declared: Declaration
    """As ``dvc.yaml`` would declare it."""
    listed: tuple[FileDigest, ...]
    """Its files."""
    draw: Callable[[ModelVersion, Declaration], ModelCard]
    """Gives its card."""

    def declaration(self, version: ModelVersion) -> Declaration:
        """As ``dvc.yaml`` would declare it."""
        return self.declared

    def files(self, version: ModelVersion) -> tuple[FileDigest, ...]:
        """Its files."""
        return self.listed

    def card(self, version: ModelVersion) -> ModelCard:
        """Its card, as far as that is known."""
        return self.draw(version, self.declared)

    def glance(self, version: ModelVersion) -> Mapping[str, object]:
        """Nothing was recorded of it."""
        return {}

    def local_path(self, version: ModelVersion, *, verify: Verify, progress: Progress) -> NoReturn:
        """Refused."""
        _refuse(version, "its bytes are kept nowhere yet")

    def open(
        self,
        version: ModelVersion,
        path: str | os.PathLike[str] | None,
        *,
        verify: Verify,
        progress: Progress,
    ) -> BinaryIO:
        """Refused."""
        _refuse(version, "its bytes are kept nowhere yet")

    def download(
        self, version: ModelVersion, to: Path, *, overwrite: bool, verify: Verify, progress: Progress
    ) -> Path:
        """Refused."""
        _refuse(version, "its bytes are kept nowhere yet")

    def load(
        self, version: ModelVersion, *, trust: Trust, loader: str | None, verify: Verify, progress: Progress
    ) -> object:
        """Refused."""
        _refuse(version, "its bytes are kept nowhere yet")

    def convert(
        self,
        version: ModelVersion,
        to: Path,
        *,
        format: str,  # noqa: A002
        trust: Trust,
        loader: str | None,
        example: object,
        progress: Progress,
    ) -> Path:
        """Refused."""
        _refuse(version, "its bytes are kept nowhere yet")

    def export(
        self,
        version: ModelVersion,
        target: str | os.PathLike[str],
        *,
        format: str,  # noqa: A002
        bom: bool,
        overwrite: bool,
        storage_options: Mapping[str, Any] | None,
        verify: Verify,
        progress: Progress,
    ) -> NoReturn:
        """Refused."""
        _refuse(version, "its bytes are kept nowhere yet")

    def lineage(self, version: ModelVersion) -> NoReturn:
        """Refused."""
        _refuse(version, "its lineage begins at a commit that is not made yet")

    def reproduce(
        self,
        version: ModelVersion,
        *,
        tolerance: float | Mapping[str, float],
        timeout: float | None,
        progress: Progress,
    ) -> NoReturn:
        """Refused."""
        _refuse(version, "its lineage begins at a commit that is not made yet")

    def cyclonedx(self, version: ModelVersion) -> dict[str, Any]:
        """Refused."""
        _refuse(version, "its lineage begins at a commit that is not made yet")


def _refuse(version: ModelVersion, why: str) -> NoReturn:
    raise VersionNotFoundError(
        f"{version.reference} is not there: it is what a call with dry_run=True would make, and {why}; call again without "
        "dry_run=True"
    )
