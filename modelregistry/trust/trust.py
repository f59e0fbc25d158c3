"""What the one who loads allows: the ``trust=`` argument, the bytes that this user made here or trusts, the signers of the policy."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from modelregistry.errors import InvalidInputError
from modelregistry.loaders.base import Permit
from modelregistry.trust.pins import PinnedDigests
from modelregistry.trust.privatefile import PrivateFile, home_folder

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
    imported, pulled or unpacked.

    Args:
        path: The file; by default ``made-here`` in the user's own folder (``home_folder``).
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or home_folder() / "made-here"
        self._file = PrivateFile(self.path, "counts as made here")

    def add(self, digest: str) -> None:
        """Remembers a digest. A ledger that can't be written is a warning: loading will ask for trust.

        Raises:
            InvalidInputError: The digest is not a sha256 digest.
        """
        if not _SHA256.fullmatch(digest):
            raise InvalidInputError(f"digest {digest!r} is not 'sha256:' and 64 hexadecimal digits")
        self._file.add(digest)

    def __contains__(self, digest: object) -> bool:
        return isinstance(digest, str) and bool(_SHA256.fullmatch(digest)) and digest in self._file.lines()


@dataclass(frozen=True, slots=True)
class Decision:
    """What is allowed for some bytes."""

    permit: Permit
    reason: str
    """Why they may run code; or, as what a sentence says of them, why not."""


@dataclass(frozen=True, slots=True)
class Vouching:
    """All that the one who loads says of bytes, now and before: the one answer to whether they may run code."""

    trust: Trust = field(default_factory=Trust)
    """The argument of this call."""
    registered: str | None = None
    """The digest that the registration has."""
    signer: Callable[[], str | None] = lambda: None
    """Who signed that registration, where the reader's policy lets what they register run code; asked only if it matters."""

    def decide(self, digest: str) -> Decision:
        """What is allowed for the bytes with that digest: by the argument, by this user's files, by the policy."""
        permit = self.trust.permit(digest)
        if permit.code:
            return Decision(permit, "trusted by the caller")
        pinned = PinnedDigests().trusted(digest)
        if pinned is False:
            return Decision(permit, "is distrusted by this user")
        if pinned:
            reason = "trusted by this user"
        elif digest in Ledger():
            reason = "made on this machine"
        elif digest == self.registered and (signer := self.signer()):
            reason = f"registered by {signer}, whom this user's policy trusts"
        else:
            return Decision(permit, "was not made on this machine")
        return Decision(Permit(permit.names, code=True), reason)


def _is_name(text: str) -> bool:
    parts = text.split(".")
    return len(parts) > 1 and all(part.isidentifier() for part in parts)
