"""A log as one reader lets it count: events that fail the reader's policy are set aside, and a rewound log is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from modelregistry.backends.base import Backend, Log, Synced
from modelregistry.callers import warn
from modelregistry.errors import (
    RefusedError,
    RewoundError,
    SignatureError,
    UncountedEventWarning,
)
from modelregistry.log.events import Event
from modelregistry.log.marks import Marks
from modelregistry.log.tags import Quarantined, is_signed
from modelregistry.trust.signatures import Verifier, key_ring
from modelregistry.trust.signers import Signers

if TYPE_CHECKING:
    from modelregistry.search.clues import Clue

Signature = tuple[str, tuple[str, ...]]
"""A key, and who owns it."""
_MET = (
    ', as it was met first: write the right one of the two into your policy, registry = "…"; check(accept=True) forgets '
    "which was met"
)
"""What to do about an event of another registry, where no policy says which registry this is."""


class VerifiedBackend(Backend):
    """Another backend, seen through a policy.

    Args:
        inner: The backend; its logs must have the records of signed events.
        signers: The policy.
        verifier: Finds the key of each signature.
        marks: What this user has seen before.
        own_key: The key that this writer signs with; None for one who does not sign.
    """

    name = "verified"

    def __init__(
        self,
        inner: Backend,
        signers: Signers,
        verifier: Verifier,
        marks: Marks,
        own_key: Callable[[Event], str | None],
    ) -> None:
        self._inner = inner
        self._signers = signers
        self._verifier = verifier
        self._marks = marks
        self._own_key = own_key
        self.capabilities = inner.capabilities
        self._gpg = any(signer.key.startswith("gpg:") for signer in signers.signers)
        self._warned: dict[str, tuple[str, ...]] = {}

    @property
    def identity(self) -> str:
        """That of the backend that is seen through."""
        return self._inner.identity

    def survey(self) -> Iterator[Log]:
        """The logs of all models as they count, without an error for what does not."""
        return map(self._judged, self._inner.read_all(records=True))

    def signature(self, event: Event) -> Signature | None:
        """The key that signed the event, and who owns it by the policy; None where the event does not count by a signature."""
        return self.signatures(event.model, [event]).get(event.source)

    def signatures(self, model: str, events: Iterable[Event]) -> Mapping[str, Signature]:
        """The same of many events of a model, by ``source``: its log is judged once."""
        log = self._judged(self._inner.read(model, records=True))
        counted = {event.source: event for event in log.events}
        signed = [
            (event, record)
            for event in events
            if counted.get(event.source) == event
            and (record := log.records.get(event.source)) is not None
            and is_signed(record.data)
        ]
        keys = self._verifier.keys([record for _, record in signed])
        found = {
            event.source: (key, self._signers.principals(event, key, registry=self._expected))
            for event, record in signed
            if (key := keys.get(record.oid)) is not None
        }
        return {source: each for source, each in found.items() if each[1]}

    def trusted_signer(self, event: Event) -> str | None:
        """Who signed the event, if what they register may run code by the policy."""
        if not self._signers.trusted:
            return None
        _, principals = self.signature(event) or ("", ())
        return next((each for each in principals if each in self._signers.trusted), None)

    def _read(self, model: str, records: bool) -> Log:
        del records  # they are there in any case
        return self._vouched(self._inner.read(model, records=True))

    def _read_all(self, records: bool) -> Iterator[Log]:
        del records
        found = []
        for log in self._inner.read_all(records=True):
            found.append(log.model)
            yield self._vouched(log)
        self._miss_none(found)

    def _read_some(self, models: Collection[str], records: bool) -> Iterator[Log]:
        del records
        return map(self._vouched, self._inner.read_some(models, records=True))

    def _candidates(self, clue: Clue) -> Collection[str] | None:
        return self._inner.candidates(clue)  # no event counts here that is not there

    def _judged(self, log: Log) -> Log:
        """The log, events that do not count being quarantined."""
        now = datetime.now(UTC)
        signed = {source: each for source, each in log.records.items() if is_signed(each.data)}
        by_oid = self._verifier.keys(list(signed.values()))
        keys = {source: by_oid[each.oid] for source, each in signed.items() if each.oid in by_oid}
        ordered = sorted(log.events, key=lambda event: event.order)
        expected = self._expected
        flaws = self._signers.flaws(ordered, keys, registry=expected, now=now)
        if expected is None:
            # The oldest event that counts says which registry this is: from now on it is held to that.
            first = next((each for each in ordered if each.source in keys and each.source not in flaws), None)
            if first is not None and first.registry is not None:
                expected = first.registry
                self._marks.keep_registry(expected)
                flaws = self._signers.flaws(ordered, keys, registry=expected, now=now)
        for event in ordered if self._signers.registry is None else ():
            foreign = event.source in flaws and event.registry != expected
            # Signed by a known key, it may be the right one, as far as anybody can tell.
            if foreign and self._signers.flaw(event, keys.get(event.source), registry=None) is None:
                flaws[event.source] += _MET
        aside = tuple(event for event in ordered if event.source in flaws)
        reasons = [
            Quarantined(event.model, event.source, f"by your policy: {flaws[event.source]}", event.slot, event.number)
            for event in aside
        ]  # fmt: skip
        return replace(
            log, head=_head(log.head, self._judge()), quarantined=(*log.quarantined, *reasons), aside=aside,
            events=tuple(event for event in log.events if event.source not in flaws),
        )  # fmt: skip

    def _vouched(self, log: Log) -> Log:
        """The same, unless it must not be used."""
        found = self._judged(log)
        reasons = found.quarantined[len(log.quarantined) :]
        # Nobody misses an echo; and who can push one must not be able to stop a strict reader by that.
        told = tuple(
            reason for event, reason in zip(found.aside, reasons, strict=True) if event.echo_of is None
        )
        if told:
            self._tell(log.model, told)
        self._miss(log.model, log.events)
        self._marks.extend(log.model, sorted(found.events, key=lambda event: event.order))
        return found

    def _miss(self, model: str, events: Iterable[Event]) -> None:
        """Refuse a log from which events are gone."""
        if gone := self._marks.gone(model, events):
            raise RewoundError(
                f"{len(gone)} events of {model!r} that this user has seen are gone, {next(iter(gone.values()))!r} "
                "for one: fetch them from a clone that has them; if that is right, check(accept=True)",
                tags=tuple(gone.values()),
            )  # fmt: skip

    def _miss_none(self, models: Iterable[str]) -> None:
        """Refuse a list of all models from which one that was seen is gone."""
        for model in self._marks.missing(models):
            self._miss(model, ())

    def _tell(self, model: str, aside: tuple[Quarantined, ...]) -> None:
        names = tuple(each.name for each in aside)
        # Which registry this is matters more than who wrote last.
        told = max(reversed(aside), key=lambda each: _MET in each.reason)
        words = f"{len(names)} events of {model!r} do not count, {told.name!r} for one, {told.reason}; check() lists them"
        if self._signers.strict:
            raise SignatureError(words, tags=names)
        if self._warned.get(model) != names:
            self._warned[model] = names
            warn(words, UncountedEventWarning)

    @property
    def _expected(self) -> str | None:
        """The id of the registry."""
        return self._signers.registry or self._marks.registry

    def _append(self, event: Event, record: bytes | None) -> Event | None:
        return self._inner.append(event, record)

    def _permit(self, event: Event) -> None:
        if self._signers.requires(event):
            key, now = self._own_key(event), datetime.now(UTC)
            flaw = self._signers.refusal(event, key, registry=self._expected, now=now)
            if flaw is not None:
                hint = "; Registry(…, sign=True) signs" if key is None else ""
                raise RefusedError(
                    f"nothing was written: by your own policy {event.source!r} would not count: {flaw}{hint}"
                )

    def _registry(self, *, shared: bool) -> str | None:
        return self._expected or self._inner.registry(shared=shared)

    def _heads(self) -> dict[str, str]:
        judge = self._judge()
        heads = self._inner.heads()
        self._miss_none(heads)
        return {model: _head(head, judge) for model, head in heads.items()}

    def _judge(self) -> str:
        """What changes when the same events are judged otherwise: the policy, the keys that expired, the registry, GPG's ring."""
        ring = key_ring() if self._gpg else None
        return f"{self._signers.token(datetime.now(UTC))} {self._expected} {ring}"

    def _prepare(self, model: str) -> Sequence[str]:
        return self._inner.prepare(model)

    def _pending(self) -> Sequence[Event]:
        return self._inner.pending()

    def _sync(self) -> Synced:
        return self._inner.sync()

    def _check(self, event: Event) -> None:
        self._inner.check(event)

    def _watch(self, model: str) -> Hashable | None:
        inner = self._inner.watch(model)
        return None if inner is None else (inner, self._judge())


def _head(head: str, judge: str) -> str:
    return hashlib.sha256(f"{head} {judge}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
