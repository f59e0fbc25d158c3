"""A loader of one's own: numpy's archives of arrays, which run nothing since pickles in them are refused."""

import zipfile
from pathlib import Path
from typing import ClassVar

from modelregistry.loaders.base import Inspection, Likeness, Loader, Permit, Tier, head


class NpzLoader(Loader):
    """What ``numpy.savez`` writes."""

    name: ClassVar[str] = "npz"
    suffixes: ClassVar[tuple[str, ...]] = (".npz",)
    library: ClassVar[str] = "numpy"
    requires: ClassVar[str] = "numpy>=1.26"
    distributions: ClassVar[tuple[str, ...]] = ("numpy",)

    def recognises(self, path: Path, name: str) -> Likeness:
        if head(path, 4) == b"PK\x03\x04" and name.lower().endswith(self.suffixes):
            return Likeness.MAGIC
        return self.by_name(path, name)

    def inspect(self, path: Path) -> Inspection:
        self.check_file(path)
        return Inspection(Tier.DATA)

    def load(self, path: Path, permit: Permit) -> dict[str, object]:
        self.check_file(path)
        with self.importing():
            import numpy as np
        with self.reading(path):
            if not zipfile.is_zipfile(path):
                raise ValueError("it is no archive of arrays")
            with np.load(path) as archive:
                return {name: archive[name] for name in archive.files}
