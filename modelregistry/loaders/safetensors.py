"""Safetensors: named arrays behind a header of JSON."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from modelregistry.loaders.base import Inspection, Likeness, Loader, Permit, Tier, head

_MOST_HEADER = 100_000_000
"""Bytes of a header; the library itself reads no longer one."""
_OF_NUMPY = frozenset(
    {"BOOL", "C64", "F16", "F32", "F64", "I16", "I32", "I64", "I8", "U16", "U32", "U64", "U8"}
)
_OTHERWISE = 'safetensors.torch.load_file reads it from the path that loader="path" gives'


class SafetensorsLoader(Loader):
    """Arrays in one file."""

    name: ClassVar[str] = "safetensors"
    suffixes: ClassVar[tuple[str, ...]] = (".safetensors",)
    library: ClassVar[str] = "safetensors.numpy"
    requires: ClassVar[str] = "safetensors>=0.4.3"
    extra: ClassVar[str] = "safetensors"
    distributions: ClassVar[tuple[str, ...]] = ("safetensors",)

    def recognises(self, path: Path, name: str) -> Likeness:
        """Whether the file begins with the length of a header that is in it, or is called so."""
        begin = head(path, 9)
        length = int.from_bytes(begin[:8], "little")
        if begin[8:] == b"{" and 2 <= length <= min(_MOST_HEADER, path.stat().st_size - 8):
            return Likeness.MAGIC
        return self.by_name(path, name)

    def inspect(self, path: Path) -> Inspection:
        """Nothing: arrays are data.

        Raises:
            UnknownFormatError: It is a folder, or empty.
        """
        self.check_file(path)
        return Inspection(Tier.DATA)

    def load(self, path: Path, permit: Permit) -> object:
        """The arrays by their names, as numpy's.

        Raises:
            UnknownFormatError: The file is malformed, or holds numbers of a type that numpy does not have.
            MissingDependencyError: safetensors or numpy is not installed.
        """
        self.check_file(path)
        with self.importing():
            import safetensors.numpy
        with self.reading(path):
            with safetensors.safe_open(path, framework="np") as file:
                types = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118 (no mapping)
            if foreign := sorted(types - _OF_NUMPY):
                raise ValueError(f"numpy has no {foreign[0]}; {_OTHERWISE}")
            arrays: object = safetensors.numpy.load_file(path)
        return arrays
