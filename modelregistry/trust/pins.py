"""What this user said of bytes for good: the digests that they trust or distrust, in a file that only they may write."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modelregistry.display.shown import Shown
from modelregistry.errors import InvalidInputError, RefusedError
from modelregistry.trust.privatefile import PrivateFile, home_folder

_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_MOST_NAMES, _WIDEST = 1000, 200
"""Names that a line of the file has at most, and their characters."""


@dataclass(frozen=True, slots=True, repr=False)
class PinnedDigest(Shown):
    """What was said of some bytes, and what was seen of them then."""

    digest: str
    trusted: bool
    """False where trust was taken back."""
    registry: str | None = None
    """The id of the registry they were registered in."""
    model: str = ""
    version: str = ""
    signer: str | None = None
    """Whose signature the registration had, by this user's policy."""
    tier: str = ""
    """What they asked for."""
    names: tuple[str, ...] = ()
    at: str = ""
    """When, in UTC."""


class PinnedDigests:
    """The digests that this user trusts or distrusts: of what was said of one, the last counts.

    Args:
        path: The file; by default ``trusted`` in the user's own folder (``home_folder``).
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or home_folder() / "trusted"
        self._file = PrivateFile(self.path, "counts as trusted or distrusted")

    def trusted(self, digest: str) -> bool | None:
        """Whether the bytes with that digest are trusted; None where nothing was said of them."""
        found = None
        if _SHA256.fullmatch(digest):
            for pin in self._all(digest):
                if pin.digest == digest:
                    found = pin.trusted
        return found

    def last(self, model: str, registry: str | None) -> PinnedDigest | None:
        """The bytes of the model that were trusted last, and still are."""
        standing: dict[str, PinnedDigest] = {}
        for pin in self._all():
            standing.pop(pin.digest, None)
            standing[pin.digest] = pin
        trusted = [
            pin for pin in standing.values() if pin.trusted and (pin.model, pin.registry) == (model, registry)
        ]
        return trusted[-1] if trusted else None

    def add(self, pin: PinnedDigest) -> None:
        """Say it from now on.

        Raises:
            InvalidInputError: It is about no sha256 digest.
            RefusedError: The file can't be written, or is not this user's alone; a warning says why.
        """
        if not _SHA256.fullmatch(pin.digest):
            raise InvalidInputError(f"digest {pin.digest!r} is not 'sha256:' and 64 hexadecimal digits")
        values = asdict(pin) | {
            "names": [name[:_WIDEST] for name in pin.names[:_MOST_NAMES]],
            "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        }
        self._file.add(
            json.dumps({name: value for name, value in values.items() if value not in (None, "", [])})
        )
        if self.trusted(pin.digest) is not pin.trusted:
            raise RefusedError(f"nothing was written: {str(self.path)!r} can't be used, as a warning says")

    def _all(self, mark: str = "") -> Iterator[PinnedDigest]:
        for line in self._file.lines():
            if mark in line and (pin := _parse(line)) is not None:
                yield pin


def _parse(line: str) -> PinnedDigest | None:
    """What a line says; None for what this version does not write."""
    try:
        values: Any = json.loads(line)
        known = {each.name: values[each.name] for each in fields(PinnedDigest) if each.name in values}
        pin = PinnedDigest(**known | {"names": tuple(known.get("names", ()))})
    except (ValueError, TypeError, RecursionError):
        return None
    texts = (
        pin.digest,
        pin.registry or "",
        pin.model,
        pin.version,
        pin.signer or "",
        pin.tier,
        pin.at,
        *pin.names,
    )
    return pin if isinstance(pin.trusted, bool) and all(isinstance(text, str) for text in texts) else None
