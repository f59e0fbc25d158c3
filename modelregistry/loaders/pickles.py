"""Pickles, plain and joblib's: which file is one, and who reads it."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import ClassVar, cast

from modelregistry.errors import MissingDependencyError, RegistryError, UnknownFormatError
from modelregistry.loaders import estimators
from modelregistry.loaders.base import (
    Description,
    Inspection,
    Likeness,
    Loader,
    Permit,
    Tier,
    UntrustedNamesError,
)
from modelregistry.loaders.soundparts import UnsoundError
from modelregistry.loaders.streams import COMPRESSED, Source
from modelregistry.loaders.unpickling import CallersError, dump, load_confined, load_freely, names_outside
from modelregistry.metadata.signature import ModelSignature

_ZIP = b"PK\x03\x04"
_PICKLE_HEADS = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
_COMPRESSED_SUFFIXES = {".z", ".gz", ".bz2", ".lzma", ".xz", ".lz4"}


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
        if head.startswith(COMPRESSED):
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


@contextmanager
def _opened(path: Path, loader: str) -> Iterator[Source]:
    """The pickle in a file, and whatever goes wrong while it is read as an error of this library's."""
    if path.is_dir():
        raise UnknownFormatError(f"{path.name!r} is a folder; loader {loader!r} reads one file")
    with path.open("rb") as file:
        try:
            yield Source(file)
        except (RegistryError, UntrustedNamesError, CallersError):
            raise
        except ImportError as error:
            package = {"sklearn": "scikit-learn"}.get(error.name or "numpy", error.name)
            raise MissingDependencyError(
                f"{path.name!r} holds objects of {package}: pip install {package}"
            ) from error
        except UnsoundError as error:
            raise UnknownFormatError(
                f"{path.name!r} has parts that don't fit together, which could make native code leave its memory: "
                f"{error}"
            ) from error
        except Exception as error:  # a malformed stream can make the machine raise anything
            problem = (
                "it asks for more memory than there is" if isinstance(error, MemoryError) else f"{error}"
            )
            reason = f"{type(error).__name__}: {problem}"[:300]
            raise UnknownFormatError(
                f"{path.name!r} can't be read as a pickle without running code: {reason!r}"
            ) from error


class PickleLoader(Loader):
    """Plain pickles, by the standard library."""

    name: ClassVar[str] = "pickle"
    confines: ClassVar[bool] = True

    def recognises(self, path: Path, name: str) -> Likeness:
        """What says that this loader can read the file: the name, the first bytes, and joblib's mark."""
        return _likeness(path) if _family(path, name) == self.name else Likeness.NONE

    def inspect(self, path: Path) -> Inspection:
        """The names outside the list, none of them resolved.

        Raises:
            UnknownFormatError: The file can't be read as a pickle without running code.
            MissingDependencyError: A library that the file needs to be read is not installed.
        """
        with _opened(path, self.name) as source:
            names = tuple(sorted(names_outside(source)))
        return Inspection(Tier.NAMED if names else Tier.CONFINED, names)

    def describe(self, path: Path) -> Description:
        """The libraries that the objects in the file are of.

        Raises:
            MissingDependencyError: The library that decompresses the file is not installed.
        """
        with _opened(path, self.name) as source:
            return estimators.describe(source.raw)

    def describe_object(self, model: object) -> ModelSignature | None:
        """What an estimator tells."""
        return estimators.signature_of(model)

    def load(self, path: Path, permit: Permit) -> object:
        """The object, built from listed names; by the library's own reader if code may run.

        Raises:
            UntrustedNamesError: The bytes ask for a name that is neither listed nor permitted.
            UnknownFormatError: The file can't be read as a pickle without running code.
            MissingDependencyError: The library that reads or decompresses the file is not installed.
        """
        if permit.code:
            return self.load_freely(path)
        try:
            with _opened(path, self.name) as source:
                return load_confined(source, permit.names)
        except CallersError as error:
            raise cast("Exception", error.__cause__) from None

    def load_freely(self, path: Path) -> object:
        """The object, whatever code that runs."""
        with path.open("rb") as file:
            return load_freely(file)

    def suffix_for(self, model: object) -> str:
        """``.pkl``."""
        return ".pkl"

    def save(self, model: object, path: Path) -> None:
        """Write any object; whether others can load it shows when it is registered."""
        with path.open("wb") as file:
            dump(model, file)


class JoblibLoader(PickleLoader):
    """What ``joblib.dump`` writes, compressed or not, whatever it is called."""

    name: ClassVar[str] = "joblib"
    suffixes: ClassVar[tuple[str, ...]] = (".joblib",)
    library: ClassVar[str] = "joblib"
    requires: ClassVar[str] = "joblib>=1.6.0"

    def load_freely(self, path: Path) -> object:
        """The object, whatever code that runs."""
        try:
            import joblib
        except ImportError as error:
            raise MissingDependencyError(f"the file needs joblib: pip install {self.requires!r}") from error
        return cast("object", joblib.load(path))

    def saves(self, model: object) -> bool:
        """Estimators of scikit-learn's."""
        return estimators.is_estimator(model)

    def suffix_for(self, model: object) -> str:
        """``.joblib``."""
        return ".joblib"

    def save(self, model: object, path: Path) -> None:
        """Write any object; whether others can load it shows when it is registered.

        Raises:
            MissingDependencyError: joblib is not installed.
        """
        try:
            import joblib
        except ImportError as error:
            raise MissingDependencyError(
                f"to write it needs joblib: pip install {self.requires!r}"
            ) from error
        joblib.dump(model, path)
