"""The contract of a backend: keep an append-only log per model, append one event under compare-and-swap.

A backend decides nothing: it sorts no versions, knows no stage rules and no "latest".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

from modelregistry.display.shown import shown
from modelregistry.errors import ConflictError, InvalidInputError, RefusedError
from modelregistry.log.events import Event
from modelregistry.log.tags import Quarantined, first_number, is_signed

if TYPE_CHECKING:
    from modelregistry.search.clues import Clue


FEW = 20
"""Logs that are sooner read one by one than all at once."""


class Capabilities(NamedTuple):
    """What a backend can do beyond keeping the log of one process."""

    multi_writer: bool = False
    """Processes may append at once: of those who want one place, exactly one gets it."""
    signed: bool = False
    """It keeps the text of an event as it was written, and so its signature."""
    remote: bool = False
    """Reading and writing may need the network."""


class Record(NamedTuple):
    """The text that an event is kept as, where it says more than the event: signed, or written by another tool."""

    oid: str
    """Its id: equal ids, equal texts."""
    data: bytes
    """A tag object, whatever keeps it."""


class Entry(NamedTuple):
    """An event to append, and the text to keep it as; None for what ``render`` makes of it."""

    event: Event
    record: bytes | None = None


@dataclass(frozen=True, slots=True)
class Log:
    """What a backend keeps of one model, read at one moment."""

    model: str
    head: str
    """An opaque token of this very content: equal heads, equal logs."""
    events: tuple[Event, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()
    numbers: Mapping[str, int] = field(default_factory=dict)
    """The highest number taken in each slot."""
    records: Mapping[str, Record] = field(default_factory=dict)
    """The records of signed events and of other tools' events, by ``source``, where the backend was asked for them."""
    aside: tuple[Event, ...] = ()
    """Events that are there and do not count, by the reader's policy: they are quarantined as well."""

    def next_number(self, slot: str) -> int:
        """The number that the slot's next event must have."""
        return self.numbers[slot] + 1 if slot in self.numbers else first_number(slot)

    def entries(self) -> list[Entry]:
        """The events with the texts they are kept as, oldest first."""
        return [
            Entry(event, self.records[event.source].data if event.source in self.records else None)
            for event in sorted(self.events, key=lambda event: event.order)
        ]


class Outline(NamedTuple):
    """What a fold needs of a log."""

    model: str
    head: str
    events: tuple[Event, ...]
    """Those that decide who holds what, with the fields that do; others may be missing."""


@shown
class Synced(NamedTuple):
    """What bringing a log and its copy here together did."""

    published: tuple[str, ...] = ()
    """What waited here and now is shared, by the backend's names for events."""
    refused: tuple[str, ...] = ()
    """What another event had taken the place of: set aside, counted by nobody."""


class Backend(ABC):
    """Keeps the logs of a registry's models.

    Subclasses implement the hooks (``_read`` …). Whatever they raise on purpose is a ``RegistryError``.

    Attributes:
        name: What the backend is called in settings; of a plug-in, the scheme of its addresses.
        capabilities: What it can do.
    """

    name: ClassVar[str]
    capabilities: Capabilities = Capabilities()

    @classmethod
    def open(cls, address: str) -> Self:
        """The backend that keeps its logs at ``address``, a URL with its name for a scheme.

        Raises:
            InvalidInputError: It has no such addresses.
            UnreachableError: It is kept elsewhere, and that can't be reached.
        """
        del address
        raise InvalidInputError(f"a {cls.name!r} log has no address")

    @classmethod
    def migrate(cls, address: str) -> None:
        """Make what the backend needs at ``address``, or bring it to the form that this version reads and writes."""
        del address

    @property
    def kind(self) -> str:
        """The name by which a repository's settings may ask for it."""
        return self.name

    @property
    def identity(self) -> str:
        """What tells its logs from those of other backends, without secrets."""
        return f"{self.name}:{id(self)}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.identity!r})"

    # -- reading -------------------------------------------------------------------------------------------

    def read(self, model: str, *, records: bool = False) -> Log:
        """The model's log as it is now; an empty one for a model that is not there.

        Args:
            model: Its name.
            records: Give the records too.
        """
        return self._read(model, records)

    def read_all(self, *, records: bool = False) -> Iterator[Log]:
        """The logs of all models, by name."""
        return self._read_all(records)

    def read_some(self, models: Collection[str], *, records: bool = False) -> Iterator[Log]:
        """The logs of some models, in any order; of one that is gone an empty one, or none."""
        return self._read_some(models, records)

    def candidates(self, clue: Clue) -> Collection[str] | None:
        """The models whose logs fit a clue, and maybe others: for less than it takes to read them, else None.

        Nothing is decided by that: whoever asks reads those logs.
        """
        return self._candidates(clue)

    def outlines(self) -> Iterator[Outline]:
        """The outlines of all models' logs, by name; for less than it takes to read the logs, where that can be."""
        return self._outlines()

    def heads(self) -> dict[str, str]:
        """The head of every model's log, by name; for less than it takes to read them, where that can be."""
        return self._heads()

    def watch(self, model: str) -> Hashable | None:
        """A cheap token: while it stays the same, so does the model's log. None when that can't be told yet."""
        return self._watch(model)

    def registry(self, *, shared: bool = False) -> str | None:
        """The random id of the registry that its events carry; None while none does.

        Args:
            shared: Where nothing here says it, look at all that writers share.

        Raises:
            UnreachableError: ``shared``, and it is kept elsewhere, and that can't be reached.
        """
        return self._registry(shared=shared)

    # -- writing -------------------------------------------------------------------------------------------

    def pending(self) -> Sequence[Event]:
        """What was written here and is not shared yet, oldest first."""
        return self._pending()

    def prepare(self, model: str) -> Sequence[str]:
        """Bring the model's log up to what all writers share, so that a change is decided on that.

        Returns:
            The events of an earlier call whose outcome was unknown and that are kept, as it turns out: by name.

        Raises:
            UnreachableError: It is kept elsewhere, and that can't be reached.
            RefusedError: Nobody may write there.
        """
        return self._prepare(model)

    def sync(self) -> Synced:
        """The same for all models; what was written here and not shared yet is published.

        Raises:
            UnreachableError: It is kept elsewhere, and that can't be reached.
        """
        return self._sync()

    def append(self, event: Event, record: bytes | None = None) -> Event | None:
        """Append ``event`` if and only if its number in its slot is free; None when it is taken.

        The number is the log position the write was decided on. When this returns, the event is kept; when it
        raises, or returns None, nothing was written. The very event that is there already may be known again, and
        returned: it is kept once.

        Args:
            event: The event.
            record: The text to keep it as; left out, what ``render`` makes of it.

        Returns:
            The event as it will be read.

        Raises:
            RefusedError: The record is signed, and this backend keeps no signatures.
            OutcomeUnknownError: It may be kept or not; ``prepare`` settles it.
        """
        self._refuse_signature(event, record)
        return self._append(event, record)

    def extend(self, model: str, entries: Sequence[Entry]) -> None:
        """Append events of a copied log, oldest first; all or none of them, where the backend can do that.

        Raises:
            ConflictError: A number is taken.
            RefusedError: As by ``append``.
        """
        for event, record in entries:
            self._refuse_signature(event, record)
        self._extend(model, entries)

    def follow(self, log: Log, *, of: str) -> None:
        """Make the copy of a model what ``log`` is.

        Args:
            log: The log, with its records.
            of: What tells the log that is followed from others.

        Raises:
            ConflictError: This is no mirror of that one: it has events that the other has not.
        """
        self._follow(log, of)

    def check(self, event: Event, record: bytes | None = None) -> None:
        """Refuse, as ``append`` would, an event that can't be kept whatever its number; writes nothing.

        Raises:
            RegistryError: See the backend.
        """
        self._refuse_signature(event, record)
        self._check(event)

    def _refuse_signature(self, event: Event, record: bytes | None) -> None:
        if record is not None and is_signed(record) and not self.capabilities.signed:
            raise RefusedError(f"a {self.kind!r} log keeps no signatures, and {event.source!r} is signed")

    def permit(self, event: Event) -> None:
        """Refuse an event that this writer may not write; asked for all events of a change before the first is appended.

        Raises:
            RefusedError: It would not count.
        """
        self._permit(event)

    # -- what a backend implements -------------------------------------------------------------------------

    @abstractmethod
    def _read(self, model: str, records: bool) -> Log: ...

    @abstractmethod
    def _read_all(self, records: bool) -> Iterator[Log]: ...

    @abstractmethod
    def _append(self, event: Event, record: bytes | None) -> Event | None: ...

    @abstractmethod
    def _watch(self, model: str) -> Hashable | None: ...

    # -- and may ---------------------------------------------------------------------------------------------

    def _read_some(self, models: Collection[str], records: bool) -> Iterator[Log]:
        if len(models) <= FEW:
            return (self._read(model, records) for model in models)
        wanted = frozenset(models)
        return (log for log in self._read_all(records) if log.model in wanted)

    def _candidates(self, clue: Clue) -> Collection[str] | None:
        del clue
        return None

    def _outlines(self) -> Iterator[Outline]:
        return map(_outline, self._read_all(False))

    def _heads(self) -> dict[str, str]:
        return {log.model: log.head for log in self._read_all(False)}

    def _registry(self, *, shared: bool) -> str | None:
        del shared
        return next(
            (event.registry for log in self._read_all(False) for event in log.events if event.registry), None
        )

    def _pending(self) -> Sequence[Event]:
        return ()

    def _prepare(self, model: str) -> Sequence[str]:
        del model
        return ()

    def _sync(self) -> Synced:
        return Synced()

    def _extend(self, model: str, entries: Sequence[Entry]) -> None:
        for event, record in entries:
            if self._append(event, record) is None:
                raise ConflictError(f"{event.source!r} is taken in the log of {model!r} that is written to")

    def _follow(self, log: Log, of: str) -> None:
        known = {event.fingerprint(): event for event in self._read(log.model, False).events}
        new = [entry for entry in log.entries() if known.pop(entry.event.fingerprint(), None) is None]
        for event in known.values():
            raise ConflictError(
                f"{event.source!r} is here and not in {of!r}: this log is no mirror of that one"
            )
        self.extend(log.model, new)

    def _check(self, event: Event) -> None:
        del event

    def _permit(self, event: Event) -> None:
        del event


def _outline(log: Log) -> Outline:
    return Outline(log.model, log.head, log.events)
