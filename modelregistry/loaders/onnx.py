"""ONNX graphs, run by ONNX Runtime."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from modelregistry.errors import UnknownFormatError
from modelregistry.loaders.base import Description, Inspection, Likeness, Loader, Permit, Tier, head, is_of
from modelregistry.loaders.folders import contained
from modelregistry.metadata.signature import Column, ModelSignature

_TYPES = (
    *(None, "float32", "uint8", "int8", "uint16", "int16", "int32", "int64", "str", "bool", "float16"),
    *("float64", "uint32", "uint64", "complex64", "complex128", "bfloat16"),
)
"""What the numbers of the element types stand for."""

_MODEL: Mapping[int, int] = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
"""The fields of a model, and how each is written."""
_GRAPH = 7

# The messages in which a tensor can be: which field holds which.
_MESSAGES: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_DEEPEST = 100
"""Messages within messages; protobuf itself reads no more."""
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14

Span = tuple[int, int]
"""Where the value of a field begins and ends; of a number, the number itself first."""


class OnnxLoader(Loader):
    """A graph in one file, or in a folder with its external data."""

    name: ClassVar[str] = "onnx"
    suffixes: ClassVar[tuple[str, ...]] = (".onnx",)
    library: ClassVar[str] = "onnxruntime"
    requires: ClassVar[str] = "onnxruntime>=1.20"
    extra: ClassVar[str] = "onnx"
    distributions: ClassVar[tuple[str, ...]] = ("onnxruntime",)

    def recognises(self, path: Path, name: str) -> Likeness:
        """Whether the fields of the file are those of a model, or it is called so; or the folder has one such file."""
        if path.is_dir():
            return Likeness.MAGIC if len(_graphs(path)) == 1 else Likeness.NONE
        if head(path, 1):
            with _mapped(path) as data:
                if _is_model(data):
                    return Likeness.MAGIC
        return self.by_name(path, name)

    def inspect(self, path: Path) -> Inspection:
        """Nothing: a graph is data, and what it keeps in other files is in the folder.

        Raises:
            UnknownFormatError: The file is no model, or keeps data where nobody verified it.
        """
        self._checked(path)
        return Inspection(Tier.DATA)

    def describe(self, path: Path) -> Description:
        """The inputs and outputs of the graph.

        Raises:
            UnknownFormatError: The file is malformed.
        """
        file, _ = self._checked(path)
        with self.reading(file), _mapped(file) as data:
            graph = next(span for number, _, span in _fields(data, 0, len(data)) if number == _GRAPH)
            return Description(_signature(data, *graph))

    def load(self, path: Path, permit: Permit) -> object:
        """An ``onnxruntime.InferenceSession``, on CUDA where that is there.

        No library of custom operators is loaded.

        Raises:
            UnknownFormatError: The file is no model, or keeps data where nobody verified it.
            MissingDependencyError: ONNX Runtime is not installed.
        """
        with self.importing():
            import onnxruntime
        file, locations = self._checked(path)
        with self.reading(file):
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 4  # what goes wrong is raised, and need not be printed too
            options.add_session_config_entry("session.load_model_format", "ONNX")
            if any((path / location).is_symlink() for location in locations):
                # The store links to what it can't name otherwise, and ONNX Runtime follows no link out of a folder.
                data = [(path / location).read_bytes() for location in locations]
                options.add_external_initializers_from_files_in_memory(locations, data, [*map(len, data)])
            there = onnxruntime.get_available_providers()
            wanted = [each for each in ("CUDAExecutionProvider", "CPUExecutionProvider") if each in there]
            session: object = onnxruntime.InferenceSession(
                str(file), options, providers=wanted, enable_fallback=0
            )
        return session

    def saves(self, model: object) -> bool:
        """Graphs in memory, as the package ``onnx`` has them."""
        return is_of(model, "onnx", "ModelProto")

    def save(self, model: object, path: Path) -> None:
        """Write it, all in one file."""
        graph: Any = model
        path.write_bytes(graph.SerializeToString())

    def _file(self, path: Path) -> Path:
        if not path.is_dir():
            self.check_file(path)
            return path
        match _graphs(path):
            case [only]:
                return only
            case several:
                raise UnknownFormatError(
                    f"{path.name!r} has {len(several)} files called '*.onnx'; one is needed"
                )

    def _checked(self, path: Path) -> tuple[Path, list[str]]:
        """The file of the graph, and the files that it refers to, each known to be in the folder."""
        file = self._file(path)
        with self.reading(file), _mapped(file) as data:
            if not _is_model(data):
                raise ValueError("it is no ONNX model")
            # No external data without this key, and to search is so much faster than to walk.
            named = _locations(data, "model", 0, len(data)) if data.find(b"location") >= 0 else ()
            locations = sorted(set(named))
        for location in locations:
            if not path.is_dir():
                raise UnknownFormatError(
                    f"{path.name!r} keeps its data in another file, {location!r}: register the folder of both"
                )
            contained(path, location)
        return file, locations


def _graphs(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.onnx") if path.is_file()]


@contextmanager
def _mapped(file: Path) -> Iterator[mmap.mmap]:
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


def _is_model(data: mmap.mmap) -> bool:
    """Whether the outermost fields are those of a model, each whole."""
    seen = set[int]()
    try:
        for number, kind, _ in _fields(data, 0, len(data)):
            if _MODEL.get(number) != kind:
                return False
            seen.add(number)
    except ValueError:
        return False
    return seen >= {1, _GRAPH}


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, Span]]:
    """The number of each field of a message, how it is written, and where.

    Raises:
        ValueError: They are no fields.
    """
    while start < end:
        key, start = _varint(data, start, end)
        number, kind = key >> 3, key & 7
        match kind:
            case 0:
                value, start = _varint(data, start, end)
                yield number, kind, (value, start)
                continue
            case 1:
                size = 8
            case 2:
                size, start = _varint(data, start, end)
            case 5:
                size = 4
            case _:
                raise ValueError(f"a field of kind {kind} at byte {start}")
        if not number or size > end - start:
            raise ValueError(f"a field that is cut off at byte {start}")
        yield number, kind, (start, start + size)
        start += size


def _varint(data: mmap.mmap, start: int, end: int) -> tuple[int, int]:
    value = 0
    for place in range(10):
        if start + place >= end:
            break
        byte = data[start + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, start + place + 1
    raise ValueError(f"a number that does not end at byte {start}")


def _locations(data: mmap.mmap, message: str, start: int, end: int, depth: int = 0) -> Iterator[str]:
    """Where the tensors in a message keep their data, of those that keep it elsewhere."""
    if depth > _DEEPEST:
        raise ValueError(f"messages more than {_DEEPEST} deep")
    held = _MESSAGES.get(message, {})
    external, location = False, None
    for number, kind, span in _fields(data, start, end):
        if message == "tensor":
            external |= number == _DATA_LOCATION and kind == 0 and span[0] == 1
            if number == _EXTERNAL_DATA and kind == 2:
                entry = {each: data[slice(*at)] for each, _, at in _fields(data, *span)}
                if entry.get(1) == b"location":
                    location = entry.get(2, b"").decode()
                    yield location
        elif kind == 2 and number in held:
            yield from _locations(data, held[number], *span, depth + 1)
    if external and location is None:
        raise ValueError("a tensor that is elsewhere, and does not say where")


def _signature(data: mmap.mmap, start: int, end: int) -> ModelSignature:
    inputs: list[Column] = []
    outputs: list[Column] = []
    initialised = set[str]()
    for number, kind, span in _fields(data, start, end):
        if kind == 2 and number in {11, 12}:
            (inputs if number == 11 else outputs).append(_column(data, *span))
        elif kind == 2 and number == 5:  # a tensor, whose name is its field 8
            names = [slice(*at) for each, _, at in _fields(data, *span) if each == 8]
            initialised.update(data[name].decode() for name in names)
    return ModelSignature(
        tuple(column for column in inputs if column.name not in initialised), tuple(outputs)
    )


def _column(data: mmap.mmap, start: int, end: int) -> Column:
    """An input or output: its name, and its element type and lengths if it is a tensor."""
    name, type_, shape = None, None, None
    for number, _, span in _fields(data, start, end):
        if number == 1:
            name = data[slice(*span)].decode()
        elif number == 2:
            for kind, _, tensor in _fields(data, *span):
                if kind != 1:  # a sequence or map
                    continue
                for field, _, value in _fields(data, *tensor):
                    if field == 1:
                        type_ = _TYPES[value[0]] if value[0] < len(_TYPES) else None
                    elif field == 2:
                        lengths = [at for each, _, at in _fields(data, *value) if each == 1]
                        shape = tuple(_length(data, *at) for at in lengths)
    return Column(name, type_, shape)


def _length(data: mmap.mmap, start: int, end: int) -> int | None:
    """A length; None where the graph gives it a name."""
    return next((value[0] for number, _, value in _fields(data, start, end) if number == 1), None)
