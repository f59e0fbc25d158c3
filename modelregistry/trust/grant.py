"""What trusting a version for good means: who made its bytes, what they ask for, and what is new since the last one trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from modelregistry.display.tables import Rows, Tabular
from modelregistry.display.view import Badge, Facts, View
from modelregistry.loaders.base import Inspection, Tier
from modelregistry.loading.deserialize import escaped
from modelregistry.trust.pins import PinnedDigest, PinnedDigests
from modelregistry.version import ModelVersion

_SHOWN = 40
"""Names that are shown; the value has them all."""
_MEANINGS = {
    Tier.DATA: "data only: it would load without this",
    Tier.CONFINED: "only names that this library vouches for: it would load without this",
    Tier.NAMED: "names that nobody vouches for",
    Tier.CODE: "it can run any code",
}
_COLUMNS: Mapping[str, Callable[[tuple[str, object]], object]] = {
    "what": lambda row: row[0],
    "found": lambda row: row[1],
}


@dataclass(frozen=True, slots=True, repr=False)
class Grant(Tabular):
    """What ``Registry.trust`` gave, or would give: its text and its notebook view show all of it."""

    reference: str
    """The version, as ``name@version``."""
    digest: str
    """Of the bytes that are trusted from now on."""
    granted: bool
    """False where it was only shown (``dry_run``)."""
    author: str
    """Who registered it, as the event says; anybody may have written that."""
    signer: str | None
    """Whose signature the registration has, by this reader's policy; None where it has none that the policy knows."""
    key: str | None
    """The key of that signature."""
    loader: str
    """What reads the bytes."""
    tier: str
    """What loading asks for: ``"data"``, ``"confined"``, ``"named"`` or ``"code"``."""
    names: tuple[str, ...]
    """The names that nobody vouches for."""
    before: PinnedDigest | None
    """The version of the model that was trusted last; None where there is none."""

    @property
    def added(self) -> tuple[str, ...]:
        """The names that the version trusted before did not ask for."""
        return tuple(sorted(set(self.names).difference(self.before.names if self.before else ())))

    @property
    def removed(self) -> tuple[str, ...]:
        """The names that only the version trusted before asked for."""
        return tuple(sorted(set(self.before.names if self.before else ()).difference(self.names)))

    @property
    def rows(self) -> Rows[tuple[str, object]]:
        """What is known, and what is new, line by line."""
        return Rows(self._lines(), _COLUMNS)

    def _line(self) -> str:
        return f"Grant({self.reference!r}, {self.digest!r}, granted={self.granted}, tier={self.tier!r})"

    def __str__(self) -> str:
        return str(self.rows)

    def _view(self) -> View:
        badge = Badge("trusted", "good") if self.granted else Badge("only shown", "warn")
        return View(f"Trust in {self.reference}", [badge], [Facts([*self._lines()])])

    def _lines(self) -> Iterator[tuple[str, object]]:
        yield "version", self.reference
        yield "digest", self.digest
        yield "registered by", f"{escaped(self.author)}, as the event says"
        known = f"{escaped(self.signer)} with the key {self.key}" if self.signer is not None else None
        yield "signed by", known or "nobody that your policy knows"
        yield "asks for", f"tier {self.tier!r}: {_MEANINGS[Tier[self.tier.upper()]]}"
        yield from _named("name", self.names)
        if self.before is not None:
            yield from self._changes(self.before)
        else:
            yield "trusted before", "no version of this model"
        undo = f'registry.distrust("{self.reference}") takes it back'
        yield "trusted", f"from now on, to run any code; {undo}" if self.granted else "no, this only shows it"

    def _changes(self, before: PinnedDigest) -> Iterator[tuple[str, object]]:
        same = " (these very bytes)" if before.digest == self.digest else ""
        yield (
            "trusted before",
            f"{escaped(before.version)}{same}, {escaped(before.digest)}, on {escaped(before.at)}",
        )
        if before.signer != self.signer:
            yield "signer before", escaped(before.signer or "nobody")
        yield from _named("new name", self.added)
        yield from _named("name that is gone", self.removed)
        if not self.added and not self.removed:
            yield "names", "the same as before"


def grant(
    version: ModelVersion,
    needed: tuple[str, Inspection],
    signature: tuple[str, tuple[str, ...]] | None,
    pins: PinnedDigests,
    *,
    dry_run: bool,
) -> Grant:
    """Trust the bytes of the version from now on, unless ``dry_run``.

    Args:
        version: The version; it has a digest.
        needed: The loader of its bytes, and what loading needs.
        signature: The key and the owners of it, where the reader's policy knows the signature of the registration.
        pins: Where to remember it.
        dry_run: Only show it.

    Raises:
        RefusedError: It can't be remembered.
    """
    assert version.digest is not None
    loader, inspection = needed
    key, principals = signature or (None, ())
    registry = version.registered.registry
    before = pins.last(version.name, registry)
    found = Grant(
        version.reference, version.digest, not dry_run, f"{version.author} <{version.registered.email}>",
        ", ".join(principals) or None, key, loader, inspection.tier.name.lower(), inspection.names, before,
    )  # fmt: skip
    if not dry_run and not pins.trusted(found.digest):
        said = PinnedDigest(
            found.digest, True, registry, version.name, version.version, found.signer, found.tier, found.names
        )
        pins.add(said)
    return found


def _named(what: str, names: tuple[str, ...]) -> Iterator[tuple[str, object]]:
    for name in names[:_SHOWN]:
        yield what, escaped(name)
    if len(names) > _SHOWN:
        yield what, f"and {len(names) - _SHOWN} more"
