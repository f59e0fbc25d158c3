"""One archive with the model's files at its root: what Amazon SageMaker takes as the data of a model."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path
from typing import ClassVar

from modelregistry.exporters.base import Arrangement, Exporter, ExportFile, Source

ARCHIVE = "model.tar.gz"
_LEVEL = 1
"""Weights hardly get smaller, and a gigabyte of them takes minutes on any other."""


class TarGzExporter(Exporter):
    """``model.tar.gz``: in the order of their names, without owners and times."""

    name: ClassVar[str] = "tar.gz"

    def arrange(self, source: Source, scratch: Path) -> Arrangement:
        """The archive."""
        target = scratch / ARCHIVE
        with (
            target.open("wb") as raw,
            gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=_LEVEL, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for file in sorted(source.files, key=lambda file: file.path):
                member = tarfile.TarInfo(file.path)
                member.size = source.local(file).stat().st_size
                member.mode = 0o644
                with source.reading(file) as content:
                    archive.addfile(member, content)
        return Arrangement((ExportFile(ARCHIVE, target),))
