"""The contract of a loader: recognise, inspect without running anything, load within a permit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import ClassVar

from modelregistry.errors import MissingDependencyError, RegistryError, UnknownFormatError
from modelregistry.metadata.signature import ModelSignature


class Likeness(IntEnum):
    """What a loader takes a file or folder for one of its own by, weakest first. The strongest of all loaders wins."""

    NONE = 0
    """It is not one."""
    SUFFIX = 1
    """It is called so."""
    MAGIC = 2
    """Its first bytes, or the names of the members of the zip that it is, say so."""
    MARKER = 3
    """It is a folder with a file in it that says so."""


class Tier(IntEnum):
    """How much the one who loads must trust the bytes, least first."""

    DATA = 0
    """Data only; no code can run."""
    CONFINED = 1
    """A parser held to an exact list of names that this library vouches for."""
    NAMED = 2
    """The same list plus names the caller vouches for."""
    CODE = 3
    """Arbitrary code may run."""


@dataclass(frozen=True, slots=True)
class Permit:
    """What the one who loads allows for these very bytes."""

    names: frozenset[str] = field(default_factory=frozenset)
    """Names (``module.qualname``) the caller vouches for."""
    code: bool = False
    """Whether arbitrary code may run."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What loading would need, found without running anything."""

    tier: Tier
    """The lowest tier that suffices."""
    names: tuple[str, ...] = ()
    """Names outside what this library vouches for, sorted."""


@dataclass(frozen=True, slots=True)
class Description:
    """What the bytes tell of the model, found without running anything of them."""

    signature: ModelSignature | None = None
    """Its inputs and outputs."""
    packages: dict[str, str] = field(default_factory=dict)
    """The distributions it was made with, and their versions (``{"scikit-learn": "1.9.1"}``)."""


class Loader(ABC):
    """Turns one family of formats into an object.

    An instance holds no state. The library behind it is imported inside ``inspect`` and ``load``.
    ``path`` is where the verified bytes lie; ``name`` is what the file or folder is called in the
    repository (bytes in a cache have lost their suffix).
    """

    name: ClassVar[str]
    """How ``loader=`` and the metadata spell it."""
    suffixes: ClassVar[tuple[str, ...]] = ()
    """What its files are usually called, to import the library while the bytes are still being verified."""
    library: ClassVar[str] = ""
    """The module behind it."""
    requires: ClassVar[str] = ""
    """The pip requirement of the library behind it; an older one is refused."""
    extra: ClassVar[str] = ""
    """The extra of this package that installs it; a loader of another package has none."""
    confines: ClassVar[bool] = False
    """Whether ``load`` itself stops at the first name outside the permit and reads no more: then the bytes are read
    once, and ``inspect`` is asked only what to say in a refusal."""
    distributions: ClassVar[tuple[str, ...]] = ()
    """The distributions whose versions matter to who loads: recorded at registration, compared at load."""

    @abstractmethod
    def recognises(self, path: Path, name: str) -> Likeness:
        """What says that this loader can read the file or folder; looks at the name and the first bytes.

        Never raises for what a file holds: what can't be read is not recognised.
        """

    def part(self, path: Path) -> Path | None:
        """The file or folder in this one that holds the model, where another loader can read that by itself."""
        return None

    @abstractmethod
    def inspect(self, path: Path) -> Inspection:
        """What loading would need. Runs nothing of what it reads.

        Raises:
            MissingDependencyError: The library behind the loader is not installed.
        """

    def describe(self, path: Path) -> Description:
        """What the bytes tell of the model. Runs nothing of what it reads.

        Raises:
            UnknownFormatError: The file is malformed.
            MissingDependencyError: The library that reads it is not installed.
        """
        return Description()

    def describe_object(self, model: object) -> ModelSignature | None:
        """What an object that this loader loaded tells of its inputs and outputs."""
        return None

    @abstractmethod
    def load(self, path: Path, permit: Permit) -> object:
        """The object, built within the permit.

        Raises:
            UntrustedNamesError: The bytes ask for a name that the permit does not allow.
            MissingDependencyError: The library behind the loader is not installed.
        """

    def by_name(self, path: Path, name: str) -> Likeness:
        """What the name alone says of a file."""
        called = bool(self.suffixes) and name.lower().endswith(self.suffixes)
        return Likeness.SUFFIX if called and path.is_file() else Likeness.NONE

    # -- saving --------------------------------------------------------------------------------------------

    def saves(self, model: object) -> bool:
        """Whether this is a format to keep such an object in. Imports nothing: see ``is_of``."""
        return False

    def suffix_for(self, model: object) -> str:
        """What a file with the object is called; empty where it is a folder."""
        return self.suffixes[0] if self.suffixes else ""

    def loses(self, model: object) -> str | None:
        """What of the object the format does not keep, in a few words; None where it keeps all that matters."""
        return None

    def save(self, model: object, path: Path) -> None:
        """Write the object as a file, or a folder, that ``load`` reads.

        Args:
            model: The object.
            path: Where to; nothing is there yet, and the folder around it is.

        Raises:
            MissingDependencyError: The library behind the loader is not installed.
        """
        raise NotImplementedError(f"loader {self.name!r} saves nothing")

    # -- around the library --------------------------------------------------------------------------------

    @contextmanager
    def importing(self) -> Iterator[None]:
        """Around the import of the library behind it: what is missing is an error that says what to install.

        Raises:
            MissingDependencyError: It is not installed, or is older than ``requires`` allows.
        """
        from importlib.metadata import PackageNotFoundError, version

        from packaging.requirements import Requirement

        wanted = Requirement(self.requires)
        install = f"pip install {f'modelregistry[{self.extra}]' if self.extra else self.requires!r}"
        try:
            found = version(wanted.name)
        except PackageNotFoundError:  # another distribution may bring the same module
            found = "none"
        else:
            if not wanted.specifier.contains(found, prereleases=True):
                raise MissingDependencyError(
                    f"loader {self.name!r} needs {self.requires}, found {found}: {install}"
                )
        try:
            yield
        except ImportError as error:
            raise MissingDependencyError(
                f"loader {self.name!r} needs {self.requires}, found {found} ({error}): {install}"
            ) from error

    @contextmanager
    def reading(self, path: Path) -> Iterator[None]:
        """Around the library's own reader, which may raise anything for a malformed file.

        Raises:
            UnknownFormatError: It raised what is no error of this library.
        """
        try:
            yield
        except (RegistryError, UntrustedNamesError):
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"[:300]
            raise UnknownFormatError(
                f"{path.name!r} can't be read by loader {self.name!r}: {reason!r}"
            ) from error

    def check_file(self, path: Path) -> None:
        """Refuse what is no file with something in it.

        Raises:
            UnknownFormatError: It is a folder, or empty.
        """
        if path.is_dir():
            raise UnknownFormatError(f"{path.name!r} is a folder; loader {self.name!r} reads one file")
        if not path.stat().st_size:
            raise UnknownFormatError(f"{path.name!r} is empty, so loader {self.name!r} can't read it")


def head(path: Path, size: int) -> bytes:
    """The first bytes of a file; none of what is no file."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(size)


def is_of(model: object, package: str, *names: str) -> bool:
    """Whether the object is of one of these classes of a package, or of a subclass; imports nothing.

    Args:
        model: The object.
        package: The package that the classes are in, however deep.
        names: The names of the classes.
    """
    return any(
        each.__name__ in names and each.__module__.partition(".")[0] == package
        for each in type(model).__mro__
    )


def is_own(model: object, package: str) -> bool:
    """Whether the class of the object is the package's own, and no subclass that somebody made."""
    return type(model).__module__.partition(".")[0] == package


class UntrustedNamesError(Exception):
    """A loader met names outside its permit; the caller turns it into ``UntrustedModelError``.

    Attributes:
        names: Those names.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(", ".join(names))
        self.names = names
