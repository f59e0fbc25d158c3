"""Whose events count: which keys may do what to which models and stages, by the word of the one who reads.

A policy is the reader's own: nothing that a repository says of itself is believed. An event counts if one of the
policy's keys signed it, that key's owner may do what the event does, and the event says it was made by that owner and
for this registry.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

from modelregistry.log.events import (
    Annotated,
    Assigned,
    Deprecated,
    Deregistered,
    Event,
    Registered,
    Unassigned,
    Withdrawn,
)

_AHEAD = timedelta(hours=1)
"""What is written in quick succession is dated ahead of the clock, by a second for each event. Some events of a guarded
model need no signature, and the next one is dated after them: anybody could date that, were it not for this."""


@dataclass(frozen=True, slots=True)
class Signer:
    """One key and what its owner may do."""

    principal: str
    """Who owns it: e-mail addresses, or patterns of them, with commas between; one after a ``!`` is not the owner's."""
    key: str
    """``SHA256:…``, the fingerprint of an SSH key, or ``gpg:`` and the fingerprint of a GPG key."""
    models: tuple[str, ...] = ("*",)
    """Patterns of model names."""
    may: tuple[str, ...] = ("*",)
    """Patterns of ``register``, ``withdraw``, ``promote:<stage>``, ``annotate`` and ``deprecate``."""
    revoked: bool = False
    """Nothing that this key signed counts, whenever it did."""
    valid_after: datetime | None = None
    valid_before: datetime | None = None
    """After this, by the reader's clock, what the key signed counts only where a good key signed what came after it."""

    def owns(self, email: str) -> bool:
        """Whether the address is the owner's."""
        return matches_list(email.lower(), self.principal.lower())

    def permits(self, model: str, action: str) -> bool:
        """Whether the owner may do that."""
        return _matches(model, self.models) and _matches(action, self.may)


@dataclass(frozen=True, slots=True)
class Requirement:
    """What must be signed."""

    models: tuple[str, ...] = ("*",)
    """Patterns of model names."""
    stages: tuple[str, ...] | None = None
    """What changes these stages, and what registers or withdraws a version; None for every event."""

    def covers(self, model: str, actions: Iterable[str]) -> bool:
        """Whether an event that does this needs a signature."""
        if not _matches(model, self.models):
            return False
        if self.stages is None:
            return True
        guarded = {"register", "withdraw", *(f"promote:{stage}" for stage in self.stages)}
        return not guarded.isdisjoint(actions)


@dataclass(frozen=True, slots=True)
class Signers:
    """A policy: the keys that this reader knows, and what must be signed with them."""

    signers: tuple[Signer, ...]
    requirements: tuple[Requirement, ...] = (Requirement(),)
    registry: str | None = None
    """The id of the registry; None to keep to the first that was met."""
    strict: bool = False
    """Whether an event that does not count is an error."""
    trusted: tuple[str, ...] = ()
    """The principals, spelt as in ``signers``, whose registrations may run code when they are loaded."""
    _by_key: Mapping[str, Sequence[Signer]] = field(init=False, repr=False, compare=False)
    _ends: Sequence[datetime] = field(init=False, repr=False, compare=False)
    _digest: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_key: dict[str, list[Signer]] = {}
        for signer in self.signers:
            by_key.setdefault(signer.key, []).append(signer)
        ends = {signer.valid_before for signer in self.signers if signer.valid_before is not None}
        facts = [
            [asdict(each) for each in self.signers], [asdict(each) for each in self.requirements], self.registry, self.strict,
            self.trusted,
        ]  # fmt: skip
        digest = hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()
        object.__setattr__(self, "_by_key", by_key)
        object.__setattr__(self, "_ends", sorted(ends))
        object.__setattr__(self, "_digest", digest)

    def token(self, now: datetime) -> str:
        """What changes when the policy answers otherwise: asked for at every read, so nothing is hashed here."""
        return f"{self._digest} {bisect_right(self._ends, now)}"

    def requires(self, event: Event) -> bool:
        """Whether the event needs a signature. One that changes nothing (an echo for GTO) needs none."""
        actions = actions_of(event)
        return event.echo_of is None and any(each.covers(event.model, actions) for each in self.requirements)

    def flaws(
        self, events: Sequence[Event], keys: Mapping[str, str], *, registry: str | None, now: datetime
    ) -> dict[str, str]:
        """Why events do not count, by ``source``; those that count are not in it.

        Args:
            events: Those of one model.
            keys: The key that signed each event, by ``source``; nothing where none did.
            registry: The id that events must have; None for any.
            now: The reader's clock.
        """
        found: dict[str, str] = {}
        sound: list[Event] = []
        good: list[Event] = []
        for event in events:
            flaw = self.flaw(event, keys.get(event.source), registry=registry)
            if flaw is None:
                sound.append(event)
                expired = self._expiry(event, keys[event.source], now)
                if expired is None:
                    good.append(event)
                    continue
                flaw = (
                    f"its key has expired, on {expired}, and no event that a good key signed comes after it"
                )
            if self.requires(event):
                found[event.source] = flaw
            elif event.at > now + _AHEAD and any(
                _matches(event.model, each.models) for each in self.requirements
            ):
                found[event.source] = (
                    f"{flaw}, and it is dated {event.at:%Y-%m-%d}: every later event would have to follow"
                )
        if len(good) < len(sound):
            for event in _chain_below(good, sound):
                found.pop(event.source, None)
        return found

    def refusal(self, event: Event, key: str | None, *, registry: str | None, now: datetime) -> str | None:
        """Why the event, which needs a signature, would not count if it was written now; None if it would."""
        flaw = self.flaw(event, key, registry=registry)
        if flaw is None and key is not None and (expired := self._expiry(event, key, now)):
            return f"the key {key} of {self._by_key[key][0].principal} has expired, on {expired}"
        return flaw

    def flaw(self, event: Event, key: str | None, *, registry: str | None) -> str | None:
        """Why the event, signed with that key, would not count whatever the time; None if it would."""
        if key is None:
            return "it is not signed, or not by a key that could be checked"
        if key not in self._by_key:
            return f"the key {key} is not known"
        if any(signer.revoked for signer in self._by_key[key]):
            return f"the key {key} of {self._by_key[key][0].principal} was revoked"
        if not any(signer.owns(event.email) for signer in self._by_key[key]):
            return f"the key {key} is {self._by_key[key][0].principal}'s, and the event says {event.email} made it"
        if not self._fitting(event, key):
            early = self._fitting(event, key, early=True)
            if early:
                first = min(signer.valid_after for signer in early if signer.valid_after is not None)
                return f"the key {key} of {early[0].principal} is valid only after {_words(first)}, and it is dated {_words(event.at)}"
            return f"{self._by_key[key][0].principal} may not {' and '.join(actions_of(event))} in {event.model!r}"
        if event.registry is None:
            return "it does not say for which registry it was made, so it may be for another registry"
        if registry not in (None, event.registry):
            return f"it was made for another registry, {event.registry!r}, and this one is {registry!r}"
        return None

    def principals(self, event: Event, key: str, *, registry: str | None) -> tuple[str, ...]:
        """Who owns the key that signed the event, by those of their entries that let it count; nobody if none does."""
        if self.flaw(event, key, registry=registry) is not None:
            return ()
        return tuple(dict.fromkeys(signer.principal for signer in self._fitting(event, key)))

    def _expiry(self, event: Event, key: str, now: datetime) -> str | None:
        """When the key lost the last of its rights to such an event, in words; None while it has them."""
        moments = [signer.valid_before for signer in self._fitting(event, key) if _expired(signer, now)]
        if len(moments) < len(self._fitting(event, key)):
            return None
        return _words(max(filter(None, moments)))

    def _fitting(self, event: Event, key: str, *, early: bool = False) -> list[Signer]:
        return [
            signer
            for signer in self._by_key[key]
            if signer.owns(event.email)
            and (early or signer.valid_after is None or event.at >= signer.valid_after)
            and all(signer.permits(event.model, action) for action in actions_of(event))
        ]


def actions_of(event: Event) -> tuple[str, ...]:
    """What the event does, in the words of ``may``."""
    match event:
        case Registered():
            return ("register",)
        case Withdrawn() | Deregistered():
            return ("withdraw",)
        case Assigned():
            return tuple(f"promote:{stage}" for stage in (event.stage, *event.leaves))
        case Unassigned():
            return (f"promote:{event.stage}",)
        case Annotated():
            return ("annotate",)
        case Deprecated():
            return ("deprecate",)
        case _:
            return (event.kind,)


def _chain_below(good: Iterable[Event], sound: Sequence[Event]) -> Iterator[Event]:
    """The events that came before, as the signed events name them, one by the fingerprint of the other.

    It ends at an event that no known key signed: whoever wrote on top of that vouches for nothing below it.
    """
    by_fingerprint = {event.fingerprint(): event for event in sound}
    pending = [event.prev for event in good]
    while pending:
        event = by_fingerprint.pop(pending.pop() or "", None)
        if event is not None:
            yield event
            pending.append(event.prev)


def _words(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a pattern fits and none that comes after a ``!`` does, as in OpenSSH's match_pattern_list."""
    found = False
    for pattern in patterns:
        if fnmatchcase(name, pattern.removeprefix("!")):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def matches_list(text: str, patterns: str) -> bool:
    """The same for a list as OpenSSH writes it, with commas; it knows ``*`` and ``?`` and nothing else."""
    return _matches(text, (pattern.strip().replace("[", "[[]") for pattern in patterns.split(",")))


def _expired(signer: Signer, now: datetime) -> bool:
    return signer.valid_before is not None and now >= signer.valid_before
