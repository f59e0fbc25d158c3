"""Files that are handed out as they lie: those of GGUF, and whatever its user reads by hand."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from modelregistry.loaders.base import Inspection, Likeness, Loader, Permit, Tier, head

_GGUF = b"GGUF"


class PathLoader(Loader):
    """Gives the path of any file or folder to who asks for it."""

    name: ClassVar[str] = "path"

    def recognises(self, path: Path, name: str) -> Likeness:
        """Nothing: it is to be named."""
        return Likeness.NONE

    def inspect(self, path: Path) -> Inspection:
        """Nothing: no byte is read."""
        return Inspection(Tier.DATA)

    def load(self, path: Path, permit: Permit) -> Path:
        """The path of the verified file or folder."""
        return path


class GGUFLoader(PathLoader):
    """Gives the path of a GGUF file, as the programs that run one want it."""

    name: ClassVar[str] = "gguf"
    suffixes: ClassVar[tuple[str, ...]] = (".gguf",)

    def recognises(self, path: Path, name: str) -> Likeness:
        """Whether the file begins as GGUF does, or is called so."""
        return Likeness.MAGIC if head(path, len(_GGUF)) == _GGUF else self.by_name(path, name)

    def inspect(self, path: Path) -> Inspection:
        """Nothing: the file is not parsed.

        Raises:
            UnknownFormatError: It does not begin as GGUF does.
        """
        self.check_file(path)
        with self.reading(path):
            if head(path, len(_GGUF)) != _GGUF:
                raise ValueError("it does not begin with 'GGUF'")
        return Inspection(Tier.DATA)
