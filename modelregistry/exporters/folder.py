"""Plain files: the artifact under its own name."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from modelregistry.exporters.base import Arrangement, Exporter, Source, artifact_files


class FolderExporter(Exporter):
    """The file as it is, or the folder with all that is in it."""

    name: ClassVar[str] = "folder"

    def arrange(self, source: Source, scratch: Path) -> Arrangement:
        """The artifact's own files."""
        return Arrangement(
            artifact_files(source, source.name if source.is_directory else ""), artifact=source.name
        )
