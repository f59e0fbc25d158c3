"""What the one who loads allows: the ``trust=`` argument, and the ledger of bytes this user made here."""

from __future__ import annotations

import os
import re
import stat
import warnings
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import platformdirs

from modelregistry.errors import InvalidInputError, RegistryWarning
from modelregistry.loaders.base import Permit

_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Trust:
    """Names and digests that the one who loads vouches for. Never taken from a repository."""

    names: frozenset[str] = field(default_factory=frozenset)
    """Exact names (``module.qualname``) that any model may use."""
    digests: frozenset[str] = field(default_factory=frozenset)
    """Digests of the bytes that may run any code."""
    code: bool = False
    """Whether all bytes may run any code."""

    @classmethod
    def parse(cls, trust: str | Collection[str] | None) -> Trust:
        """The trust that a ``trust=`` argument spells.

        Args:
            trust: None, ``"code"``, or a list of names (``"mypkg.Clipper"``) and digests (``"sha256:…"``).

        Raises:
            InvalidInputError: It is none of these.
        """
        if trust is None:
            return cls()
        if trust == "code":
            return cls(code=True)
        if isinstance(trust, str) or not isinstance(cast("object", trust), Collection):
            raise InvalidInputError(
                f'trust={trust!r} is neither "code" nor a list; '
                'pass a list of names and digests, as in trust=["mypkg.Clipper"]'
            )
        names, digests = set[str](), set[str]()
        for item in cast("Collection[object]", trust):
            if isinstance(item, str) and _SHA256.fullmatch(item):
                digests.add(item)
            elif isinstance(item, str) and _is_name(item):
                names.add(item)
            else:
                raise InvalidInputError(
                    f'trust=[…] has {item!r}; each item is an exact name with its module ("mypkg.Clipper") '
                    'or a digest ("sha256:" and 64 hexadecimal digits); trust="code" stands alone'
                )
        return cls(frozenset(names), frozenset(digests))

    def permit(self, digest: str) -> Permit:
        """What this trust allows for the bytes with that digest."""
        return Permit(self.names, code=self.code or digest in self.digests)


class Ledger:
    """The digests that this user made on this machine: what they made needs no word of theirs to load.

    Only bytes that this machine itself wrote from an object or a pipeline belong here, never what was
    imported, pulled or unpacked. A file that someone else could have written is not believed.

    Args:
        path: The file; by default ``$MODELREGISTRY_HOME/made-here``, else in the user's data directory.
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is None:
            home = os.environ.get("MODELREGISTRY_HOME") or platformdirs.user_data_dir("modelregistry")
            path = Path(home) / "made-here"
        self.path = path

    def add(self, digest: str) -> None:
        """Remembers a digest. A ledger that can't be written is a warning: loading will ask for trust.

        Raises:
            InvalidInputError: The digest is not a sha256 digest.
        """
        if not _SHA256.fullmatch(digest):
            raise InvalidInputError(f"digest {digest!r} is not 'sha256:' and 64 hexadecimal digits")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            ledger = self._open(os.O_RDWR | os.O_APPEND | os.O_CREAT)
            if ledger is None:
                return
            try:
                size = os.fstat(ledger).st_size
                os.lseek(ledger, max(size - 1, 0), os.SEEK_SET)
                end = "" if os.read(ledger, 1) in {b"", b"\n"} else "\n"  # of a line that was torn
                os.write(ledger, f"{end}{digest}\n".encode())
            finally:
                os.close(ledger)
        except OSError as error:
            _warn(f"can't remember in {str(self.path)!r} that {digest} was made here: {error}")

    def __contains__(self, digest: object) -> bool:
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            return False
        try:
            ledger = self._open(os.O_RDONLY)
        except FileNotFoundError:
            return False
        except OSError as error:
            _warn(f"can't read {str(self.path)!r}: {error}; nothing counts as made here")
            return False
        if ledger is None:
            return False
        with os.fdopen(ledger, "rb") as file:
            return digest.encode() + b"\n" in file  # a line without its end was torn

    def _open(self, flags: int) -> int | None:
        # O_NONBLOCK: a FIFO in its place must not hang us. O_NOFOLLOW and O_BINARY are not everywhere.
        for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
            flags |= getattr(os, flag, 0)
        if self.path.is_symlink():
            _warn(f"{str(self.path)!r} is a symbolic link; nothing in it counts as made here")
            return None
        ledger = os.open(self.path, flags, 0o600)
        if doubt := _doubt(os.fstat(ledger)):
            os.close(ledger)
            _warn(f"{str(self.path)!r} is {doubt}; nothing in it counts as made here")
            return None
        return ledger


def _is_name(text: str) -> bool:
    parts = text.split(".")
    return len(parts) > 1 and all(part.isidentifier() for part in parts)


def _doubt(facts: os.stat_result) -> str | None:
    if not stat.S_ISREG(facts.st_mode):
        return "not a regular file"
    if hasattr(os, "geteuid"):  # Windows has neither owners nor modes of this kind
        if facts.st_uid != os.geteuid():
            return f"owned by user {facts.st_uid}"
        if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return f"writable by others (mode {stat.S_IMODE(facts.st_mode):04o}; chmod 600 it if it is yours)"
    return None


def _warn(message: str) -> None:
    warnings.warn(message, RegistryWarning, stacklevel=4)
