"""Pickles, plain and joblib's, read by a machine that resolves only the names on an exact list.

On one machine stand two readers: the recorder resolves nothing and notes what was asked for; the confined
one builds the object from listed names and stops at the first other one. Both read joblib's arrays by
themselves, so what confines them holds with every version of joblib; joblib's own reader, like pickle's,
only sees bytes that may run code. Time and memory are not bounded: a small file can ask for much of both.
"""

from __future__ import annotations

import importlib
import io
import mmap
import pickle
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import IO, Any, ClassVar, cast

from modelregistry.errors import MissingDependencyError, RegistryError, UnknownFormatError
from modelregistry.loaders import arrays, estimators
from modelregistry.loaders.base import (
    Description,
    Inspection,
    Likeness,
    Loader,
    Permit,
    Tier,
    UntrustedNamesError,
)
from modelregistry.modelsignature import ModelSignature

_DEEPEST = 1000
"""Tuples nested much deeper crash Python when they are hashed; pickle itself can't write this many."""
_ZIP = b"PK\x03\x04"
_LZ4 = b"\x04\x22\x4d\x18"
_COMPRESSED = (b"\x78", b"\x1f\x8b", b"BZ", b"\x5d\x00", b"\xfd7zXZ", _LZ4)
"""The first bytes of zlib, gzip, bz2, lzma, xz and lz4, as joblib writes them. No pickle starts so."""
_PICKLE_HEADS = tuple(pickle.PROTO + bytes([protocol]) for protocol in range(2, 6))
_COMPRESSED_SUFFIXES = {".z", ".gz", ".bz2", ".lzma", ".xz", ".lz4"}


def _encode(text: str, encoding: str) -> bytes:
    if encoding not in {
        "latin1",
        "latin-1",
    }:  # how protocol 2 spells bytes; other codecs may decompress or import
        raise ValueError(f"codec {encoding!r}")
    return text.encode("latin1")


def _bytearray(data: bytes | str = b"", encoding: str = "latin-1") -> bytearray:
    if isinstance(data, str):  # protocol 2 again
        data = _encode(data, encoding)
    if type(data) is not bytes:  # a number would be a length to fill with zeros
        raise ValueError("a bytearray that pickle does not write")
    return bytearray(data)


_STAND_INS: Mapping[str, Callable[..., Any]] = {
    "_codecs.encode": _encode,
    "builtins.bytearray": _bytearray,
    "joblib.numpy_pickle.NumpyArrayWrapper": arrays.ArrayHere,
    "numpy._core.multiarray._reconstruct": arrays.reconstruct,
    "numpy._core.multiarray.scalar": arrays.scalar,
    "numpy._core.numeric._frombuffer": arrays.from_buffer,
    "numpy.core.multiarray._reconstruct": arrays.reconstruct,
    "numpy.core.multiarray.scalar": arrays.scalar,
    "numpy.core.numeric._frombuffer": arrays.from_buffer,
}
"""Names that get a checked function of ours, because the real one is not safe with every argument."""

_AS_THEY_ARE = (
    "builtins.bytes",
    "builtins.complex",
    "builtins.frozenset",
    "builtins.set",
    "collections.OrderedDict",
    "numpy.dtype",
    "numpy.ndarray",
)
"""Names that run nothing whatever they are called with: reviewed one by one, as each addition must be."""

VOUCHED = frozenset(_AS_THEY_ARE) | _STAND_INS.keys()
"""Every name that loads without the caller's word. The names of a whole library join it here, as data."""

_COMPANION = frozenset(
    f"{module}.{wrapper}"
    for module in ("joblib.numpy_pickle", "joblib.numpy_pickle_compat")
    for wrapper in ("NDArrayWrapper", "ZNDArrayWrapper")
)
"""What joblib before 0.10 wrote for an array in a file beside this one, which nobody has verified."""


def _measuring_tuples(opcode: int) -> Callable[[_Machine], None]:
    def load(machine: _Machine) -> None:
        _STOCK[opcode](machine)
        machine.measure(machine.stack[-1])

    return load


class _Machine(pickle._Unpickler):
    """Pickle's machine with the ways around ``find_class`` closed.

    It is the one written in Python, as joblib's is: the opcodes of the one in C can't be overridden.
    """

    stack: list[Any]
    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]
    read: Callable[[int], bytes]
    proto: int

    def __init__(self, source: IO[bytes], allowed: frozenset[str]) -> None:
        super().__init__(source)
        self.source = source
        self.allowed = allowed
        self.outside: set[str] = set()
        self._looked_up: dict[int, Any] = {}
        self._depths: dict[int, int] = {}

    def resolve(self, module: str, qualname: str) -> Any:
        """What stands for the name."""
        raise NotImplementedError

    def array(self, dtype: Any, shape: tuple[int, ...], order: str) -> Any:
        """What stands for the array whose bytes come next."""
        raise NotImplementedError

    def find_class(self, module: str, name: str) -> Any:
        if self.proto < 3:  # names as Python 2 has them
            module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        if f"{module}.{name}" in _COMPANION:
            raise pickle.UnpicklingError("its arrays are in other files, as joblib wrote them before 0.10")
        found = self.resolve(module, name)
        self._looked_up[id(found)] = found
        return found

    def get_extension(self, code: int) -> None:
        # The process-wide cache of extensions would answer without asking find_class.
        raise pickle.UnpicklingError(f"it uses extension code {code}, whose meaning is up to each process")

    def load_build(self) -> None:
        state, target = self.stack[-1], self.stack[-2]
        if id(target) in self._looked_up:  # would change a class or function for the whole process
            raise pickle.UnpicklingError("it gives a state to something looked up by name")
        if isinstance(target, arrays.ArrayHere):
            self.stack[-2:] = [self.array_here(state)]
        else:
            self.stack[-1] = arrays.sound_state(target, state)
            _STOCK[pickle.BUILD[0]](self)

    def array_here(self, state: Any) -> Any:
        dtype, shape, order = arrays.announced(self.source, state)
        if not dtype.hasobject:
            return self.array(dtype, shape, order)
        nested = type(self)(self.source, self.allowed)  # a pickle within the pickle
        nested.outside = self.outside
        return nested.load()

    def load_bytearray8(self) -> None:
        # The stock opcode fills the claimed length with zeros before it reads a byte.
        length = int.from_bytes(self.read(8), "little")
        self.append(bytearray(self.read(length)))  # where fewer are left, the stream ends without a STOP

    def measure(self, made: tuple[Any, ...]) -> None:
        depth = 1 + max((self._depths.get(id(item), 1) for item in made if type(item) is tuple), default=0)
        if depth > _DEEPEST:
            raise pickle.UnpicklingError(f"it nests tuples more than {_DEEPEST} deep")
        if depth > 1:
            self._depths[id(made)] = depth
        else:  # what a tuple that is gone may have left at this id
            self._depths.pop(id(made), None)

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **pickle._Unpickler.dispatch,
        pickle.BUILD[0]: load_build,
        pickle.BYTEARRAY8[0]: load_bytearray8,
        pickle.TUPLE[0]: _measuring_tuples(pickle.TUPLE[0]),
        pickle.TUPLE1[0]: _measuring_tuples(pickle.TUPLE1[0]),
        pickle.TUPLE2[0]: _measuring_tuples(pickle.TUPLE2[0]),
        pickle.TUPLE3[0]: _measuring_tuples(pickle.TUPLE3[0]),
    }


_STOCK = cast("Mapping[int, Callable[[_Machine], None]]", pickle._Unpickler.dispatch)


class _Inert:
    """Stands for whatever a name would have been or made: does nothing, whatever is done to it."""

    __slots__ = ()

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Any:
        return object.__new__(_Inert)

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        return _Inert()

    def __setstate__(self, _state: Any) -> None:
        pass


class _Uncalled(_Inert):
    """Stands for a class that pickles name and never call: it would allocate whatever it is told to."""

    __slots__ = ()

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Any:
        raise pickle.UnpicklingError("it makes an array as numpy never writes one")

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        return _Uncalled()


class _Recorder(_Machine):
    """Notes the names outside the list, and keeps only what it needs to find its way past arrays."""

    def resolve(self, module: str, qualname: str) -> Any:
        match f"{module}.{qualname}":
            case name if name not in self.allowed:
                self.outside.add(name)
            case "_codecs.encode":
                return _encode
            case "numpy.dtype":
                return importlib.import_module("numpy").dtype
            case "numpy.ndarray":
                return object.__new__(_Uncalled)
            case "joblib.numpy_pickle.NumpyArrayWrapper":
                return arrays.ArrayHere
            case _:
                pass
        return _Inert()

    def array(self, dtype: Any, shape: tuple[int, ...], order: str) -> Any:
        for _ in arrays.chunks(self.source, arrays.count(shape) * dtype.itemsize):
            pass
        return _Inert()

    def keep(self, items: list[Any]) -> None:
        # Only text is hashed: what else a file makes may take for ever to hash.
        if type(self.stack[-1]) is dict:
            pairs = zip(items[::2], items[1::2], strict=True)
            self.stack[-1].update({key: value for key, value in pairs if type(key) is str})

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.keep([key, value])

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append({})
        self.keep(items)

    def load_frozenset(self) -> None:
        self.pop_mark()
        self.append(_Inert())

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **_Machine.dispatch,
        pickle.APPEND[0]: lambda self: self.stack.pop(),
        pickle.APPENDS[0]: lambda self: self.pop_mark(),
        pickle.ADDITEMS[0]: lambda self: self.pop_mark(),
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: lambda self: self.keep(self.pop_mark()),
        pickle.DICT[0]: load_dict,
        pickle.FROZENSET[0]: load_frozenset,
    }


class _Confined(_Machine):
    """Builds the object from the names on the list, and stops at the first other one."""

    def resolve(self, module: str, qualname: str) -> Any:
        name = f"{module}.{qualname}"
        if name not in self.allowed:
            raise UntrustedNamesError((name,))
        if name in _STAND_INS:
            return _STAND_INS[name]
        found: Any = importlib.import_module(module)
        for step, part in enumerate(qualname.split(".")):
            if step and not isinstance(found, type):  # else `os` is in reach through whoever imports it
                raise UntrustedNamesError((name,))
            found = getattr(found, part)
        if isinstance(found, ModuleType):
            raise UntrustedNamesError((name,))
        return found

    def array(self, dtype: Any, shape: tuple[int, ...], order: str) -> Any:
        return arrays.read(self.source, dtype, shape, order)


def _family(path: Path, name: str) -> str | None:
    """The name of the loader for the file: ``"joblib"`` if joblib marked, compressed or named it."""
    suffixes = PurePosixPath(name.lower()).suffixes
    if suffixes and suffixes[-1] in _COMPRESSED_SUFFIXES:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix not in {"", ".joblib", ".pkl", ".pickle"} or not path.is_file():
        return None
    if suffix == ".joblib":
        return "joblib"
    with path.open("rb") as file:
        head = file.read(8)
        if head.startswith(_COMPRESSED):
            return "joblib" if suffix else None
        if head.startswith(_ZIP) or not (suffix or head[:2] in _PICKLE_HEADS):
            return None
        if not head:
            return "pickle"
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return "joblib" if content.find(b"joblib.numpy_pickle") >= 0 else "pickle"


def _likeness(path: Path) -> Likeness:
    with path.open("rb") as file:
        head = file.read(2)
    return Likeness.MAGIC if head in _PICKLE_HEADS else Likeness.SUFFIX


class PickleLoader(Loader):
    """Plain pickles, by the standard library."""

    name: ClassVar[str] = "pickle"
    vouched: ClassVar[frozenset[str]] = VOUCHED

    def recognises(self, path: Path, name: str) -> Likeness:
        """What says that this loader can read the file: the name, the first bytes, and joblib's mark."""
        return _likeness(path) if _family(path, name) == self.name else Likeness.NONE

    def inspect(self, path: Path) -> Inspection:
        """The names outside the list, none of them resolved.

        Raises:
            UnknownFormatError: The file can't be read as a pickle without running code.
            MissingDependencyError: A library that the file needs to be read is not installed.
        """
        if path.is_dir():
            raise UnknownFormatError(f"{path.name!r} is a folder; loader {self.name!r} reads one file")
        with path.open("rb") as file:
            try:
                recorder = _Recorder(self.opened(file), self.vouched)
                recorder.load()
            except RegistryError:
                raise
            except ImportError as error:
                raise MissingDependencyError(f"{path.name!r} holds arrays: pip install numpy") from error
            except Exception as error:  # a malformed stream can make the machine raise anything
                reason = f"{type(error).__name__}: {error}"[:300]
                raise UnknownFormatError(
                    f"{path.name!r} can't be read as a pickle without running code: {reason!r}"
                ) from error
        names = tuple(sorted(recorder.outside))
        return Inspection(Tier.NAMED if names else Tier.CONFINED, names)

    def describe(self, path: Path) -> Description:
        """The libraries that the objects in the file are of.

        Raises:
            MissingDependencyError: The library that decompresses the file is not installed.
        """
        with path.open("rb") as file:
            return estimators.describe(self.opened(file))

    def describe_object(self, model: object) -> ModelSignature | None:
        """What an estimator tells."""
        return estimators.signature_of(model)

    def load(self, path: Path, permit: Permit) -> object:
        """The object, built from listed names; by the library's own reader if code may run.

        Raises:
            UntrustedNamesError: The bytes ask for a name that is neither listed nor permitted.
            MissingDependencyError: The library that reads or decompresses the file is not installed.
        """
        if permit.code:
            return self.load_freely(path)
        with path.open("rb") as file:
            return _Confined(self.opened(file), self.vouched | permit.names).load()

    def opened(self, file: IO[bytes]) -> IO[bytes]:
        """The stream of the pickle that the file holds."""
        return file

    def load_freely(self, path: Path) -> object:
        """The object, whatever code that runs."""
        with path.open("rb") as file:
            return pickle.load(file)


class JoblibLoader(PickleLoader):
    """What ``joblib.dump`` writes, compressed or not, whatever it is called."""

    name: ClassVar[str] = "joblib"
    suffixes: ClassVar[tuple[str, ...]] = (".joblib",)
    library: ClassVar[str] = "joblib"
    requires: ClassVar[str] = "joblib>=1.6.0"

    def opened(self, file: IO[bytes]) -> IO[bytes]:
        """The stream of the pickle that the file holds, decompressed.

        Raises:
            MissingDependencyError: The file is compressed, and joblib or lz4 is not installed.
        """
        head = file.read(8)
        file.seek(0)
        if not head.startswith(_COMPRESSED):
            return file
        formats = self._library().compressor
        if head.startswith(_LZ4) and not find_spec("lz4"):
            raise MissingDependencyError("the file is compressed with LZ4: pip install lz4")
        wrappers = (
            formats.ZlibCompressorWrapper(),
            formats.GzipCompressorWrapper(),
            formats.BZ2CompressorWrapper(),
            formats.LZMACompressorWrapper(),
            formats.XZCompressorWrapper(),
            formats.LZ4CompressorWrapper(),
        )
        wrapper = next(wrapper for wrapper in wrappers if head.startswith(wrapper.prefix))
        return io.BufferedReader(wrapper.decompressor_file(file))

    def load_freely(self, path: Path) -> object:
        """The object, whatever code that runs."""
        return cast("object", self._library().load(path))

    def _library(self) -> Any:
        try:
            import joblib
        except ImportError as error:
            raise MissingDependencyError(f"the file needs joblib: pip install {self.requires!r}") from error
        return joblib
