"""The contract of a loader: recognise, inspect without running anything, load within a permit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import ClassVar


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
    """The pip requirement of the library behind it, for the message when it is missing."""

    @abstractmethod
    def recognises(self, path: Path, name: str) -> bool:
        """Whether this loader can read the file or folder; looks at the name and the first bytes."""

    @abstractmethod
    def inspect(self, path: Path) -> Inspection:
        """What loading would need. Runs nothing of what it reads.

        Raises:
            MissingDependencyError: The library behind the loader is not installed.
        """

    @abstractmethod
    def load(self, path: Path, permit: Permit) -> object:
        """The object, built within the permit.

        Raises:
            UntrustedNamesError: The bytes ask for a name that the permit does not allow.
            MissingDependencyError: The library behind the loader is not installed.
        """


class UntrustedNamesError(Exception):
    """A loader met names outside its permit; the caller turns it into ``UntrustedModelError``.

    Attributes:
        names: Those names.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(", ".join(names))
        self.names = names
