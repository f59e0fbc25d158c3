"""Safetensors: named arrays behind a header of JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, cast

from modelregistry.loaders.base import Inspection, Likeness, Loader, Permit, Tier, head, is_of

_MOST_HEADER = 100_000_000
"""Bytes of a header; the library itself reads no longer one."""
_OF_NUMPY = frozenset(
    {"BOOL", "C64", "F16", "F32", "F64", "I16", "I32", "I64", "I8", "U16", "U32", "U64", "U8"}
)
_OF_BOTH = frozenset({"bool", "float16", "float32", "float64", "int16", "int32", "int64", "int8", "uint8"})
_OF_ARRAYS = _OF_BOTH | {"uint16", "uint32", "uint64"}
"""Types of numbers that a file keeps, and that numpy has."""
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

    def saves(self, model: object) -> bool:
        """Arrays of numpy's by their names, or tensors of PyTorch's, as a ``state_dict`` has them."""
        return _are(model, "numpy", "ndarray", _OF_ARRAYS) or _are(model, "torch", "Tensor", _OF_BOTH)

    def loses(self, model: object) -> str | None:
        """Whose the arrays were."""
        if _are(model, "torch", "Tensor", _OF_BOTH):
            return "that they are tensors: they load as numpy's, which torch.from_numpy takes"
        return None

    def save(self, model: object, path: Path) -> None:
        """Write them; tensors that share memory are written one by one.

        Raises:
            MissingDependencyError: safetensors, or numpy, is not installed.
        """
        with self.importing():
            import safetensors.numpy
        arrays = {name: _as_array(value) for name, value in cast("dict[str, Any]", model).items()}
        safetensors.numpy.save_file(arrays, path)


def _are(model: object, package: str, name: str, types: frozenset[str]) -> bool:
    """Whether it is a dictionary of such arrays, of such numbers, by their names."""
    if not isinstance(model, dict) or not model:
        return False
    return all(
        isinstance(key, str) and is_of(value, package, name) and str(value.dtype).rpartition(".")[2] in types
        for key, value in cast("dict[object, Any]", model).items()
    )


def _as_array(value: Any) -> Any:
    """An array of numpy's whose numbers lie in order, which is all that the library writes rightly."""
    array = value.detach().cpu().numpy() if hasattr(value, "detach") else value
    return array.copy(order="C")
